// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
import EgretNetlinkWire

/// The first packet of a connection that the host passes on, as far as it is known before anybody sends it.
public struct PassingPacket: Hashable, Sendable {
    /// An address that it may come from.
    public var source: IPAddress
    /// The interface that it comes in by.
    public var input: String
    /// The index of that interface.
    public var inputIndex: UInt32
    /// The interfaces that it may leave by: the way is open if it is open by one of them.
    public var outputs: Set<String>
    /// Whether its destination was translated on its way, as a published port's is.
    public var isTranslated: Bool

    /// Describes a packet.
    public init(
        from source: IPAddress,
        input: String,
        inputIndex: UInt32,
        outputs: Set<String>,
        isTranslated: Bool = false
    ) {
        self.source = source
        self.input = input
        self.inputIndex = inputIndex
        self.outputs = outputs
        self.isTranslated = isTranslated
    }
}

extension PassingPacket {
    /// Whether the packet matches all that a rule asks.
    ///
    /// - Parameter conditions: The rule's expressions without its verdict.
    /// - Returns: `nil` if that depends on what is not known of the packet.
    func matches(_ conditions: [KernelExpression]) -> Bool? {
        var loaded: Loaded = .unknown
        var isCertain = true
        for expression in conditions {
            switch expression {
            case .into(_, .immediate), .immediate, .counter, .log, .object, .setConntrack, .setMeta: continue
            case .into(_, let load): loaded = self.loaded(by: load)
            case .meta, .payload, .conntrack, .fib: loaded = self.loaded(by: expression)
            case .connectionTuple, .byteOrder, .socketCgroup, .evaluationNumber, .randomNumber: loaded = .unknown
            case .bitwise(let mask, let xor): loaded = loaded.masked(mask, xor)
            case .compare(let isEqual, let bytes):
                guard let isTrue = loaded.compares(isEqual: isEqual, bytes) else {
                    isCertain = false
                    continue
                }
                if !isTrue { return false }
            case .other(let name, let data):
                if name == "match" && XtName(data) == "comment" { continue }
                isCertain = false
            case .lookup, .verdictMap, .verdict, .reject, .masquerade, .translate, .transparentProxy, .forward, .limit,
                .connectionLimit, .each, .addElement, .keepElement, .removeElement, .writePayload:
                isCertain = false
            }
        }
        return isCertain ? true : nil
    }

    private func loaded(by expression: KernelExpression) -> Loaded {
        switch expression {
        case .meta(key: .inputInterface): .bytes(PassingPacket.bytes(inputIndex))
        case .meta(key: .networkProtocol): .bytes([source.family == .ipv4 ? 2 : 10])
        case .meta(key: .etherType): .bytes(source.family == .ipv4 ? [0x08, 0x00] : [0x86, 0xdd])
        case .meta(key: .inputInterfaceName): .names([input])
        case .meta(key: .outputInterfaceName): .names(outputs)
        case .conntrack(key: .state): .bytes(PassingPacket.bytes(PassingPacket.isNew))
        case .conntrack(key: .status): .bytes(PassingPacket.bytes(isTranslated ? PassingPacket.hasNewDestination : 0))
        case .payload(.network, let offset, let length): sourceBytes(offset, length)
        default: .unknown
        }
    }

    /// `NF_CT_STATE_BIT(IP_CT_NEW)`.
    private static let isNew: UInt32 = 8

    /// `IPS_DST_NAT` of `enum ip_conntrack_status`.
    private static let hasNewDestination: UInt32 = 32

    private func sourceBytes(_ offset: UInt32, _ length: UInt32) -> Loaded {
        let (start, width) = source.family == .ipv4 ? (12, 4) : (8, 16)
        guard offset == start, length <= width else { return .unknown }
        let all = (0..<width).map { UInt8(truncatingIfNeeded: source.rawValue >> UInt128(8 * (width - 1 - $0))) }
        return .bytes(Array(all.prefix(Int(length))))
    }

    /// In the host's order, as the kernel keeps numbers in registers.
    private static func bytes(_ number: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: number.littleEndian >> UInt32(8 * $0)) }
    }
}

extension KernelExpression.MetaKey {
    /// `NFT_META_IIFNAME`.
    fileprivate static let inputInterfaceName = Self(rawValue: 6)
    /// `NFT_META_OIFNAME`.
    fileprivate static let outputInterfaceName = Self(rawValue: 7)
}

/// What a register holds.
private enum Loaded {
    case bytes([UInt8])
    /// The name of one of several interfaces.
    case names(Set<String>)
    case unknown

    func masked(_ mask: [UInt8], _ xor: [UInt8]) -> Loaded {
        guard case .bytes(let bytes) = self, bytes.count == mask.count, mask.count == xor.count else { return .unknown }
        return .bytes(zip(bytes, zip(mask, xor)).map { ($0 & $1.0) ^ $1.1 })
    }

    func compares(isEqual: Bool, _ wanted: [UInt8]) -> Bool? {
        switch self {
        case .bytes(let bytes): bytes.count == wanted.count ? (bytes == wanted) == isEqual : nil
        case .names(let names): names.contains { Loaded.isName($0, wanted) == isEqual }
        case .unknown: nil
        }
    }

    /// A name is compared with its closing zero; a shorter comparison is with the beginning of names.
    private static func isName(_ name: String, _ wanted: [UInt8]) -> Bool {
        let bytes = Array(name.utf8) + Array(repeating: 0, count: max(0, 16 - name.utf8.count))
        return wanted.count <= bytes.count && bytes.starts(with: wanted)
    }
}

/// The name of a match or a target that iptables has kept in its own form (`NFTA_MATCH_NAME`, `NFTA_TARGET_NAME`).
struct XtName: Equatable, ExpressibleByStringLiteral {
    let name: String

    init(stringLiteral name: String) { self.name = name }

    init(_ data: [UInt8]) {
        let fields = (try? NetlinkAttribute.parse(data[...])) ?? []
        name = fields.first { $0.type == 1 }.map { $0.string() } ?? ""
    }
}

/// The helper that iptables' target `CT` assigns.
struct XtHelper {
    let name: String

    /// Reads the target's data: a name, and `struct xt_ct_target_info` of `linux/netfilter/xt_CT.h`, of any revision.
    ///
    /// - Returns: `nil` if it is another target, or one that assigns no helper.
    init?(_ data: [UInt8]) {
        let fields = (try? NetlinkAttribute.parse(data[...])) ?? []
        guard XtName(data) == "CT", let info = fields.first(where: { $0.type == 3 })?.payload,
            info.count >= XtHelper.offset + XtHelper.length
        else { return nil }
        let text = info.dropFirst(XtHelper.offset).prefix(XtHelper.length).prefix { $0 != 0 }
        if text.isEmpty { return nil }
        name = String(decoding: text, as: UTF8.self)
    }

    /// Behind flags, zone and two sets of events.
    private static let offset = 12
    private static let length = 16
}
