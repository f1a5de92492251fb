// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretLinux
import EgretNftables
import EgretTesting
import Testing

@testable import EgretAgent

@Suite("the record of what the kernel holds")
struct KernelRecordTests {
    private let directory: TemporaryDirectory
    private let path: String

    init() throws {
        directory = try TemporaryDirectory()
        path = directory.path + "/ruleset"
    }

    @Test("of names that others have given, no number is so great that there is none after it")
    func greatestNumbers() {
        let others = ["endpoint-\(Int.max)", "from-\(Int.max - 1)", "to-99999999999999999999", "g99999-in"]
        let alone = KernelNames(named: others)
        #expect(alone.nextSlot == 0 && alone.nextProfile == 0 && alone.generations.isEmpty)
        let beside = KernelNames(named: others + ["endpoint-7", "from-3-led", "to-4", "g32768-out"])
        #expect(beside.nextSlot == 8 && beside.nextProfile == 5 && beside.generations == [32768])
    }

    private func record(_ identity: String = "boot 1, build 1") -> KernelRecord {
        KernelRecord(path: path, identity: identity)
    }

    private func digest(_ number: UInt64) -> ContentDigest { ContentDigest(high: number, low: ~number) }

    private var contents: KernelRecord.Contents {
        var contents = KernelRecord.Contents(
            bases: KernelRecord.Bases(
                hasBridgeTable: true, hasOutput: false, hasNames: true, horizon: -5...1_800_000_000, digest: digest(1)))
        contents.programs = [0x8000: digest(2), 0xffff: digest(3)]
        contents.endpoints = [
            0: KernelRecord.Endpoint(profile: 7, egress: 0x8000, ingress: 0, queueIndex: nil, digest: digest(4)),
            70_000: KernelRecord.Endpoint(
                profile: 8, egress: 0x8000, ingress: 0xffff, queueIndex: 12, digest: digest(5)),
        ]
        return contents
    }

    @Test("what one agent has vouched for, the next one has once")
    func wholeRecord() throws {
        let first = record()
        #expect(first.takeLeft() == nil)
        first.doubt()
        first.replace(with: contents)
        first.vouch(for: 40, isTidy: true)
        let second = record()
        #expect(second.takeLeft() == KernelRecord.Left(ruleset: 40, isTidy: true, contents: contents))
        #expect(second.takeLeft() == nil)
        first.vouch(for: 41, isTidy: false)
        #expect(record().takeLeft() == KernelRecord.Left(ruleset: 41, isTidy: false, contents: contents))
    }

    @Test("a build is known by its digest, and by its file where it has none")
    func identity() throws {
        let first = try KernelRecord.identity(1, buildID: [1, 2])
        #expect(try KernelRecord.identity(1, buildID: [1, 2]) == first)
        let others = [
            try KernelRecord.identity(1, buildID: [12]), try KernelRecord.identity(1, buildID: [1, 3]),
            try KernelRecord.identity(2, buildID: [1, 2]), try KernelRecord.identity(1, buildID: nil),
            try KernelRecord.identity(2, buildID: nil),
        ]
        #expect(Swift.Set(others + [first]).count == 6)
        #expect(try KernelRecord.identity(1, buildID: nil) == others[3])
    }

    @Test("what is written for another start of the machine, another namespace or another build is not believed")
    func others() {
        let first = record()
        first.replace(with: contents)
        first.vouch(for: 40, isTidy: true)
        #expect(record("boot 2, build 1").takeLeft() == nil)
        #expect(record("boot 1, build 2").takeLeft() == nil)
        #expect(record().takeLeft() != nil)
    }

    @Test("nothing is believed before it is vouched for, and in the middle of a change")
    func doubts() {
        let first = record()
        first.replace(with: contents)
        #expect(record().takeLeft() == nil)
        first.vouch(for: 40, isTidy: true)
        first.doubt()
        #expect(record().takeLeft() == nil)
        first.note(commits: 3)
        #expect(record().takeLeft() == nil)
        first.vouch(for: 40, isTidy: true)
        #expect(record().takeLeft()?.ruleset == 43)
        first.apply(KernelRecord.Change())
        #expect(record().takeLeft() == nil, "rows may be half written")
    }

