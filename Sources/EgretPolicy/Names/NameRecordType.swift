// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A type of DNS record, by its number (IANA, "Resource Record (RR) TYPEs").
public struct NameRecordType: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The number.
    public var rawValue: UInt16

    /// Wraps a number.
    public init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    /// The types that a rule may name, by the names of the registry. Not those that lead to addresses, which may always
    /// be asked, nor those that ask for everything or for a whole zone.
    static let names: [(text: String, number: UInt16)] = [
        ("NS", 2), ("SOA", 6), ("PTR", 12), ("MX", 15), ("TXT", 16), ("LOC", 29), ("SRV", 33), ("NAPTR", 35),
        ("DNAME", 39), ("DS", 43), ("SSHFP", 44), ("RRSIG", 46), ("NSEC", 47), ("DNSKEY", 48), ("NSEC3", 50),
        ("NSEC3PARAM", 51), ("TLSA", 52), ("SMIMEA", 53), ("CDS", 59), ("CDNSKEY", 60), ("OPENPGPKEY", 61),
        ("SPF", 99), ("URI", 256), ("CAA", 257),
    ]

    /// Reads a name of the registry, in any case; `nil` for any other text.
    public init?(name: some StringProtocol) {
        let upper = name.uppercased()
        guard let found = NameRecordType.names.first(where: { $0.text == upper }) else { return nil }
        self.init(rawValue: found.number)
    }

    /// The name of the registry, or as in RFC 3597: `TYPE65534`.
    public var description: String {
        NameRecordType.names.first { $0.number == rawValue }?.text ?? "TYPE\(rawValue)"
    }
}
