// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAgentAPI
import EgretCompiler
import EgretDataplane
import EgretFlows
import EgretLinux
import EgretPolicy
import EgretTesting
import Testing

@testable import EgretAgent

@Suite("Counts and flows")
struct TrafficTests {
    private static let policies = PolicySet(
        policies: [
            EgressPolicy(
                name: "one", defaultAction: .deny,
                rules: [
                    EgressRule(
                        name: "web", action: .allow,
                        destinations: [.block(AddressBlock(IPPrefix(.v4(IPv4Address(rawValue: 0xcb00_710a)))))])
                ])
        ])

    /// A program of the policies, and the names of its counters.
    private func program(_ generation: UInt16) throws -> PolicyProgram {
        PolicyCompiler.compile(
            TrafficTests.policies, for: .endpoint(.egress), generation: try #require(Generation(rawValue: generation)),
            logGroup: 1)
    }

    private let key = ProgramKey(.egress, policies: ["one"])

    private func come(_ book: TrafficBook, _ generation: UInt16) throws {
        book.come(key, try program(generation), TrafficTests.policies)
    }

    private func packets(_ book: TrafficBook, _ rule: String = "web") -> UInt64? {
        book.clauses()["EgressPolicy/one"]?.first { $0.rule == rule }?.packets
    }

    private func show(_ book: TrafficBook, _ name: String, _ packets: UInt64) {
        book.note([name: CounterValue(packets: packets, bytes: packets * 100)])
    }

    @Test("a total grows by what a counter shows more, over programs that are replaced")
    func replaced() throws {
        let book = TrafficBook()
        try come(book, 40_000)
        #expect(packets(book) == 0)
        show(book, "g40000-r0", 5)
        show(book, "g40000-r0", 5)
        show(book, "g40000-r0", 7)
        try come(book, 40_001)
        // Both count until the old one is gone.
        show(book, "g40001-r0", 2)
        show(book, "g40000-r0", 8)
        book.keep([40_001])
        show(book, "g40000-r0", 100)
        show(book, "g40001-r0", 3)
        #expect(packets(book) == 11)
        #expect(book.clauses()["EgressPolicy/one"]?.first { $0.rule == "web" }?.bytes == 1_100)
    }

    @Test("a next agent that keeps a program counts on from the last reading")
    func adopted() throws {
        let book = TrafficBook()
        try come(book, 40_000)
        show(book, "g40000-r0", 7)
        // What a store has of it: readings, and no programs.
        book.with { $0.programs = [:] }
        book.come(key, try program(40_000), TrafficTests.policies, isThere: true)
        show(book, "g40000-r0", 9)
        #expect(packets(book) == 9)
        book.with { $0.programs = [:] }
        // After a restart of the machine the same number is another program's, whose counter begins at zero.
        try come(book, 40_000)
        show(book, "g40000-r0", 10)
        #expect(packets(book) == 19)
    }

    @Test("a counter that somebody has set to zero counts on from there")
    func reset() throws {
        let book = TrafficBook()
        try come(book, 40_000)
        show(book, "g40000-r0", 9)
        show(book, "g40000-r0", 2)
        #expect(packets(book) == 11)
    }

    @Test("what is kept goes on where it was; counters of another start of the machine are not taken for this one's")
    func kept() throws {
        let folder = try TemporaryDirectory()
        let path = "\(folder.path)/traffic.sqlite"
        let book = TrafficBook()
        let store = try TrafficStore(path: path, log: { _ in })
        try store.load(into: book, kernel: "a")
        try come(book, 40_000)
        show(book, "g40000-r0", 5)
        try store.save(book)
        for (kernel, shown, expected) in [("a", UInt64(7), UInt64(7)), ("b", 7, 7), ("b", 20, 7)] {
            let other = TrafficBook()
            let store = try TrafficStore(path: path, log: { _ in })
            try store.load(into: other, kernel: kernel)
            show(other, "g40000-r0", shown)
            #expect(packets(other) == expected)
            try store.save(other)
        }
    }

    @Test("a store that is damaged is put aside, and counting begins anew")
    func damaged() throws {
        let folder = try TemporaryDirectory()
        let path = "\(folder.path)/traffic.sqlite"
        try File.replace(path, with: [UInt8](repeating: 7, count: 10_000), mode: 0o600, synchronized: false)
        var lines: [String] = []
        let store = try TrafficStore(path: path) { lines.append($0) }
        try store.load(into: TrafficBook(), kernel: "a")
        #expect(lines.count == 1)
    }

    private func record(_ prefix: String, to destination: String, port: UInt16 = 443) throws -> EndpointWatch.Record {
        EndpointWatch.Record(
            prefix: prefix, source: try #require(IPAddress("10.9.0.2")),
            destination: try #require(IPAddress(destination)), transport: .tcp, port: port, bytes: 60)
    }

    @Test("records become flows of their endpoint, and a cursor tells what is new")
    func flows() throws {
        let book = TrafficBook()
        try come(book, 40_000)
        let address = try #require(IPAddress("10.9.0.2"))
        book.know { TrafficOwners([("shop/web", [address], "endpoint-3")]) }
        var events = EndpointWatch.Events()
        events.records = [
            try record("g40000-r1", to: "203.0.113.10"), try record("g40000-r1", to: "203.0.113.10"),
            try record("endpoint-3-spoofed", to: "203.0.113.11"), try record("g1-r1", to: "203.0.113.12"),
        ]
        book.note(events, at: 1_000)
        let list = book.flows(FlowQuery())
        #expect(list.flows.map(\.peer) == ["203.0.113.10", "203.0.113.11"])
        #expect(list.flows.map(\.packets) == [2, 1])
        #expect(list.flows.map(\.verdict) == ["deny", "deny"])
        #expect(list.flows.map(\.rule) == ["default", "spoofed"])
        #expect(list.flows.first?.policy == "EgressPolicy/one")
        #expect(book.flows(FlowQuery(after: list.cursor)).flows == [])
        #expect(book.flows(FlowQuery(endpoint: "shop/db")).flows == [])
        events.records = [try record("g40000-r1", to: "203.0.113.10")]
        book.keep([])
        book.note(events, at: 1_010)
        let more = book.flows(FlowQuery(deniedOnly: true, after: list.cursor))
        #expect(more.flows.map(\.packets) == [3])
        #expect(more.flows.first?.first == 1_000)
        #expect(more.flows.first?.last == 1_010)
    }

    @Test("a scan of every address has room, at the expense of what was not seen for longest")
    func bounds() throws {
        let book = TrafficBook()
        try come(book, 40_000)
        let address = try #require(IPAddress("10.9.0.2"))
        book.know { TrafficOwners([("shop/web", [address], "endpoint-3")]) }
        var events = EndpointWatch.Events()
        events.records = try (0..<25_000).map { number in
            try record("g40000-r1", to: "203.0.\(number / 250).\(number % 250)", port: 1)
        }
        book.note(events, at: 1_000)
        let list = book.flows(FlowQuery())
        #expect(list.flows.count <= FlowTable.limit)
        #expect(list.flows.count + Int(list.forgotten) == 25_000)
        #expect(list.flows.last?.peer == "203.0.99.249")
    }
}