    @Test("a new agent's doubt takes the former one's record away")
    func formerRecord() {
        let first = record()
        first.replace(with: contents)
        first.vouch(for: 40, isTidy: true)
        let second = record()
        #expect(second.takeLeft() != nil)
        second.doubt()
        #expect(record().takeLeft() == nil)
        #expect(!File.exists(path))
    }

    @Test("own transactions move the number on, and only after they were counted")
    func counts() {
        let first = record()
        first.note(commits: 5)
        first.replace(with: contents)
        first.vouch(for: 40, isTidy: true)
        #expect(record().takeLeft()?.ruleset == 45)
        first.note(commits: 6)
        #expect(record().takeLeft()?.ruleset == 46)
        // A number that the kernel never has says nothing.
        first.vouch(for: UInt32.max - 5, isTidy: true)
        #expect(record().takeLeft() == nil)
        first.note(commits: 7)
        #expect(record().takeLeft()?.ruleset == 1)
    }

    @Test("a change rewrites the rows that it is about")
    func changes() throws {
        let first = record()
        var wanted = contents
        first.replace(with: wanted)
        let size = try File.status(path).size
        for round in UInt64(0)..<20 {
            var change = KernelRecord.Change()
            let (come, gone) = (0x9000 + UInt16(round), round == 0 ? 0x8000 : 0x9000 + UInt16(round) - 1)
            change.programs = [come: digest(100 + round), 0xffff: digest(200 + round)]
            change.gonePrograms = [gone, 0xa000]
            change.goneEndpoints = [Int(round), 99]
            let endpoint = KernelRecord.Endpoint(
                profile: 1, egress: come, ingress: 0, queueIndex: nil, digest: digest(300 + round))
            change.endpoints = [Int(round) + 1: endpoint]
            first.apply(change)
            wanted.programs[gone] = nil
            wanted.programs[come] = digest(100 + round)
            wanted.programs[0xffff] = digest(200 + round)
            wanted.endpoints[Int(round)] = nil
            wanted.endpoints[Int(round) + 1] = endpoint
            #expect(first.holds(program: come) && !first.holds(program: gone))
        }
        var change = KernelRecord.Change()
        wanted.bases.horizon = 3...4
        wanted.bases.hasOutput = true
        change.bases = wanted.bases
        first.apply(change)
        first.vouch(for: 9, isTidy: true)
        #expect(record().takeLeft() == KernelRecord.Left(ruleset: 9, isTidy: true, contents: wanted))
        #expect(try File.status(path).size == size, "what is free is used again")
    }

    @Test("a torn or strange file says nothing, wherever it is torn")
    func tornFile() throws {
        let first = record()
        first.replace(with: contents)
        first.vouch(for: 40, isTidy: true)
        let bytes = try File.read(path)
        #expect(record().takeLeft() != nil)
        for length in 0..<bytes.count where (length - 64) % 48 != 0 || length < 112 {
            try File.write(path, Array(bytes.prefix(length)))
            #expect(record().takeLeft() == nil, "\(length) bytes")
        }
        // The magic, the flags, the identity, the kind of the first row and that of the last.
        for place in [0, 7, 13, 16, 31, 64, bytes.count - 48] {
            var other = bytes
            other[place] ^= 0x40
            try File.write(path, other)
            #expect(record().takeLeft() == nil, "byte \(place)")
        }
        var twice = bytes
        twice += bytes.suffix(48)
        try File.write(path, twice)
        #expect(record().takeLeft() == nil, "an endpoint twice")
    }

