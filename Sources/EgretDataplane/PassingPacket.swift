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
    public var outputs: Swift.Set<String>
    /// Whether its destination was translated on its way, as a published port's is.
    public var isTranslated: Bool

    /// Describes a packet.
    public init(
        from source: IPAddress,
        input: String,
        inputIndex: UInt32,
        outputs: Swift.Set<String>,
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
    /// What becomes of the packet by a rule: the rule's last expression, or the verdict that its map has for the packet.
    ///
    /// - Parameters:
    ///   - rule: The rule's expressions.
    ///   - sets: The sets of its table.
    /// - Returns: `nil` if the rule does not match, or if that depends on what is not known of the packet.
    func end(of rule: [KernelExpression], _ sets: ForeignSets) -> KernelExpression? {
        guard let last = rule.last else { return nil }
        // What was loaded since anybody last asked: several parts make one key.
        var parts: [Loaded] = []
        for expression in rule.dropLast() {
            switch expression {
            case .into(_, .immediate), .immediate, .counter, .log, .object, .setConntrack, .setMeta: continue
            case .into(_, let load): parts.append(self.loaded(by: load))
            case .meta, .payload, .conntrack, .fib: parts.append(self.loaded(by: expression))
            case .connectionTuple, .socketCgroup, .evaluationNumber, .randomNumber: parts.append(.unknown)
            case .byteOrder: parts = parts.dropLast() + [.unknown]
            case .bitwise(let mask, let xor): parts = parts.dropLast() + [parts.last?.masked(mask, xor) ?? .unknown]
            case .compare(let isEqual, let bytes):
                guard parts.last?.compares(isEqual: isEqual, bytes) == true else { return nil }
                parts = []
            case .lookup(let set, let isInverted):
                guard let found = elements(of: set, sets, for: parts) else { return nil }
                guard found.contains(where: { ($0 == .absent) == isInverted }) else { return nil }
                parts = []
            case .other(let name, let data):
                guard name == "match" && XtName(data) == "comment" else { return nil }
            case .verdictMap, .verdict, .reject, .masquerade, .translate, .transparentProxy, .forward, .limit,
                .connectionLimit, .each, .addElement, .keepElement, .removeElement, .writePayload:
                return nil
            }
        }
        guard case .verdictMap(let map) = last else { return last }
        // Of several ways out, each may lead elsewhere.
        let found = Swift.Set(elements(of: map, sets, for: parts) ?? [])
        guard found.count == 1, case .present(let verdict?)? = found.first else { return nil }
        return .verdict(verdict)
    }

    /// What a set has for each key that may be loaded; `nil` if that is not known.
    private func elements(of set: String, _ sets: ForeignSets, for parts: [Loaded]) -> [ForeignSets.Element]? {
        var keys: [[UInt8]] = [[]]
        for part in parts {
            guard let values = part.values else { return nil }
            // Parts of a key begin at words of 4 bytes each.
            keys = keys.flatMap { key in
                values.map { key + Array(repeating: 0, count: (4 - key.count % 4) % 4) + $0 }
            }
        }
        let padding = parts.count > 1 ? keys.map { (4 - $0.count % 4) % 4 } : keys.map { _ in 0 }
        let found = zip(keys, padding).compactMap { key, count in
            sets.element(of: key + Array(repeating: 0, count: count), in: set)
        }
        return found.count == keys.count ? found : nil
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
    case names(Swift.Set<String>)
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

    /// What may be in the register, as keys of sets have it; `nil` if that is not known.
    var values: [[UInt8]]? {
        switch self {
        case .bytes(let bytes): [bytes]
        case .names(let names): names.map { Loaded.padded($0) }
        case .unknown: nil
        }
    }

    /// A name as registers have it (`IFNAMSIZ`).
    private static func padded(_ name: String) -> [UInt8] {
        Array(name.utf8) + Array(repeating: 0, count: max(0, 16 - name.utf8.count))
    }

    /// A name is compared with its closing zero; a shorter comparison is with the beginning of names.
    private static func isName(_ name: String, _ wanted: [UInt8]) -> Bool {
        let bytes = padded(name)
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
