// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Where a reader of policies looks up time zones: what a program found on its machine, or a test made up.
public struct TimeZoneDatabase: Sendable {
    /// What is known of a name.
    public enum Answer: Sendable {
        /// The zone's rules.
        case rules(TimeZoneRules)
        /// No zone has the name.
        case unknown
        /// The zone, or every zone, cannot be read; why, as a part of a sentence.
        case unreadable(String)
    }

    /// The database that knows UTC and no other zone.
    public static let utcOnly = TimeZoneDatabase(names: { ["UTC"] }, lookUp: { _ in .unknown })

    private let lookUpOther: @Sendable (String) -> Answer
    /// The names of every zone, for proposals.
    public let names: @Sendable () -> [String]

    /// Creates a database.
    ///
    /// - Parameters:
    ///   - names: The names of every zone; asked only when a name is unknown.
    ///   - lookUp: The rules of a name other than `UTC`, which needs no file.
    public init(names: @escaping @Sendable () -> [String], lookUp: @escaping @Sendable (String) -> Answer) {
        self.names = names
        lookUpOther = lookUp
    }

    /// The rules of a zone.
    public func lookUp(_ name: String) -> Answer {
        name == "UTC" ? .rules(.utc) : lookUpOther(name)
    }

    /// Whether a text can be a zone's name: words of letters, digits, `_`, `+` and `-` with slashes between them, as
    /// the files of the time zone database are named. So it leads nowhere but into that directory.
    public static func isName(_ text: String) -> Bool {
        let parts = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        return text.utf8.count <= 64
            && parts.allSatisfy { part in
                !part.isEmpty
                    && part.allSatisfy {
                        (0x61...0x7a).contains($0 | 0x20) || (0x30...0x39).contains($0) || "_+-".utf8.contains($0)
                    }
            }
    }
}