    @Test("what cannot be written is not believed, and nothing fails for it")
    func nowhere() {
        let lost = KernelRecord(path: directory.path + "/none/ruleset", identity: "")
        lost.doubt()
        lost.replace(with: contents)
        lost.vouch(for: 1, isTidy: true)
        lost.apply(KernelRecord.Change())
        lost.forget()
        #expect(KernelRecord(path: directory.path + "/none/ruleset", identity: "").takeLeft() == nil)
    }
}

@Suite("digests of what is put into the kernel")
struct ContentDigestTests {
    @Test("it is the beginning of SHA-256, so that every process has the same")
    func knownDigest() {
        // FIPS 180-4: the digest of "abc".
        let expected = ContentDigest(high: 0xba78_16bf_8f01_cfea, low: 0x4141_40de_5dae_2223)
        #expect(ContentDigest(of: Array("abc".utf8)) == expected)
    }

    private func program(_ change: (inout TableProgram) -> Void = { _ in }) -> TableProgram {
        var program = TableProgram(table: HostBase.table)
        program.counters = [Counter("c")]
        program.chains = [Chain("a"), Chain("b")]
        program.rules = [
            Rule(in: "a", [.verdict(.goto("b"))]), Rule(in: "b", [.verdict(.accept)]), Rule(in: "b", [.verdict(.drop)]),
        ]
        change(&program)
        return program
    }

    @Test("equal programs have equal digests, and whatever the kernel would have otherwise makes another")
    func programs() throws {
        let known = try #require(ContentDigest(of: program()))
        #expect(ContentDigest(of: program()) == known)
        let changes: [(inout TableProgram) -> Void] = [
            { $0.rules.swapAt(1, 2) }, { $0.rules.removeLast() }, { $0.chains.removeLast() },
            { $0.counters = [Counter("d")] }, { $0.table = HostBase.frameTable },
            { $0.sets = [EgretNftables.Set("s", keyType: .ipv4Address)] },
        ]
        for (place, change) in changes.enumerated() {
            #expect(ContentDigest(of: program(change)) != known, "change \(place)")
        }
    }

    @Test("all that an endpoint is to the kernel is in its digest, or in its row")
    func endpoints() throws {
        let interface = try #require(InterfaceName("eth0"))
        let address = try #require(IPAddress("10.9.0.2"))
        let endpoint = HostEndpoint(
            slot: 1, attachment: .link(interface, index: 2), hardwareAddress: MACAddress(locallyAdministered: 1),
            addresses: [address])
        // The slot, the programs and the queue are in the row; see KernelRecord.Endpoint.
        #expect(
            Mirror(reflecting: endpoint).children.compactMap(\.label).sorted() == [
                "addresses", "attachment", "egress", "hardwareAddress", "ingress", "queueIndex", "slot",
            ])
        func digest(
            _ attachment: HostEndpoint.Attachment, _ hardware: UInt64 = 1, _ addresses: [IPAddress]? = nil
        ) -> ContentDigest {
            ContentDigest(of: attachment, MACAddress(locallyAdministered: hardware), addresses ?? [address])
        }
        let other = try #require(InterfaceName("eth1"))
        let further = try #require(IPAddress("2001:db8::1"))
        let digests = [
            digest(.link(interface, index: 2)), digest(.link(other, index: 2)), digest(.link(interface, index: 3)),
            digest(.port(interface, index: 2, bridgeIndex: 5)), digest(.port(interface, index: 2, bridgeIndex: 6)),
            digest(.cgroup(id: 2, level: 1)), digest(.cgroup(id: 2, level: 2)), digest(.cgroup(id: 3, level: 1)),
            digest(.link(interface, index: 2), 2), digest(.link(interface, index: 2), 1, []),
            digest(.link(interface, index: 2), 1, [address, further]),
            digest(.link(interface, index: 2), 1, [further, address]),
        ]
        #expect(Swift.Set(digests).count == digests.count)
        #expect(digest(endpoint.attachment) == digests[0])
    }
}
