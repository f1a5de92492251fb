// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The type of a record or question (IANA, DNS Parameters, Resource Record TYPEs).
public struct DNSRecordType: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number.
    public var rawValue: UInt16
    /// Wraps a number.
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// An IPv4 address.
    public static let a = DNSRecordType(rawValue: 1)
    /// A name server.
    public static let ns = DNSRecordType(rawValue: 2)
    /// An alias.
    public static let cname = DNSRecordType(rawValue: 5)
    /// The start of a zone.
    public static let soa = DNSRecordType(rawValue: 6)
    /// Anything: for tunnels.
    public static let null = DNSRecordType(rawValue: 10)
    /// The name of an address.
    public static let ptr = DNSRecordType(rawValue: 12)
    /// A mail server.
    public static let mx = DNSRecordType(rawValue: 15)
    /// Text.
    public static let txt = DNSRecordType(rawValue: 16)
    /// An IPv6 address.
    public static let aaaa = DNSRecordType(rawValue: 28)
    /// A service's host and port, RFC 2782.
    public static let srv = DNSRecordType(rawValue: 33)
    /// Rules that rewrite names, RFC 3403.
    public static let naptr = DNSRecordType(rawValue: 35)
    /// An alias for everything below a name, RFC 6672.
    public static let dname = DNSRecordType(rawValue: 39)
    /// Not a record: options of a message, RFC 6891.
    public static let opt = DNSRecordType(rawValue: 41)
    /// A delegation's digest of keys.
    public static let ds = DNSRecordType(rawValue: 43)
    /// A signature.
    public static let rrsig = DNSRecordType(rawValue: 46)
    /// Proof that there is no such name.
    public static let nsec = DNSRecordType(rawValue: 47)
    /// A key.
    public static let dnskey = DNSRecordType(rawValue: 48)
    /// Proof that there is no such name, by hashes.
    public static let nsec3 = DNSRecordType(rawValue: 50)
    /// A service's parameters, RFC 9460.
    public static let svcb = DNSRecordType(rawValue: 64)
    /// The same for HTTPS, RFC 9460.
    public static let https = DNSRecordType(rawValue: 65)
    /// A signature of a transaction, RFC 8945.
    public static let tsig = DNSRecordType(rawValue: 250)
    /// In questions: everything that there is.
    public static let any = DNSRecordType(rawValue: 255)
    /// Which authorities may certify a name.
    public static let caa = DNSRecordType(rawValue: 257)

    private static let names: [UInt16: String] = [
        1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 10: "NULL", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV",
        35: "NAPTR", 39: "DNAME", 41: "OPT", 43: "DS", 46: "RRSIG", 47: "NSEC", 48: "DNSKEY", 50: "NSEC3", 52: "TLSA",
        64: "SVCB", 65: "HTTPS", 250: "TSIG", 251: "IXFR", 252: "AXFR", 255: "ANY", 256: "URI", 257: "CAA",
    ]

    /// Parses a name such as `AAAA`, in any case, or `TYPE65` (RFC 3597).
    public init?(_ text: String) {
        let name = text.uppercased()
        if let known = DNSRecordType.names.first(where: { $0.value == name }) {
            rawValue = known.key
        } else if name.hasPrefix("TYPE"), let number = UInt16(name.dropFirst(4)) {
            rawValue = number
        } else {
            return nil
        }
    }

    /// The name, or `TYPE` and the number (RFC 3597).
    public var description: String { DNSRecordType.names[rawValue] ?? "TYPE\(rawValue)" }

    /// By number.
    public static func < (left: DNSRecordType, right: DNSRecordType) -> Bool { left.rawValue < right.rawValue }
}

/// What became of a question: the code of an answer's header, with its extension in EDNS.
public struct DNSResponseCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The number, 0 to 15 in the header alone.
    public var rawValue: UInt16
    /// Wraps a number.
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// There is an answer, or the name has no such records.
    public static let noError = DNSResponseCode(rawValue: 0)
    /// The question was not understood.
    public static let formatError = DNSResponseCode(rawValue: 1)
    /// The server could not find out.
    public static let serverFailure = DNSResponseCode(rawValue: 2)
    /// The name does not exist.
    public static let nameError = DNSResponseCode(rawValue: 3)
    /// The server does not do such things.
    public static let notImplemented = DNSResponseCode(rawValue: 4)
    /// The server does not want to.
    public static let refused = DNSResponseCode(rawValue: 5)
    /// The server does not know this version of EDNS; only EDNS itself can say so (RFC 6891, section 9).
    public static let badVersion = DNSResponseCode(rawValue: 16)

    /// The name, such as `NXDOMAIN`, or `RCODE` and the number.
    public var description: String {
        switch rawValue {
        case 0: "NOERROR"
        case 1: "FORMERR"
        case 2: "SERVFAIL"
        case 3: "NXDOMAIN"
        case 4: "NOTIMP"
        case 5: "REFUSED"
        case 16: "BADVERS"
        default: "RCODE\(rawValue)"
        }
    }
}

/// The second 16 bits of a message: flags, operation and response code (RFC 1035, section 4.1.1; RFC 4035).
///
/// ```
///   15 14..11 10 9  8  7  6  5  4  3..0
///   QR OPCODE AA TC RD RA Z  AD CD RCODE
/// ```
public struct DNSFlags: RawRepresentable, Hashable, Sendable {
    /// All 16 bits.
    public var rawValue: UInt16
    /// Wraps the bits.
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Whether this is an answer: QR.
    public var isResponse: Bool {
        get { rawValue & 0x8000 != 0 }
        set { set(0x8000, newValue) }
    }
    /// What is wanted; 0 is a query.
    public var operation: UInt8 { UInt8(rawValue >> 11 & 0xf) }
    /// Whether the server is an authority for the name: AA.
    public var isAuthoritative: Bool {
        get { rawValue & 0x0400 != 0 }
        set { set(0x0400, newValue) }
    }
    /// Whether the answer was cut to fit: TC.
    public var isTruncated: Bool {
        get { rawValue & 0x0200 != 0 }
        set { set(0x0200, newValue) }
    }
    /// Whether the server is asked to find out by asking others: RD.
    public var recursionDesired: Bool {
        get { rawValue & 0x0100 != 0 }
        set { set(0x0100, newValue) }
    }
    /// Whether the server does so: RA.
    public var recursionAvailable: Bool {
        get { rawValue & 0x0080 != 0 }
        set { set(0x0080, newValue) }
    }
    /// Whether the server has verified the answer: AD.
    public var isAuthenticData: Bool {
        get { rawValue & 0x0020 != 0 }
        set { set(0x0020, newValue) }
    }
    /// Whether the asker verifies by itself: CD.
    public var checkingDisabled: Bool {
        get { rawValue & 0x0010 != 0 }
        set { set(0x0010, newValue) }
    }
    /// The response code's low four bits.
    public var responseCode: DNSResponseCode {
        get { DNSResponseCode(rawValue: rawValue & 0xf) }
        set { rawValue = rawValue & 0xfff0 | newValue.rawValue & 0xf }
    }

    private mutating func set(_ bit: UInt16, _ isOn: Bool) {
        rawValue = isOn ? rawValue | bit : rawValue & ~bit
    }
}
