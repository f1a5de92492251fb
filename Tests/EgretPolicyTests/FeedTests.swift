// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
import EgretPolicy
import EgretSources
import EgretTesting
import Testing

@Suite("Feeds")
struct FeedTests {
    private let feed = Feed(.file("/list"), refresh: 3_600)

    private func list(_ text: String) -> FeedList { FeedList(Array(text.utf8)) }

    @Test("comments, white space, empty lines and both line ends are taken")
    func plain() {
        let read = list(
            "\u{feff}# a list\r\n\r\n  203.0.113.0/24 ; SBL1\n198.51.100.7#x\n;\n\t2001:db8::/32\r\n::1\n1:2:3:4:5:6:7:8/128"
        )
        #expect(read.mistakes == [])
        #expect(
            read.blocks.map(\.description) == [
                "203.0.113.0/24", "198.51.100.7", "2001:db8::/32", "::1", "1:2:3:4:5:6:7:8",
            ])
    }

    @Test("every wrong line is reported with its number, up to a limit, and all are counted")
    func mistakes() {
        let read = list(
            "203.0.113.1/24\n# fine\n010.0.0.1\nexample.org\n10.0.0.0/33\n1.2.3.4 5.6.7.8\n::1::2\n10.0.0.0/8\n")
        #expect(read.mistakes.map(\.line) == [1, 3, 4, 5, 6, 7])
        #expect(read.mistakes[0].message.contains("203.0.113.0/24"))
        #expect(read.blocks.count == 1)
        let many = list(String(repeating: "x\n", count: 1_000))
        #expect(many.mistakes.count == FeedList.keptMistakes)
        #expect(many.mistakeCount == 1_000)
    }

    @Test("the fast reader reads random addresses as the grammar of policies does")
    func agreement() throws {
        var generator = SeededGenerator(seed: 21)
        let letters = Array("0123456789abcdefABCDEF::::....//  ")
        for _ in 0..<20_000 {
            let family = AddressFamily.allCases.randomElement(using: &generator) ?? .ipv4
            let raw = UInt128(generator.next() & generator.next()) << 64 | UInt128(generator.next() & generator.next())
            let length = Int.random(in: 0...family.bitWidth, using: &generator)
            let prefix = try #require(IPPrefix(IPAddress(family: family, rawValue: raw), length: length))
            var text = Bool.random(using: &generator) ? prefix.description : prefix.address.description
            if Bool.random(using: &generator) {
                var characters = Array(text)
                characters[Int.random(in: 0..<characters.count, using: &generator)] =
                    letters.randomElement(using: &generator) ?? "0"
                text = String(characters)
            }
            let expected = readPolicies(
                """
                apiVersion: egret.dev/v1
                kind: DestinationGroup
                metadata: { name: g }
                spec: { cidrs: ["\(text)"] }
                """)
            let trimmed = text.filter { $0 != " " }
            // The grammar refuses white space, which a list may have around an address.
            guard trimmed.count == text.count else { continue }
            let blocks = list(text).blocks
            #expect(blocks == (expected.hasErrors ? [] : expected.groups.first?.cidrs), "\(text)")
        }
    }

    @Test("SHA-256 of the examples of FIPS 180")
    func digest() {
        #expect(
            SHA256.digest(of: []) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(
            SHA256.digest(of: Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            SHA256.digest(of: Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8))
                == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
        #expect(
            SHA256.digest(of: [UInt8](repeating: UInt8(ascii: "a"), count: 100_000))
                == "6d1cf22d7cc09b085dfc25ee1a1f3ae0265804c607bc2074ad253bcc82fd81ee")
    }

    @Test("the last good list stays when an attempt fails, and before it the group is closed")
    func state() throws {
        var state = FeedState(feed)
        #expect(state.isDue(at: 0))
        let broken = FeedError("no answer")
        #expect(state.fail(broken, at: 0) == .closed(broken))
        #expect(!state.isDue(at: 29) && state.isDue(at: 30))
        #expect(state.fail(broken, at: 30) == .closed(broken))
        #expect(!state.isDue(at: 89) && state.isDue(at: 90))
        #expect(state.receive(Array("203.0.113.0/24".utf8), at: 90) == .replaced)
        #expect(state.nextAttempt == 90 + 3_600 && state.failure == nil && state.loadedAt == 90)
        #expect(state.receive(Array("203.0.113.0/24\n# new".utf8), at: 4_000) == .unchanged)
        guard case .kept(let wrong) = state.receive(Array("203.0.113.0/24\nx".utf8), at: 8_000) else {
            Issue.record("a wrong list was taken")
            return
        }
        #expect(wrong.mistakes.map(\.line) == [2])
        #expect(state.blocks?.map(\.description) == ["203.0.113.0/24"] && state.failure == wrong)
        #expect(state.receive([], at: 9_000) == .kept(FeedError("it holds no address")))
        for attempt in 0..<100 { _ = state.fail(broken, at: Int64(attempt)) }
        let due: Int64 = 3_699
        #expect(state.nextAttempt == due)
        #expect(state.receive(Array("198.51.100.0/24".utf8), at: .max) == .replaced)
    }

    @Test("a list with another digest is not taken")
    func pinned() throws {
        var state = FeedState(
            Feed(.file("/list"), sha256: SHA256.digest(of: Array("10.0.0.0/8\n".utf8))), lastGood: nil)
        guard case .closed = state.receive(Array("10.0.0.0/9\n".utf8), at: 0) else {
            Issue.record("another list was taken")
            return
        }
        #expect(state.receive(Array("10.0.0.0/8\n".utf8), at: 1) == .replaced)
    }

    @Test("rules that name a group without its list let nothing out, and hold back everything")
    func closed() throws {
        let text = { (action: String) in
            """
            apiVersion: egret.dev/v1
            kind: DestinationGroup
            metadata: { name: g }
            spec: { cidrs: [203.0.113.0/24], feed: { url: "https://lists.example/a" } }
            ---
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: p }
            spec: { default: allow, egress: [{ action: \(action), to: [{ group: g }] }] }
            """
        }
        func verdict(_ action: String, _ address: String, fetched: [AddressBlock]?) throws -> Decision.Verdict {
            var result = readPolicies(text(action))
            try #require(!result.hasErrors)
            result.groups[0].fetched = fetched
            let set = PolicySet(policies: result.policies, groups: result.groups)
            let flow = Flow(to: try #require(IPAddress(address)), protocol: .tcp, port: 443)
            let decision = PolicyEvaluator(policies: set).decide(flow)
            if action == "allow" { return decision.clause == .policyDefault(policy: "p") ? .deny : .allow }
            return decision.verdict
        }
        let loaded = list("198.51.100.0/24").blocks
        #expect(try verdict("deny", "192.0.2.1", fetched: nil) == .deny)
        #expect(try verdict("deny", "192.0.2.1", fetched: loaded) == .allow)
        #expect(try verdict("deny", "198.51.100.1", fetched: loaded) == .deny)
        #expect(try verdict("deny", "203.0.113.1", fetched: loaded) == .deny)
        #expect(try verdict("allow", "203.0.113.1", fetched: nil) == .deny)
        #expect(try verdict("allow", "203.0.113.1", fetched: loaded) == .allow)
        #expect(try verdict("allow", "198.51.100.1", fetched: loaded) == .allow)
    }

    @Test("files are read, and what is wrong in them has its place")
    func files() throws {
        let directory = try TemporaryDirectory()
        try write("203.0.113.0/24\n198.51.100.0/24\n", to: directory.path + "/good")
        try write("203.0.113.0/24\noops\n", to: directory.path + "/bad")
        let groups = ["good", "bad", "missing"].map {
            DestinationGroup(name: $0, blocks: [], feed: Feed(.file("\(directory.path)/\($0)")))
        }
        let loaded = FeedFiles.load(groups) { path in
            guard path != "\(directory.path)/missing" else { throw FeedError("cannot open \(path): ENOENT") }
            return try contents(of: path)
        }
        #expect(loaded.groups.map(\.isLoaded) == [true, false, false])
        #expect(loaded.groups[0].blocks.count == 2)
        let lines = loaded.diagnostics.map(DiagnosticFormatter.format)
        try #require(lines.count == 3, "\(lines)")
        #expect(lines[0].contains("one line is wrong"))
        #expect(lines[1].hasPrefix("\(directory.path)/bad:2:1: error EGR0079"))
        #expect(lines[2].contains("ENOENT"))
    }
}
