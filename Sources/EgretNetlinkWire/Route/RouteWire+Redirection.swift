// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// `TC_H_CLSACT`, and `TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)`.
private enum ClassifyingPlace {
    static let discipline: UInt32 = 0xffff_fff1
    static let leaving: UInt32 = 0xffff_fff3
    static let handle: UInt32 = 0xffff_0000
}

extension RouteWire {
    /// Makes a link that hands what it is given to another one, past its own queue (`macvlan`, private). It is down.
    public static func createLinkAbove(
        _ lower: UInt32, name: String, address: MACAddress, sequence: UInt32
    ) throws(WireError) -> [UInt8] {
        try request(RouteMessage.newLink, create, sequence) { (writer) throws(WireError) in
            writer.append([UInt8](repeating: 0, count: 16))
            try writer.putString(Ifla.name, name)
            try writer.putBytes(Ifla.address, address.octets)
            // IFLA_LINK.
            writer.putHost(5, lower)
            try writer.nest(Ifla.info) { (writer) throws(WireError) in
                try writer.putString(Ifla.infoKind, "macvlan")
                // IFLA_INFO_DATA, IFLA_MACVLAN_MODE: MACVLAN_MODE_PRIVATE.
                try writer.nest(2) { (writer) throws(WireError) in writer.putHost(1, UInt32(1)) }
            }
        }
    }

    /// Gives a link the place where filters see what leaves by it (`clsact`). One that has it answers `EEXIST`.
    public static func addClassifyingPlace(link index: UInt32, sequence: UInt32) throws(WireError) -> [UInt8] {
        try request(TrafficControlMessage.newDiscipline, create, sequence) { (writer) throws(WireError) in
            writer.appendTrafficHeader(
                link: index, handle: ClassifyingPlace.handle, parent: ClassifyingPlace.discipline)
            try writer.putString(1, "clsact")
        }
    }

    /// Takes that place from a link, with all filters in it.
    public static func deleteClassifyingPlace(link index: UInt32, sequence: UInt32) throws(WireError) -> [UInt8] {
        try request(TrafficControlMessage.deleteDiscipline, NetlinkFlag.acknowledge, sequence) {
            (writer) throws(WireError) in
            writer.appendTrafficHeader(
                link: index, handle: ClassifyingPlace.handle, parent: ClassifyingPlace.discipline)
        }
    }

    /// Leads everything that leaves by a link through another one first (`mirred egress redirect`), in place of where it was
    /// led before.
    ///
    /// - Parameters:
    ///   - index: The link.
    ///   - target: The other one, from which it comes back.
    ///   - preference: The filter's place among others, by which it is known: the lower is asked first.
    ///   - sequence: The request's sequence number.
    /// - Returns: The message.
    /// - Throws: ``WireError`` if a value does not fit.
    public static func redirect(link index: UInt32, through target: UInt32, preference: UInt16, sequence: UInt32)
        throws(WireError) -> [UInt8]
    {
        let flags = NetlinkFlag.acknowledge | NetlinkFlag.create | NetlinkFlag.replace
        // ETH_P_ALL in the network's byte order.
        let information = UInt32(preference) << 16 | UInt32(UInt16(3).bigEndian)
        return try request(TrafficControlMessage.newFilter, flags, sequence) { (writer) throws(WireError) in
            writer.appendTrafficHeader(
                link: index, handle: 0x8000_0800, parent: ClassifyingPlace.leaving, information: information)
            try writer.putString(1, "u32")
            try writer.nest(2) { (writer) throws(WireError) in
                // TCA_U32_SEL, `struct tc_u32_sel`: TC_U32_TERMINAL, one key that matches everything.
                var selector = [UInt8](repeating: 0, count: 32)
                selector[0] = 1
                selector[2] = 1
                try writer.putBytes(5, selector)
                // TCA_U32_ACT, the first action: TCA_ACT_KIND, TCA_ACT_OPTIONS, TCA_MIRRED_PARMS.
                try writer.nest(7) { (writer) throws(WireError) in
                    try writer.nest(1) { (writer) throws(WireError) in
                        try writer.putString(1, "mirred")
                        try writer.nest(2) { (writer) throws(WireError) in
                            // `struct tc_mirred`: TC_ACT_STOLEN, TCA_EGRESS_REDIR.
                            let words = [0, 0, 4, 0, 0, 1, target] as [UInt32]
                            try writer.putBytes(2, words.flatMap { ByteOrder.hostBytes($0, count: 4) })
                        }
                    }
                }
            }
        }
    }

    /// Takes the filters of a preference from where they see what leaves by a link.
    public static func deleteRedirection(link index: UInt32, preference: UInt16, sequence: UInt32) throws(WireError)
        -> [UInt8]
    {
        let information = UInt32(preference) << 16 | UInt32(UInt16(3).bigEndian)
        return try request(TrafficControlMessage.deleteFilter, NetlinkFlag.acknowledge, sequence) {
            (writer) throws(WireError) in
            writer.appendTrafficHeader(
                link: index, handle: 0, parent: ClassifyingPlace.leaving, information: information)
            try writer.putString(1, "u32")
        }
    }

    /// Decodes `RTM_NEWQDISC`: the link whose place for filters it tells of; `nil` for every other discipline.
    public static func decodeClassifyingPlace(_ message: NetlinkMessage) throws(WireError) -> UInt32? {
        var (header, attributes) = try message.headerAndAttributes(20, "queueing header")
        _ = try header.readHost(UInt32.self, "queueing header")
        let link = try header.readHost(UInt32.self, "queueing header")
        let handle = try header.readHost(UInt32.self, "queueing header")
        let isPlace = handle == ClassifyingPlace.handle && attributes.first { $0.type == 1 }?.string() == "clsact"
        return isPlace ? link : nil
    }

    /// Asks for the filters that see what leaves by a link. A link without a place for them has none.
    public static func redirectionsRequest(link index: UInt32, sequence: UInt32) throws(WireError) -> [UInt8] {
        try request(TrafficControlMessage.getFilter, NetlinkFlag.dump, sequence) { (writer) throws(WireError) in
            writer.appendTrafficHeader(link: index, handle: 0, parent: ClassifyingPlace.leaving)
        }
    }

    /// Decodes `RTM_NEWTFILTER`: where a filter made by ``redirect(link:through:preference:sequence:)`` leads to; `nil` for
    /// any other, and for what tells of its tables alone.
    public static func decodeRedirection(_ message: NetlinkMessage, preference: UInt16) throws(WireError) -> UInt32? {
        var (header, attributes) = try message.headerAndAttributes(20, "filter header")
        for _ in 0..<4 { _ = try header.readHost(UInt32.self, "filter header") }
        let information = try header.readHost(UInt32.self, "filter header")
        guard information >> 16 == UInt32(preference), attributes.first(where: { $0.type == 1 })?.string() == "u32",
            let actions = try attributes.first(where: { $0.type == 2 })?.attributes().first(where: { $0.type == 7 }),
            let action = try actions.attributes().first?.attributes(),
            action.first(where: { $0.type == 1 })?.string() == "mirred",
            let options = try action.first(where: { $0.type == 2 })?.attributes(),
            let parameters = options.first(where: { $0.type == 2 })?.payload, parameters.count >= 28
        else { return nil }
        // `struct tc_mirred`: the action at 20, the link at 24.
        let kind = ByteOrder.host(parameters.dropFirst(20).prefix(4), as: UInt32.self)
        return kind == 1 ? ByteOrder.host(parameters.dropFirst(24).prefix(4), as: UInt32.self) : nil
    }
}
