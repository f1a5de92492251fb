// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretGreetingWire
import EgretLinux
import EgretNames
import Testing

@testable import EgretAgent

/// What is known of flows of datagrams that were let through.
struct PassedFlowsTests {
    private func flow(_ number: Int) -> PassedFlows.Flow {
        PassedFlows.Flow(
            source: SocketAddress(ipv4: 0xc000_020a, port: UInt16(number % 60_000)),
            destination: SocketAddress(ipv4: 0xcb00_7100 + UInt32(number / 60_000), port: 443))
    }

    private func entry(_ flow: PassedFlows.Flow, until: UInt64) -> PassedFlows.Entry {
        PassedFlows.Entry(
            attempt: ConnectionAttempt(
                source: flow.source, destination: flow.destination,
                speech: .name(SpokenName("www.example.test", .tls)), rules: [0], transport: .udp),
            sets: ["g7-q0-ipv4"], until: until)
    }

    private func note(_ flows: PassedFlows, _ number: Int, link: String = "veth1#4", until: UInt64) -> Bool {
        flows.note(entry(flow(number), until: until), of: flow(number), link: link, now: 1_000).isNoted
    }

    @Test("a flow is known by its link, is noted again, and is as before if it was not let through")
    func noting() throws {
        let flows = PassedFlows()
        #expect(note(flows, 1, until: 2_000))
        #expect(flows.entry(of: flow(1), link: "veth2#5") == nil)
        let again = flows.note(entry(flow(1), until: 3_000), of: flow(1), link: "veth1#4", now: 1_000)
        #expect(again.isNoted && again.former?.until == 2_000)
        flows.restore(again.former, of: flow(1), link: "veth1#4")
        #expect(flows.entry(of: flow(1), link: "veth1#4")?.until == 2_000)
        flows.restore(nil, of: flow(1), link: "veth1#4")
        #expect(flows.flows(of: "veth1#4").isEmpty)
        #expect(note(flows, 1, until: 2_000) && note(flows, 2, until: 2_000))
        flows.forget(flow(1), of: "veth1#4")
        #expect(flows.forget("veth1#4").count == 1 && flows.forget("veth1#4").isEmpty)
    }

    @Test("a link has so many that the kernel looks up and no more, and others have their room")
    func full() {
        let flows = PassedFlows()
        for number in 0..<PassedFlows.mostOfLink { #expect(note(flows, number, until: 2_000)) }
        #expect(!note(flows, 10_000, until: 2_000))
        #expect(note(flows, 10_000, link: "veth2#5", until: 2_000))
        // One that is in its sets already is let through all the same.
        #expect(note(flows, 7, until: 900))
        #expect(note(flows, 10_000, until: 2_000))
        #expect(flows.entry(of: flow(7), link: "veth1#4") == nil)
    }

    @Test("where there is no room at all, a link makes it that has most of what the kernel looks up no more")
    func largest() {
        let flows = PassedFlows()
        for link in 0..<8 {
            for number in 0..<PassedFlows.mostOfLink {
                #expect(note(flows, number, link: "veth\(link)", until: link == 3 ? 900 : 2_000))
            }
        }
        #expect(PassedFlows.mostOfLink * 8 == PassedFlows.most)
        flows.forget(flow(1), of: "veth0")
        #expect(note(flows, 1, link: "veth9", until: 2_000))
        #expect(note(flows, 2, link: "veth9", until: 2_000))
        #expect(flows.flows(of: "veth3").count == PassedFlows.mostOfLink - 1)
        #expect(flows.forget("veth3").count == PassedFlows.mostOfLink - 1)
        // Of the rest, the kernel looks up all.
        for number in 0..<(PassedFlows.mostOfLink - 1) { #expect(note(flows, number, link: "veth8", until: 2_000)) }
        #expect(!note(flows, 3, link: "veth9", until: 2_000) && !note(flows, 3, link: "veth9", until: 2_000))
    }

    @Test("what room costs does not grow with what a link has, whether there is some or not")
    func cost() {
        let flows = PassedFlows()
        func note(_ numbers: Range<Int>, until: UInt64, isNoted: Bool = true) {
            for number in numbers {
                let found = self.note(flows, number, until: until)
                if found != isNoted { Issue.record("\(number): \(found)") }
            }
        }
        note(0..<PassedFlows.mostOfLink, until: 900)
        #expect(flows.looks == 0)
        // All are looked through once for so many that come, not for each of them.
        note(10_000..<12_048, until: 2_000)
        #expect(flows.looks == 2 * PassedFlows.mostOfLink)
        note(12_048..<(10_000 + PassedFlows.mostOfLink), until: 2_000)
        let full = flows.looks
        note(30_000..<32_000, until: 2_000, isNoted: false)
        #expect(flows.looks == full + PassedFlows.mostOfLink)
    }

    @Test("who has less time than before makes room earlier")
    func shortened() {
        let flows = PassedFlows()
        for link in 0..<8 {
            for number in 0..<PassedFlows.mostOfLink { #expect(note(flows, number, link: "veth\(link)", until: 9_000)) }
        }
        #expect(!note(flows, 1, link: "veth9", until: 2_000) && !note(flows, 10_000, link: "veth0", until: 2_000))
        #expect(note(flows, 5, link: "veth3", until: 950))
        #expect(note(flows, 1, link: "veth9", until: 2_000))
        #expect(flows.entry(of: flow(5), link: "veth3") == nil)
    }

    @Test("what the kernel has looked up no more for a day is forgotten")
    func ageing() {
        let flows = PassedFlows()
        #expect(note(flows, 1, until: 2_000) && note(flows, 2, until: 50_000))
        flows.age(2_000 + PassedFlows.memory)
        #expect(flows.entry(of: flow(1), link: "veth1#4") == nil && flows.entry(of: flow(2), link: "veth1#4") != nil)
    }
}
