// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Finds which of many patterns cover a name, in time that depends on the name alone.
///
/// - Complexity: O(*labels*) look-ups, however many patterns there are.
public struct DomainMatcher<Value: Sendable>: Sendable {
    private var exact: [String: [Value]] = [:]
    private var below: [String: [Value]] = [:]

    /// Starts with no pattern.
    public init() {}

    /// Adds a pattern, and what is to be found under it.
    public mutating func insert(_ pattern: DomainPattern, _ value: Value) {
        if pattern.isWildcard {
            below[pattern.base.text, default: []].append(value)
        } else {
            exact[pattern.base.text, default: []].append(value)
        }
    }

    /// What was added under the patterns that cover the name: of the name itself, then of its nearest ancestor, and on.
    public func matches(_ name: DomainName) -> [(value: Value, pattern: DomainPattern)] {
        var found = (exact[name.text] ?? []).map { ($0, DomainPattern(name)) }
        guard !below.isEmpty else { return found }
        var rest = name.text[...]
        while let dot = rest.utf8.firstIndex(of: UInt8(ascii: ".")) {
            rest = rest[rest.utf8.index(after: dot)...]
            guard let values = below[String(rest)] else { continue }
            let pattern = DomainPattern(base: DomainName(unchecked: String(rest)), isWildcard: true)
            found += values.map { ($0, pattern) }
        }
        return found
    }
}
