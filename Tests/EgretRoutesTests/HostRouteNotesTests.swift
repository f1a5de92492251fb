// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy
import Testing

@testable import EgretRoutes

@Suite("what outlives the agent of its ways")
struct HostRouteNotesTests {
    private func way(
        _ gateway: String? = nil, _ interface: String? = nil, _ sources: String? = nil, isPerConnection: Bool = false
    ) -> RouteWay {
        let sources = sources.flatMap { RouteWay.sources($0) }
        return RouteWay(
            gateway: gateway.flatMap { IPAddress($0) }, interface: interface.flatMap { InterfaceName($0) },
            sourceAddress: sources?.first, lastSourceAddress: sources?.last, isSourcePerConnection: isPerConnection)
    }

    @Test("what is written is read")
    func roundTrip() {
        var notes = HostRouteNotes()
        notes.ways = [
            1: way("192.0.2.1"), 2: way("2001:db8::1", "wg0", "2001:db8::7"), 7: way(nil, "eth1"),
            62: way(nil, nil, "192.0.2.7-192.0.2.9", isPerConnection: true),
            63: way(nil, nil, "192.0.2.7-192.0.2.9"),
        ]
        notes.silent = [2, 7]
        #expect(
            notes.text == """
                1 answers 192.0.2.1 - -
                2 silent 2001:db8::1 wg0 2001:db8::7
                7 silent - eth1 -
                62 answers - - 192.0.2.7-192.0.2.9 connection
                63 answers - - 192.0.2.7-192.0.2.9

                """)
        #expect(HostRouteNotes(text: notes.text) == notes)
    }

    @Test(
        "a line that is none, or says what another has said, is passed over",
        arguments: [
            "", "1 answers 192.0.2.1 -", "x answers 192.0.2.1 - -", "1 answers 192.0.2 - -", "1 answers - a/b -",
            "1 answers 192.0.2.3 - - endpoint",
            "1 answers - - 192.0.2.9-192.0.2.1", "9 answers 192.0.2.9 - -", "5 answers 192.0.2.2 - -",
        ])
    func damaged(line: String) {
        let sound = "9 answers 192.0.2.2 - -\n"
        #expect(HostRouteNotes(text: sound + line + "\n").ways == [9: way("192.0.2.2")])
    }
}
