// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// A routing rule: which packets look into which table (`ip rule`, `linux/fib_rules.h`).
public struct RoutingRuleRecord: Hashable, Sendable {
    /// The family of the packets.
    public var family: AddressFamily
    /// Rules are asked from the lowest number on; the local table has 0, the main table 32766.
    public var priority: UInt32
    /// The addresses that packets have come from; `nil` for any. A packet of the host's own that has no source address yet
    /// comes from none.
    public var source: IPPrefix?
    /// The interface that packets have come in by; `lo` for the host's own. `nil` for any.
    public var inputInterface: String?
    /// The packet mark's bits that are looked at, and their value; `nil` for any mark.
    public var mark: Mark?
    /// The table.
    public var table: UInt32
    /// Routes of this prefix length and shorter do not count: with 0, the table's default routes do not.
    public var suppressedPrefixLength: UInt32?
    /// `RTPROT_*`, who made it.
    public var protocolNumber: UInt8
    /// Whether the kernel lets nobody remove it (`FIB_RULE_PERMANENT`).
    public var isPermanent: Bool

    /// Bits of the packet mark.
    public struct Mark: Hashable, Sendable {
        /// Their value.
        public var value: UInt32
        /// The bits that are looked at.
        public var mask: UInt32

        /// Creates the pair.
        public init(value: UInt32, mask: UInt32) {
            self.value = value
            self.mask = mask
        }
    }

    /// Creates a rule.
    public init(
        family: AddressFamily,
        priority: UInt32,
        source: IPPrefix? = nil,
        inputInterface: String? = nil,
        mark: Mark? = nil,
        table: UInt32,
        suppressedPrefixLength: UInt32? = nil,
        protocolNumber: UInt8 = 4,
        isPermanent: Bool = false
    ) {
        self.family = family
        self.priority = priority
        self.source = source
        self.inputInterface = inputInterface
        self.mark = mark
        self.table = table
        self.suppressedPrefixLength = suppressedPrefixLength
        self.protocolNumber = protocolNumber
        self.isPermanent = isPermanent
    }
}

extension RouteWire {
    /// Adds a rule. What exists is refused with `EEXIST`.
    public static func addRule(_ rule: RoutingRuleRecord, sequence: UInt32) throws(WireError) -> [UInt8] {
        try ruleRequest(RouteMessage.newRule, create, rule, sequence)
    }

    /// Deletes a rule.
    public static func deleteRule(_ rule: RoutingRuleRecord, sequence: UInt32) throws(WireError) -> [UInt8] {
        try ruleRequest(RouteMessage.deleteRule, change, rule, sequence)
    }

    /// Asks for the rules of a family.
    public static func rulesRequest(family: AddressFamily, sequence: UInt32) throws(WireError) -> [UInt8] {
        try request(RouteMessage.getRule, NetlinkFlag.dump, sequence) { (writer) throws(WireError) in
            writer.append([family.socketFamily, 0, 0, 0, 0, 0, 0, 0])
            writer.appendHost(UInt32(0))
        }
    }

    /// `FIB_RULE_PERMANENT`.
    private static let permanent: UInt32 = 1

    private static func ruleRequest(
        _ type: UInt16,
        _ flags: UInt16,
        _ rule: RoutingRuleRecord,
        _ sequence: UInt32
    ) throws(WireError) -> [UInt8] {
        guard rule.source?.family ?? rule.family == rule.family else {
            throw WireError(.badValue, "rule for packets from another family")
        }
        let sourceLength = UInt8(clamping: rule.source?.length ?? 0)
        return try request(type, flags, sequence) { (writer) throws(WireError) in
            writer.append([
                rule.family.socketFamily, 0, sourceLength, 0, UInt8(exactly: rule.table) ?? 0, 0, 0, Fra.lookUpTable,
            ])
            writer.appendHost(rule.isPermanent ? permanent : UInt32(0))
            if let source = rule.source, source.length > 0 {
                try writer.putBytes(Fra.source, source.address.networkBytes)
            }
            if let interface = rule.inputInterface { try writer.putString(Fra.inputInterface, interface) }
            writer.putHost(Fra.priority, rule.priority)
            if let mark = rule.mark {
                writer.putHost(Fra.mark, mark.value)
                writer.putHost(Fra.markMask, mark.mask)
            }
            if let length = rule.suppressedPrefixLength { writer.putHost(Fra.suppressedPrefixLength, length) }
            writer.putHost(Fra.table, rule.table)
            writer.putUInt8(Fra.protocolNumber, rule.protocolNumber)
        }
    }

    /// Decodes `RTM_NEWRULE` or `RTM_DELRULE`. `nil` for rules of other families, and for those that do something
    /// else than look into a table.
    public static func decodeRule(_ message: NetlinkMessage) throws(WireError) -> RoutingRuleRecord? {
        guard message.type == RouteMessage.newRule || message.type == RouteMessage.deleteRule else {
            throw WireError(.badValue, "message type \(message.type) is not a rule")
        }
        let (reader, attributes) = try message.headerAndAttributes(12, "rule header")
        let header = Array(reader.rest)
        guard header.count == 12 else { throw WireError(.truncated, "rule header") }
        guard let family = AddressFamily(socketFamily: header[0]), header[7] == Fra.lookUpTable else { return nil }
        let flags = ByteOrder.host(header[8...], as: UInt32.self)
        var rule = RoutingRuleRecord(family: family, priority: 0, table: UInt32(header[4]), protocolNumber: 0)
        var value: UInt32 = 0
        var mask: UInt32?
        for attribute in attributes {
            switch attribute.type {
            case Fra.source:
                let address = try IPAddress(networkBytes: attribute.payload)
                guard address.family == family, let source = IPPrefix(address, length: Int(header[2])) else {
                    throw WireError(.badLength, "rule source")
                }
                rule.source = source
            case Fra.inputInterface: rule.inputInterface = attribute.string()
            case Fra.priority: rule.priority = try attribute.host(UInt32.self)
            case Fra.mark: value = try attribute.host(UInt32.self)
            case Fra.markMask: mask = try attribute.host(UInt32.self)
            case Fra.table: rule.table = try attribute.host(UInt32.self)
            case Fra.suppressedPrefixLength:
                let length = try attribute.host(UInt32.self)
                // The kernel writes -1 where none is set.
                rule.suppressedPrefixLength = length == .max ? nil : length
            case Fra.protocolNumber: rule.protocolNumber = try attribute.uint8()
            default: break
            }
        }
        if let mask { rule.mark = RoutingRuleRecord.Mark(value: value, mask: mask) }
        rule.isPermanent = flags & permanent != 0
        return rule
    }
}

/// Attribute types of rules (`FRA_*`).
private enum Fra {
    /// `FR_ACT_TO_TBL`.
    static let lookUpTable: UInt8 = 1
    static let source: UInt16 = 2
    static let inputInterface: UInt16 = 3
    static let priority: UInt16 = 6
    static let mark: UInt16 = 10
    static let suppressedPrefixLength: UInt16 = 14
    static let table: UInt16 = 15
    static let markMask: UInt16 = 16
    static let protocolNumber: UInt16 = 21
}
