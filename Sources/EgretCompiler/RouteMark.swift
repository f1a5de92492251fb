// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The numbers that routes use in the kernel: bits of the packet mark, labels of connections, and routing tables.
///
/// `docs/design/routes.md` says why these.
public enum RouteMark {
    /// The bits of the packet mark that hold the number of a way (24 to 28) and whether the packet is a check (29).
    public static let mask: UInt32 = 0x3f00_0000
    /// The bits that a check's packet carries besides: the run's slot.
    public static let checkMask: UInt32 = 0x3f00_3fff

    /// The bits for packets of a connection on a way, by its number, 1 to 31.
    public static func packet(way number: Int) -> UInt32 {
        UInt32(truncatingIfNeeded: number & 31) << 24
    }

    /// The mark of the host's own packets that find out a way's health.
    public static func check(way number: Int, slot: Int) -> UInt32 {
        packet(way: number) | 0x2000_0000 | UInt32(truncatingIfNeeded: slot & 0x3fff)
    }

    /// The mark of what the run's proxies send by a way: they have the routing rule of the way's checks.
    public static func sent(way number: Int, slot: Int) -> UInt32 { check(way: number, slot: slot) | HostNames.sent }

    /// The bits of the packet mark that hold the number of the way by which proxies send.
    static let sentWayMask: UInt32 = 0x1f00_0000

    /// The mark that what proxies send by any way has in common, and the bits that it is in.
    static func sentByWays(slot: Int) -> (value: UInt32, mask: UInt32) {
        (sent(way: 0, slot: slot), ~(sentWayMask | HostNames.others))
    }

    /// What the mark of the host's answers by a way has besides a check's.
    static let answer: UInt32 = 0x4000_0000
    /// The bits of the packet mark that the mark of an answer sets.
    static let answerMask: UInt32 = checkMask | answer

    /// The mark of the host's answers to what has come by a way, and of which it knows no connection.
    static func answer(way number: Int, slot: Int) -> UInt32 {
        check(way: number, slot: slot) | answer
    }

    /// The mark that the answers of all ways have in common, and the bits that it is in.
    public static func answers(slot: Int) -> (value: UInt32, mask: UInt32) {
        (answer | 0x2000_0000 | UInt32(truncatingIfNeeded: slot & 0x3fff), answer | 0x2000_3fff)
    }

    /// The routing table of a way.
    public static func table(way number: Int, slot: Int) -> UInt32 {
        tables(slot: slot).lowerBound + UInt32(truncatingIfNeeded: number & 31)
    }

    /// The routing tables of a run.
    public static func tables(slot: Int) -> Range<UInt32> {
        let first = 0x6500_0000 + UInt32(truncatingIfNeeded: slot & 0x3fff) << 5
        return first..<first + 32
    }

    /// The mark of a run's packets that are led to its name check, and the bits that it is in: bit 31, which no way of a run
    /// uses, and the slot. Bit 30 is clear: a host's ways have both.
    public static func diversion(slot: Int) -> (value: UInt32, mask: UInt32) {
        (0x8000_0000 | UInt32(truncatingIfNeeded: slot & 0x3fff), 0xc000_3fff)
    }

    /// The routing table that has the run's diverted packets delivered on the host: the first of the run's, which is no
    /// way's.
    public static func diversionTable(slot: Int) -> UInt32 { tables(slot: slot).lowerBound }

    /// The label of connections that are led to the name check, from their first packet to their last: below those of a host's
    /// endpoints and ways.
    static let diversionLabel: UInt8 = 30

    /// The place of the rule for diverted packets: before those of ways.
    public static let diversionRulePriority: UInt32 = 498
    /// The place of Egret's rules among the routing rules: behind the local table, before everybody else's.
    public static let rulePriority: UInt32 = 500
    /// The place of the rule for answers: before those of the ways.
    public static let answerRulePriority: UInt32 = 499

    /// The label of connections on a way; number 0 for those that go by the main table.
    static func label(way number: Int) -> UInt8 { 96 + UInt8(truncatingIfNeeded: number & 31) }
}
