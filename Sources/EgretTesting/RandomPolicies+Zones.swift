// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretPolicy

extension RandomPolicies {
    /// Zones that differ in how their clocks change: not at all, by half an hour, in winter, on the evening before.
    ///
    /// They are made up here, so that equal seeds give equal policies on every machine.
    public static let zones: [TimeZoneRules] =
        [.utc]
        + [
            ("Test/Central", "CET-1CEST,M3.5.0,M10.5.0/3"), ("Test/Eastern", "EST5EDT,M3.2.0,M11.1.0"),
            ("Test/Half", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"), ("Test/Quarter", "<+0545>-5:45"),
            ("Test/Winter", "IST-1GMT0,M10.5.0,M3.5.0/1"), ("Test/Evening", "<-02>2<-01>,M3.5.0/-1,M10.5.0/0"),
        ].compactMap { name, rule in try? TimeZoneRules(tzif: tzif(rule), name: name) }

    /// A TZif file of version 3 without recorded changes: the footer says it all (RFC 8536 section 3).
    private static func tzif(_ footer: String) -> [UInt8] {
        // One type, UTC, with a name of no letters.
        let counts: [UInt8] = [0, 0, 0, 0, 1, 1].flatMap { [0, 0, 0, $0] }
        let block = Array("TZif3".utf8) + [UInt8](repeating: 0, count: 15) + counts + [UInt8](repeating: 0, count: 7)
        return block + block + [0x0a] + Array(footer.utf8) + [0x0a]
    }
}
