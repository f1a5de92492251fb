// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A name, or every name below one.
///
/// `x.io` is x.io alone. `*.x.io` is every name below x.io, at any depth, and not x.io.
public struct DomainPattern: Hashable, Sendable, CustomStringConvertible {
    /// The name, or the name above those that are meant.
    public let base: DomainName
    /// Whether the names below are meant.
    public let isWildcard: Bool

    init(base: DomainName, isWildcard: Bool) {
        self.base = base
        self.isWildcard = isWildcard
    }

    /// The pattern of one name.
    public init(_ name: DomainName) {
        self.init(base: name, isWildcard: false)
    }

    /// Reads a pattern as a person writes it.
    ///
    /// - Throws: ``DomainProblem``: for what is no name, for a wildcard over a public suffix, and for patterns of other
    ///   programs, which mean one thing here and another there.
    public static func parse(_ text: some StringProtocol) throws(DomainProblem) -> DomainPattern {
        let shown = quoted(text)
        if text == "*" || text == "*." || text == "**" {
            throw DomainProblem(
                "\(shown) would cover every name", suggestion: "allow group internet if the name does not matter")
        }
        if text.hasPrefix("**.") {
            throw DomainProblem(
                "\(shown) is another program's pattern", suggestion: "*\(text.dropFirst(2)) covers every depth")
        }
        if text.hasPrefix("."), text != "." {
            throw DomainProblem(
                "\(shown) begins with a dot",
                suggestion: "write \(text.dropFirst()) for the name itself and *\(text) for the names below it")
        }
        guard text.hasPrefix("*.") else {
            return DomainPattern(try DomainName.parse(text))
        }
        let base = try DomainName.parse(text.dropFirst(2))
        guard !PublicSuffix.contains(base) else {
            throw DomainProblem(
                "\(shown) would cover names of anybody: \(base) is a public suffix",
                suggestion: "write the names that are meant, or *.NAME.\(base)")
        }
        guard !PublicSuffix.isAbove(base) else {
            throw DomainProblem(
                "\(shown) would cover names of anybody: every name right below \(base) is a public suffix",
                suggestion: "write the names that are meant")
        }
        // At least one label more must fit.
        guard base.text.utf8.count <= DomainName.maximumLength - 2 else {
            throw DomainProblem("\(shown) leaves no room for a name below it")
        }
        return DomainPattern(base: base, isWildcard: true)
    }

    /// Whether the name is one of those that are meant.
    public func covers(_ name: DomainName) -> Bool {
        guard isWildcard else { return name == base }
        return name.text.utf8.count > base.text.utf8.count + 1 && name.text.hasSuffix("." + base.text)
    }

    /// Whether every name that the other pattern means is one of those that are meant.
    public func covers(_ other: DomainPattern) -> Bool {
        other.isWildcard ? isWildcard && (base == other.base || covers(other.base)) : covers(other.base)
    }

    /// Whether some name is meant by both: one of two patterns then covers the other.
    public func overlaps(_ other: DomainPattern) -> Bool { covers(other) || other.covers(self) }

    /// As it is written.
    public var description: String { isWildcard ? "*.\(base)" : base.text }
}
