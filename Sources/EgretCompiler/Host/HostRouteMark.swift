// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The numbers that the routes of networks' endpoints use in the kernel: bits of the packet mark, labels of connections,
/// and routing tables. None of them is a run's (`RouteMark`).
///
/// `docs/design/routes.md` says why these.
public enum HostRouteMark {
    /// The numbers that ways of a host may have.
    public static let ways = 1...63

    /// The bits of the packet mark that hold the number of a way (24 to 28, and 31) and say that it is a host's (30 set,
    /// 29 clear).
    public static let mask: UInt32 = 0xff00_0000
    /// The bit that answers of the host carry besides.
    static let answerBit: UInt32 = 0x2000
    /// The bits of the packet mark that the mark of an answer sets.
    static let answerMask: UInt32 = mask | answerBit

    /// The mark of packets on a way, and of the host's own that find out its health.
    public static func packet(way number: Int) -> UInt32 {
        let bits = UInt32(truncatingIfNeeded: number & 63)
        return 0x4000_0000 | (bits & 31) << 24 | (bits & 32) << 26
    }

    /// The mark of the host's answers to what has come by a way, and of which it knows no connection.
    static func answer(way number: Int) -> UInt32 { packet(way: number) | answerBit }

    /// The mark of what the host's proxies send by a way for endpoints.
    public static func sent(way number: Int) -> UInt32 { packet(way: number) | HostNames.sent }
    /// The mark that what proxies send by any way has in common, and the bits that it is in.
    static let sentByWays: (value: UInt32, mask: UInt32) = (
        0x4000_0000 | HostNames.sent, 0x60ff_ffff & ~HostNames.others
    )

    /// The mark that the answers of all ways have in common, and the bits that it is in.
    public static let answers: (value: UInt32, mask: UInt32) = (0x4000_0000 | answerBit, 0x6000_0000 | answerBit)

    /// The routing tables of ways.
    public static let tables: Range<UInt32> = 0x6600_0000..<0x6600_0040

    /// The routing table of a way.
    public static func table(way number: Int) -> UInt32 {
        tables.lowerBound + UInt32(truncatingIfNeeded: number & 63)
    }

    /// The label of connections on a way.
    public static func label(way number: Int) -> UInt8 { 32 + UInt8(truncatingIfNeeded: number & 63) }
    /// The label of every connection that is on some way.
    static let led: UInt8 = 32
}
