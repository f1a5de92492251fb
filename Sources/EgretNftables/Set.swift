// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// What one part of a set's key, or a map's data, is.
///
/// The raw value is nft's number for the type (`enum datatypes` in nftables' `include/datatype.h`), kept by the
/// kernel unread so that `nft list` can print elements as what they are.
public enum DataType: UInt32, Hashable, Sendable, CaseIterable {
    /// `integer`, 4 bytes here; big endian, as intervals need it. For nft the type has no length: it declares such a set by
    /// the expression that looks into it, here always ``Selector/evaluationNumber``. No part of concatenated keys.
    case integer = 4
    /// `ipv4_addr`, 4 bytes.
    case ipv4Address = 7
    /// `ipv6_addr`, 16 bytes.
    case ipv6Address = 8
    /// `ether_addr`, 6 bytes.
    case etherAddress = 9
    /// `inet_proto`, 1 byte.
    case inetProtocol = 12
    /// `inet_service`, 2 bytes, big endian.
    case inetService = 13
    /// `icmp_type`, 1 byte.
    case icmpType = 14
    /// `mark`, 4 bytes, the machine's byte order.
    case mark = 19
    /// `iface_index`, 4 bytes, the machine's byte order.
    case interfaceIndex = 20
    /// `icmpv6_type`, 1 byte.
    case icmpv6Type = 29
    /// `time`, 8 bytes: nanoseconds since 1970 (UTC); big endian, as intervals need it. nft declares such a set by
    /// ``Selector/time``. No part of concatenated keys.
    case time = 43
    /// `cgroupsv2`, 8 bytes, the machine's byte order: the kernel's number of a control group.
    case cgroup = 46

    /// The number of bytes that a value takes in a key.
    public var byteCount: Int {
        switch self {
        case .inetProtocol, .icmpType, .icmpv6Type: 1
        case .inetService: 2
        case .integer, .ipv4Address, .mark, .interfaceIndex: 4
        case .etherAddress: 6
        case .time, .cgroup: 8
        case .ipv6Address: 16
        }
    }
}

/// A set, or a map to verdicts.
///
/// Sets and verdict maps share one name space in a table.
public struct Set: Hashable, Sendable {
    /// The name, unique among the table's sets and maps.
    public var name: String
    /// The type of its keys.
    public var keyType: DataType
    /// The types of the key's further parts, in a set whose keys are concatenated (`ipv4_addr . inet_service`).
    /// Such a set has no intervals, and its elements carry as many ``SetElement/furtherKeys``.
    public var furtherKeyTypes: [DataType] = []
    /// Whether keys may be ranges. Ranges of one set never overlap.
    public var hasIntervals: Bool
    /// Whether each key leads to a verdict (a verdict map).
    public var mapsToVerdict: Bool
    /// How many elements it has room for; `nil` without limit. For a known size the kernel takes a fixed hash table,
    /// which it fills and searches faster than one that grows.
    public var size: UInt32?
    /// Whether elements may have a time to live (`flags timeout`).
    public var hasTimeouts = false
    /// Whether rules put elements in by themselves (`flags dynamic`): ``Statement/withinEach(_:set:perSecond:burst:)``,
    /// ``Statement/beyondEach(_:set:_:seconds:burst:)``, ``Statement/connectionsOverEach(_:set:_:)``,
    /// ``Statement/addToSet(_:_:)``, ``Statement/keepInSet(_:_:)``; or take them out: ``Statement/removeFromSet(_:_:)``. Without
    /// a size, the kernel lets rules put up to 65,535 in, and takes room as it is needed; for a size it takes all of it at once.
    public var isDynamic = false
    /// What it holds when the transaction that adds it commits.
    public var contents: SetContents

    /// Creates a set or map.
    public init(
        _ name: String,
        keyType: DataType,
        hasIntervals: Bool = false,
        mapsToVerdict: Bool = false,
        size: UInt32? = nil,
        contents: SetContents = .elements([])
    ) {
        self.name = name
        self.size = size
        self.keyType = keyType
        self.hasIntervals = hasIntervals
        self.mapsToVerdict = mapsToVerdict
        self.contents = contents
    }

    /// Creates a map from concatenated keys to verdicts.
    public init(_ name: String, concatenating keyType: DataType, _ further: [DataType], contents: [SetElement] = []) {
        self.init(name, keyType: keyType, mapsToVerdict: true, contents: .elements(contents))
        furtherKeyTypes = further
    }
}

/// A run of addresses, both ends included, and which of the map's verdicts it leads to.
public struct AddressInterval<Address: FixedWidthInteger & UnsignedInteger & Sendable>: Hashable, Sendable {
    /// The first address, host byte order.
    public var lowerBound: Address
    /// The last address, host byte order.
    public var upperBound: Address
    /// The place of the verdict in the map's list of verdicts; 0 in a plain set.
    public var verdictIndex: UInt32

    /// Creates an interval.
    public init(_ lowerBound: Address, _ upperBound: Address, verdictIndex: UInt32 = 0) {
        self.lowerBound = lowerBound
        self.upperBound = upperBound
        self.verdictIndex = verdictIndex
    }
}

/// The elements of a set, in a form fit for their number.
public enum SetContents: Hashable, Sendable {
    /// A modest number of elements of any type, sorted by key.
    case elements([SetElement])
    /// IPv4 address ranges, sorted, apart; up to millions. `verdicts` is empty in a plain set.
    case ipv4Intervals([AddressInterval<UInt32>], verdicts: [Verdict])
    /// IPv6 address ranges, sorted, apart; up to millions. `verdicts` is empty in a plain set.
    case ipv6Intervals([AddressInterval<UInt128>], verdicts: [Verdict])

    /// The number of elements, a range counted as one.
    public var count: Int {
        switch self {
        case .elements(let elements): elements.count
        case .ipv4Intervals(let intervals, _): intervals.count
        case .ipv6Intervals(let intervals, _): intervals.count
        }
    }
}

/// One element of a set or map.
public struct SetElement: Hashable, Sendable {
    /// The key's first value. The set's key type says what it is; host byte order.
    public var lowerBound: UInt128
    /// The key's last value; equal to the first unless the set has intervals.
    public var upperBound: UInt128
    /// The values of the key's further parts, in a set of concatenated keys; host byte order.
    public var furtherKeys: [UInt128] = []
    /// Where the key leads, in a verdict map.
    public var verdict: Verdict?

    /// Creates an element for one key.
    public init(_ key: UInt128, verdict: Verdict? = nil) {
        self.init(key, key, verdict: verdict)
    }

    /// Creates an element for a range of keys.
    public init(_ lowerBound: UInt128, _ upperBound: UInt128, verdict: Verdict? = nil) {
        self.lowerBound = lowerBound
        self.upperBound = upperBound
        self.verdict = verdict
    }

    /// Creates an element for a concatenated key.
    public init(_ key: UInt128, _ further: [UInt128], verdict: Verdict? = nil) {
        self.init(key, key, verdict: verdict)
        furtherKeys = further
    }

    /// Creates an element whose key is one address.
    public init(_ address: IPAddress, verdict: Verdict? = nil) {
        self.init(address.rawValue, verdict: verdict)
    }
}

extension SetElement: Comparable {
    /// By key, its parts in order.
    public static func < (left: SetElement, right: SetElement) -> Bool {
        if (left.lowerBound, left.upperBound) != (right.lowerBound, right.upperBound) {
            return (left.lowerBound, left.upperBound) < (right.lowerBound, right.upperBound)
        }
        return left.furtherKeys.lexicographicallyPrecedes(right.furtherKeys)
    }
}
