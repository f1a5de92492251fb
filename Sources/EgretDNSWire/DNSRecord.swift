// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// A question: a name, a type and a class.
public struct DNSQuestion: Hashable, Sendable {
    /// The class of the internet.
    public static let internetClass: UInt16 = 1

    /// The name that is asked for.
    public var name: DNSName
    /// The type of record that is wanted.
    public var type: DNSRecordType
    /// The class; 1 is the internet.
    public var recordClass: UInt16

    /// Creates a question.
    public init(_ name: DNSName, _ type: DNSRecordType, recordClass: UInt16 = DNSQuestion.internetClass) {
        self.name = name
        self.type = type
        self.recordClass = recordClass
    }
}

/// A resource record (RFC 1035, section 4.1.3).
public struct DNSRecord: Hashable, Sendable {
    /// Whose record it is.
    public var name: DNSName
    /// What kind it is.
    public var type: DNSRecordType
    /// The class; 1 is the internet.
    public var recordClass: UInt16
    /// How long it may be kept, in seconds.
    public var timeToLive: UInt32
    /// What it says.
    public var data: DNSRecordData

    /// Creates a record of the class of the internet.
    public init(_ name: DNSName, _ type: DNSRecordType, timeToLive: UInt32, _ data: DNSRecordData) {
        self.name = name
        self.type = type
        recordClass = DNSQuestion.internetClass
        self.timeToLive = timeToLive
        self.data = data
    }

    /// Creates an address record: A or AAAA.
    public init(_ name: DNSName, _ address: IPAddress, timeToLive: UInt32) {
        self.init(name, address.family == .ipv4 ? .a : .aaaa, timeToLive: timeToLive, .address(address))
    }
}

/// What a record says, for the types whose names or addresses matter; the rest as it is (RFC 3597).
public enum DNSRecordData: Hashable, Sendable {
    /// A, AAAA.
    case address(IPAddress)
    /// NS, CNAME, PTR, DNAME, and the obsolete MD, MF, MB, MG, MR.
    case name(DNSName)
    /// MX, and AFSDB, RT, KX: a number and a name.
    case preference(UInt16, DNSName)
    /// RP and MINFO: two names.
    case names(DNSName, DNSName)
    /// SRV: where a service is (RFC 2782).
    case service(priority: UInt16, weight: UInt16, port: UInt16, target: DNSName)
    /// SOA: primary server, mailbox, and the numbers in their order: serial, refresh, retry, expire, minimum.
    case start(primary: DNSName, mailbox: DNSName, numbers: [UInt32])
    /// TXT: strings of at most 255 bytes each.
    case text([[UInt8]])
    /// SVCB, HTTPS.
    case binding(ServiceBinding)
    /// Every other type.
    case opaque([UInt8])
}

extension DNSRecordData {
    /// Reads the data of a record from a reader that holds just these bytes.
    init(_ type: DNSRecordType, from reader: inout DNSReader) throws(DNSWireError) {
        switch type.rawValue {
        case 1:
            self = .address(.v4(IPv4Address(rawValue: try reader.readUInt32())))
        case 28:
            let high = UInt64(try reader.readUInt32()) << 32 | UInt64(try reader.readUInt32())
            let low = UInt64(try reader.readUInt32()) << 32 | UInt64(try reader.readUInt32())
            self = .address(.v6(IPv6Address(rawValue: UInt128(high) << 64 | UInt128(low))))
        case 2, 3, 4, 5, 7, 8, 9, 12, 39:
            self = .name(try reader.readName())
        case 15, 18, 21, 36:
            self = .preference(try reader.readUInt16(), try reader.readName())
        case 14, 17:
            self = .names(try reader.readName(), try reader.readName())
        case 33:
            let (priority, weight, port) = (try reader.readUInt16(), try reader.readUInt16(), try reader.readUInt16())
            self = .service(priority: priority, weight: weight, port: port, target: try reader.readName())
        case 6:
            let (primary, mailbox) = (try reader.readName(), try reader.readName())
            var numbers: [UInt32] = []
            for _ in 0..<5 { numbers.append(try reader.readUInt32()) }
            self = .start(primary: primary, mailbox: mailbox, numbers: numbers)
        case 16:
            var strings: [[UInt8]] = []
            while reader.count > 0 { strings.append(Array(try reader.readBytes(Int(try reader.readUInt8())))) }
            self = .text(strings)
        case 64, 65:
            self = .binding(try ServiceBinding(from: &reader))
        default:
            self = .opaque(Array(reader.readRest()))
        }
        guard reader.count == 0 else { throw .badLength }
    }

    /// Writes the data. Names are compressed where RFC 1035 defines the type, and written out elsewhere (RFC 3597).
    func encode(_ type: DNSRecordType, into writer: inout DNSWriter) throws(DNSWireError) {
        // NS, CNAME, SOA, PTR, MX.
        let mayCompress = [2, 5, 6, 12, 15].contains(type.rawValue)
        switch self {
        case .address(.v4(let address)): writer.append(address.rawValue)
        case .address(.v6(let address)):
            for group in address.groups { writer.append(group) }
        case .name(let name): writer.append(name, compressed: mayCompress)
        case .preference(let preference, let name):
            writer.append(preference)
            writer.append(name, compressed: mayCompress)
        case .names(let first, let second):
            writer.append(first, compressed: false)
            writer.append(second, compressed: false)
        case .service(let priority, let weight, let port, let target):
            for number in [priority, weight, port] { writer.append(number) }
            writer.append(target, compressed: false)
        case .start(let primary, let mailbox, let numbers):
            writer.append(primary, compressed: mayCompress)
            writer.append(mailbox, compressed: mayCompress)
            guard numbers.count == 5 else { throw .badLength }
            for number in numbers { writer.append(number) }
        case .text(let strings):
            for string in strings {
                guard string.count <= 255 else { throw .tooLong }
                writer.append(UInt8(truncatingIfNeeded: string.count))
                writer.append(contentsOf: string)
            }
        case .binding(let binding): try binding.encode(into: &writer)
        case .opaque(let bytes): writer.append(contentsOf: bytes)
        }
    }
}
