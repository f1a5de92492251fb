// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDNSWire
import EgretDataplane
import EgretGreetingWire
import EgretLinux
import EgretNames
import EgretNetlink
import EgretPolicy
import EgretTesting
import Synchronization
import Testing

@testable import EgretAgent

/// What endpoints have resolved: in the file, and in the kernel's sets while endpoints change.
@Suite("holdings of names", .serialized, .requiresRoot)
struct NameServiceTests {
    private static let web = IPAddress.v4(IPv4Address(203, 0, 113, 10))
    private static let first = IPAddress.v4(IPv4Address(192, 0, 2, 10))
    private static let second = IPAddress.v4(IPv4Address(192, 0, 2, 11))

    private func holding(_ text: String, until: UInt64, _ address: IPAddress = web) throws -> NameHolding {
        NameHolding(name: try #require(DNSName(text)), address: address, until: until)
    }

    @Test("the file has each name of an address, as long as the longest of its lines says and no longer")
    func reading() throws {
        let directory = try TemporaryDirectory()
        let journal = HoldingsJournal(path: "\(directory.path)/holdings", bootID: "one")
        try journal.tidy { [] }
        try journal.append([holding("a.example.test", until: 5_000)], link: "veth1#4")
        try journal.append(
            [holding("b.example.test", until: 9_000), holding("a.example.test", until: 7_000)], link: "veth1#4")
        try journal.append([holding("a.example.test", until: 6_000)], link: "veth1#5")
        let found = journal.read(now: 5_500)
        #expect(Set(found.keys) == ["veth1#4", "veth1#5"])
        #expect(
            try Set(found["veth1#4"] ?? []) == [
                holding("a.example.test", until: 7_000), holding("b.example.test", until: 9_000),
            ])
        #expect(journal.read(now: 7_000).mapValues(\.count) == ["veth1#4": 1])
        // The machine has started again: its clock has, too.
        #expect(HoldingsJournal(path: "\(directory.path)/holdings", bootID: "two").read(now: 0).isEmpty)
        // What is written anew ends when it did.
        try journal.tidy { found.map { ($0.key, $0.value) } }
        #expect(journal.read(now: 8_999).mapValues(\.count) == ["veth1#4": 1])
        #expect(journal.read(now: 9_000).isEmpty)
    }

    @Test("the file tells what limits alone are about from what rules opened")
    func readingCounted() throws {
        let directory = try TemporaryDirectory()
        let journal = HoldingsJournal(path: "\(directory.path)/holdings", bootID: "one")
        try journal.tidy { [] }
        let held = try holding("a.example.test", until: 5_000)
        var counted = held
        (counted.until, counted.isCounted) = (7_000, true)
        try journal.append([held, counted], link: "veth1#4")
        #expect(Set(journal.read(now: 0)["veth1#4"] ?? []) == [held, counted])
        #expect(journal.read(now: 6_000) == ["veth1#4": [counted]])
    }

    private static func policies(_ rule: EgressRule) -> PolicySet {
        PolicySet(policies: [EgressPolicy(name: "p", defaultAction: .deny, rules: [rule])])
    }

    private func service(
        _ directory: TemporaryDirectory, denial: NameTable.Denial = .refused, limits: NameLimits = NameLimits(),
        relay: RelayProcess? = nil, now: @escaping @Sendable () -> Int64 = { 0 }
    ) throws -> NameService {
        NameService(
            NameService.Setting(
                path: "\(directory.path)/names", bootID: "one", servers: { [] }, denial: denial, limits: limits,
                relay: relay, now: now),
            by: Dataplane(try NetlinkConnection.netfilter()).batchSender,
            book: NameBook(traffic: TrafficBook(), now: { 0 }, log: { _ in }))
    }

    @Test("what links have left whose endpoints do not come back is forgotten when it is over")
    func ageing() throws {
        let directory = try TemporaryDirectory()
        let service = try service(directory)
        let (short, long) = (try holding("a.example.test", until: 5_000), try holding("b.example.test", until: 90_000))
        service.state.withLock { $0.inherited = ["veth1#4": [short], "veth2#5": [short, long]] }
        service.age(6_000)
        let left = service.state.withLock { $0.inherited }
        #expect(left == ["veth2#5": [long]])
        service.age(100_000)
        let last = service.state.withLock { $0.inherited }
        #expect(last.isEmpty)
    }

    @Test("an endpoint with another's former number keeps what it has resolved, and gets nothing of the other's")
    func renumbered() throws {
        let directory = try TemporaryDirectory()
        let service = try service(directory)
        try service.start()
        defer { service.end() }
        let rule = EgressRule(action: .allow, domains: [try DomainPattern.parse("*.example.test")])
        let policies = NameServiceTests.policies(rule)
        let generation = try #require(Generation(rawValue: 7))
        func member(_ slot: Int, _ link: String, _ address: IPAddress) -> NameMember {
            NameMember(slot: slot, link: link, addresses: [address], generation: generation, policies: policies)
        }
        func change(_ members: [NameMember]) {
            service.change(NameChange(members: members)) { _ in }
        }
        func names(_ slot: Int) -> [String] { service.registry.holdings(of: slot, now: 0).map { "\($0.name)" } }
        let until = EgretLinux.BootClock.milliseconds + 60_000
        let (one, two) = (try holding("a.example.test", until: until), try holding("b.example.test", until: until))
        service.state.withLock { $0.inherited = ["veth1#4": [one], "veth2#5": [two]] }
        change([member(1, "veth1#4", NameServiceTests.first), member(2, "veth2#5", NameServiceTests.second)])
        #expect(names(1) == ["a.example.test"] && names(2) == ["b.example.test"])
        change([member(1, "veth2#5", NameServiceTests.second), member(2, "veth1#4", NameServiceTests.first)])
        #expect(names(1) == ["b.example.test"] && names(2) == ["a.example.test"])
        // A link that nobody knows, at the address of another's.
        let new = member(1, "veth3#6", NameServiceTests.second)
        #expect(service.reduced(NameChange(members: [new]), isWhole: false).members.count == 1)
        change([new])
        #expect(names(1).isEmpty)
    }

    @Test("endpoints of one program have what decides together, and other marks are known without another program")
    func sharedJudges() throws {
        let directory = try TemporaryDirectory()
        let service = try service(directory)
        try service.start()
        defer { service.end() }
        let rule = EgressRule(action: .allow, domains: [try DomainPattern.parse("*.example.test")])
        func member(_ slot: Int, _ number: UInt16, _ mark: String) throws -> NameMember {
            let limit = TrafficLimit(dscp: TrafficClassMark(mark))
            let policies = PolicySet(
                policies: [EgressPolicy(name: "p", defaultAction: .deny, rules: [rule], limits: [limit])])
            return NameMember(
                slot: slot, link: "veth\(slot)#\(slot)",
                addresses: [slot == 1 ? NameServiceTests.first : NameServiceTests.second],
                generation: try #require(Generation(rawValue: number)), policies: policies)
        }
        func change(_ members: [NameMember]) -> Int {
            let reduced = service.reduced(NameChange(members: members), isWhole: false)
            service.change(reduced) { _ in }
            return reduced.members.count
        }
        func judges() -> [UInt16] { service.state.withLock { $0.judges.keys.map(\.rawValue).sorted() } }
        let server = SocketAddress(.v4(IPv4Address(203, 0, 113, 10)), port: 443)
        func marks() -> [UInt8?] { [1, 2].map { service.judge($0)?.codePoint(to: server, of: $0) } }
        #expect(try change([member(1, 7, "ef"), member(2, 7, "ef")]) == 2)
        #expect(judges() == [7])
        #expect(marks() == [46, 46])
        #expect(try change([member(1, 7, "ef"), member(2, 7, "ef")]) == 0)
        #expect(try change([member(1, 7, "af11"), member(2, 7, "af11")]) == 2)
        #expect(judges() == [7])
        #expect(marks() == [10, 10])
        #expect(try change([member(1, 8, "ef")]) == 1)
        #expect(judges() == [7, 8])
        #expect(marks() == [46, 10])
        #expect(try change([member(2, 8, "ef")]) == 1)
        #expect(judges() == [8])
    }

    @Test(
        "every endpoint has the limits, and is denied names, as whoever runs the agent wants it",
        arguments: [NameTable.Denial.refused, .nameError])
    func told(_ denial: NameTable.Denial) throws {
        let limits = NameLimits.reading(["labels=5"]).limits
        let service = try service(try TemporaryDirectory(), denial: denial, limits: limits)
        let rule = EgressRule(action: .allow, domains: [try DomainPattern.parse("a.example.test")])
        let policies = NameServiceTests.policies(rule)
        let member = NameMember(
            slot: 1, link: "veth1#4", addresses: [NameServiceTests.first],
            generation: try #require(Generation(rawValue: 7)), policies: policies)
        let endpoint = service.endpoint(member, [], ConnectionJudge(policies, registry: service.registry))
        #expect(endpoint.denial == denial && endpoint.limits == limits && limits != NameLimits())
    }

    @Test("an endpoint's questions go to the servers that its policies name, and else to those of the agent")
    func servers() throws {
        let directory = try TemporaryDirectory()
        let service = try service(directory)
        let agents = [try #require(NameServer("192.0.2.1"))]
        func endpoint(_ servers: [String]) throws -> NameEndpoint {
            let rule = EgressRule(action: .allow, domains: [try DomainPattern.parse("a.example.test")])
            let named = try servers.map { try #require(DNSServer($0)) }
            let policies = PolicySet(policies: [EgressPolicy(name: "p", rules: [rule], nameServers: named)])
            let member = NameMember(
                slot: 1, link: "veth1#4", addresses: [NameServiceTests.first],
                generation: try #require(Generation(rawValue: 7)), policies: policies)
            return service.endpoint(member, agents, ConnectionJudge(policies, registry: service.registry))
        }
        let without = try endpoint([])
        #expect(without.servers == agents && without.replaceableServers.isEmpty)
        let with = try endpoint(["tls://192.0.2.53#dns.example.net", "192.0.2.54"])
        #expect(with.servers.map(\.description) == ["tls://192.0.2.53:853#dns.example.net", "192.0.2.54"])
        #expect(with.trustedServers == Swift.Set([IPAddress("192.0.2.54")].compactMap { $0 }))
        #expect(with.replaceableServers.count == 2)
    }

    /// A time that tests set, in seconds since 1970.
    private final class Clock: Sendable {
        private let state: Mutex<Int64>
        var time: Int64 {
            get { state.withLock { $0 } }
            set { state.withLock { $0 = newValue } }
        }

        init(_ time: Int64) { state = Mutex(time) }
    }

    @Test("connections go on as their rules drain, beside one that cuts, until other rules come")
    func draining() throws {
        let hours = [try #require(Schedule.Hours(start: 540, end: 1_020))]
        let (morning, noon, evening): (Int64, Int64, Int64) = (3_600, 43_200, 68_400)
        let clock = Clock(noon)
        let service = try service(try TemporaryDirectory(), now: { clock.time })
        func rule(_ name: String, _ onClose: Schedule.ClosingAction?) throws -> EgressRule {
            EgressRule(
                action: .allow, domains: [try DomainPattern.parse(name)],
                schedule: onClose.map { Schedule(hours: hours, onClose: $0) })
        }
        func enter(_ rules: [EgressRule], _ number: UInt16) throws {
            let policies = PolicySet(policies: [EgressPolicy(name: "p", defaultAction: .deny, rules: rules)])
            let member = NameMember(
                slot: 1, link: "veth1#4", addresses: [NameServiceTests.first],
                generation: try #require(Generation(rawValue: number)), policies: policies)
            let judge = ConnectionJudge(policies, registry: service.registry, time: { clock.time })
            service.state.withLock { $0.entries[1] = NameService.Entry(member: member, judge: judge) }
        }
        func attempt(_ name: String, _ host: UInt8 = 10) -> ConnectionAttempt {
            ConnectionAttempt(
                source: SocketAddress(NameServiceTests.first, port: 40_000),
                destination: SocketAddress(.v4(IPv4Address(203, 0, 113, host)), port: 443),
                speech: .name(SpokenName(name, .tls)), rules: [0])
        }
        let event = service.connectionHooks.event
        func mustEnd(_ attempt: ConnectionAttempt, isAnew: Bool = false) -> Bool {
            service.mustEnd(attempt, of: 1, isAnew: isAnew)
        }
        try enter([rule("a.example.test", .drain), rule("b.example.test", .cut)], 7)
        // From the same port of the client to another server, at another time.
        let (drained, cut) = (attempt("a.example.test"), attempt("b.example.test", 11))
        let later = attempt("a.example.test", 12)
        event(1, .relayed(drained))
        event(1, .relayed(cut))
        #expect(!mustEnd(drained) && !mustEnd(cut))
        #expect(service.changedByTime() == [1] && service.changedByTime().isEmpty)
        clock.time = evening
        #expect(service.changedByTime() == [1] && service.changedByTime().isEmpty)
        event(1, .relayed(later))
        #expect(!mustEnd(drained) && mustEnd(cut) && mustEnd(later))
        event(1, .ended(later, nil))
        #expect(!mustEnd(drained))
        // Other rules: what they say now counts, and from then on what they said then.
        #expect(mustEnd(drained, isAnew: true))
        try enter([rule("a.example.test", nil), rule("b.example.test", .cut)], 8)
        #expect(!mustEnd(drained, isAnew: true))
        event(1, .ended(drained, nil))
        clock.time = morning
        try enter([rule("a.example.test", nil)], 9)
        event(1, .relayed(drained))
        clock.time = noon
        try enter([rule("a.example.test", .drain)], 10)
        #expect(!mustEnd(drained, isAnew: true))
        clock.time = evening
        #expect(service.changedByTime().isEmpty, "nothing is cut")
        #expect(!mustEnd(drained))
        // What has ended is nobody's: the next one from there is another.
        event(1, .ended(drained, nil))
        #expect(mustEnd(drained))
    }

    @Test(
        "what a former agent has let through goes on if it is the same link's and is allowed now; its end is foreseen")
    func resuming() throws {
        let hours = [try #require(Schedule.Hours(start: 540, end: 1_020))]
        let (noon, closing, evening): (Int64, Int64, Int64) = (43_200, 61_200, 68_400)
        let clock = Clock(noon)
        let service = try service(try TemporaryDirectory(), now: { clock.time })
        func enter(_ onClose: Schedule.ClosingAction?) throws {
            let rule = EgressRule(
                action: .allow, domains: [try DomainPattern.parse("a.example.test")],
                schedule: onClose.map { Schedule(hours: hours, onClose: $0) })
            let policies = PolicySet(policies: [EgressPolicy(name: "p", defaultAction: .deny, rules: [rule])])
            let member = NameMember(
                slot: 1, link: "veth1#4", addresses: [NameServiceTests.first],
                generation: try #require(Generation(rawValue: 7)), policies: policies)
            let judge = ConnectionJudge(policies, registry: service.registry, time: { clock.time })
            service.state.withLock { $0.entries[1] = NameService.Entry(member: member, judge: judge) }
        }
        func held(_ name: String = "a.example.test", link: String = "veth1#4") -> HeldConnection {
            HeldConnection(
                number: 16,
                attempt: ConnectionAttempt(
                    source: SocketAddress(NameServiceTests.first, port: 40_000),
                    destination: SocketAddress(.v4(IPv4Address(203, 0, 113, 10)), port: 443),
                    speech: .name(SpokenName(name, .tls)), rules: [0]),
                link: link, moment: noon)
        }
        #expect(!service.resumes(held(), of: 1), "there is no such endpoint")
        try enter(.drain)
        #expect(service.resumes(held(), of: 1))
        #expect(!service.resumes(held(link: "veth1#5"), of: 1))
        #expect(!service.resumes(held("b.example.test"), of: 1))
        let describe = service.connectionHooks.describe
        let drained = describe(1, held().attempt)
        #expect(drained.link == "veth1#4" && drained.moment == noon && drained.until == nil)
        clock.time = evening
        #expect(service.resumes(held(), of: 1))
        #expect(!service.mustEnd(held().attempt, of: 1, isAnew: false), "it drains as it did for the former agent")
        clock.time = noon
        try enter(.cut)
        #expect(service.resumes(held(), of: 1))
        #expect(describe(1, held().attempt).until == closing)
        clock.time = evening
        #expect(!service.resumes(held(), of: 1))
    }

    @Test("where no policy is about names any more, a relay has all end, also one that no proxy speaks to just then")
    func endingRelay() throws {
        let directory = try TemporaryDirectory()
        let path = "\(directory.path)/names.relay"
        let listener = try MessageSocket.bind(path)
        try listener.listen()
        let service = try service(directory, relay: RelayProcess(path: path))
        service.end()
        let socket = try #require(try listener.accept())
        var buffer = [UInt8](repeating: 0, count: 64)
        guard case .message(let count, _) = try socket.receive(into: &buffer) else {
            Issue.record("nothing was said")
            return
        }
        // It can speak to nobody who has not come to it.
        #expect(
            RelayProcess.filter == .egress(SeccompFilter.EgressOptions(addressFamilies: [], netlinkProtocols: [])))
        // `endAll`, which is the same in all versions.
        #expect(Array(buffer[..<count]) == [18])
        #expect(!File.exists(path))
    }

    @Test("the relay does not inherit that the agent is the last to end when memory is short")
    func shortOfMemory() {
        for (inherited, score) in [
            ("-900\n", -100), ("-101\n", -100), ("-1000\n", -100), ("-100\n", nil), ("0\n", nil), ("500\n", nil),
            ("", nil), ("none\n", nil), (nil, nil),
        ] as [(String?, Int?)] {
            #expect(RelayProcess.score(inherited: inherited) == score, "\(inherited ?? "not known")")
        }
    }

    @Test("a relay that cannot get its score is told of, and nothing else happens")
    func scoreOfItsOwn() throws {
        let directory = try TemporaryDirectory()
        let place = "\(directory.path)/score"
        var said: [String] = []
        RelayProcess.setScore(at: place, inherited: "0\n") { said.append($0) }
        #expect(said.isEmpty && !File.exists(place))
        RelayProcess.setScore(at: place, inherited: "-900\n") { said.append($0) }
        let written = try File.readText(place)
        #expect(said.isEmpty && written == "-100")
        RelayProcess.setScore(at: "\(directory.path)/none/score", inherited: "-900\n") { said.append($0) }
        #expect(said.count == 1)
    }

    @Test("where the proxies listen is noted by the next attempt, if it could not be by the first")
    func notes() throws {
        let directory = try TemporaryDirectory()
        let path = "\(directory.path)/names.ports"
        let service = try service(directory)
        try Directory.make(path)
        #expect(throws: (any Error).self) { try service.start() }
        try Directory.remove(path)
        try service.start()
        defer { service.end() }
        let ports = try #require(service.ports)
        #expect(try File.readText(path) == "\(ports.questions) \(ports.checks)\n")
        // Not again.
        try File.remove(path)
        try service.start()
        #expect(throws: (any Error).self) { try File.readText(path) }
    }

    @Test("a proxy that has ended by itself is started again with its sockets; until then endpoints have a problem")
    func restarting() throws {
        let directory = try TemporaryDirectory()
        let service = try service(directory)
        try service.start()
        defer { service.end() }
        let rule = EgressRule(action: .allow, domains: [try DomainPattern.parse("a.example.test")])
        let policies = NameServiceTests.policies(rule)
        let member = NameMember(
            slot: 1, link: "veth1#4", addresses: [NameServiceTests.first],
            generation: try #require(Generation(rawValue: 7)), policies: policies)
        service.change(NameChange(members: [member])) { _ in }
        let before = try #require(service.proxies.withLock { $0 })
        func sockets(_ proxies: NameService.Proxies) -> [[ListeningPlace: ObjectIdentifier]] {
            [proxies.questions.sockets, proxies.connections.sockets].map { $0.mapValues { ObjectIdentifier($0) } }
        }
        let places = sockets(before)
        let ports = service.ports
        #expect(places.map(\.count) == [4, 2])
        service.noteEnd(of: .questions, LinuxError(.overrun, operation: "wait"))
        service.noteEnd(of: .checks, LinuxError(.overrun, operation: "wait"))
        #expect(service.held()["veth1#4"]?.problem?.hasPrefix("the proxy for questions has ended: ") == true)
        try service.tick()
        let after = try #require(service.proxies.withLock { $0 })
        #expect(after.questions !== before.questions && after.connections !== before.connections)
        #expect(!after.questions.isHeld && !after.connections.isHeld)
        #expect(service.ports == ports && sockets(after) == places)
        #expect(service.held()["veth1#4"]?.problem?.contains("has ended") != true)
        #expect(service.book.figures.endedProxies == 2)
        // Once is enough.
        try service.tick()
        #expect(service.proxies.withLock { $0?.questions } === after.questions)
    }

    @Test("a proxy that cannot be started again keeps neither the other nor what changes with time")
    func failingRestart() throws {
        let directory = try TemporaryDirectory()
        let service = try service(directory)
        try service.start()
        defer { service.end() }
        let before = try #require(service.proxies.withLock { $0 })
        // Its sockets have gone, and somebody else has its port.
        before.questions.stop()
        let other = try InternetSocket.datagrams(
            at: SocketAddress(ipv4: 0, port: before.questions.port), receiveBuffer: 4_096)
        service.noteEnd(of: .questions, LinuxError(.overrun, operation: "wait"))
        service.noteEnd(of: .checks, LinuxError(.overrun, operation: "wait"))
        let over = try holding("a.example.test", until: 1)
        service.state.withLock { $0.inherited = ["veth1#4": [over]] }
        #expect(throws: (any Error).self) { try service.tick() }
        let after = try #require(service.proxies.withLock { $0 })
        #expect(after.questions === before.questions && after.connections !== before.connections)
        let left = service.state.withLock { $0.inherited }
        #expect(left.isEmpty)
        let ended = service.ended.withLock { Array($0.keys) }
        #expect(ended == [.questions])
        withExtendedLifetime(other) {}
    }

    @Test("what reads the names in QUIC is started again when it has ended by itself, and has the log group again")
    func restartingDatagrams() throws {
        let directory = try TemporaryDirectory()
        let service = try service(directory)
        try service.start()
        defer { service.end() }
        service.readDatagrams()
        let before = try #require(service.proxies.withLock { $0?.datagrams })
        try service.tick()
        #expect(service.proxies.withLock { $0?.datagrams } === before)
        service.noteEndOfDatagrams(LinuxError(.overrun, operation: "wait"))
        try service.tick()
        let after = try #require(service.proxies.withLock { $0?.datagrams })
        #expect(after !== before && service.book.figures.endedProxies == 1)
        try service.tick()
        #expect(service.proxies.withLock { $0?.datagrams } === after)
    }

    @Test("a connection from an address that is its endpoint's no more ends, though the name is allowed")
    func passedOn() throws {
        let directory = try TemporaryDirectory()
        let service = try service(directory)
        let rule = EgressRule(action: .allow, domains: [try DomainPattern.parse("a.example.test")])
        let policies = NameServiceTests.policies(rule)
        let generation = try #require(Generation(rawValue: 7))
        func enter(_ link: String, _ address: IPAddress) {
            let member = NameMember(
                slot: 1, link: link, addresses: [address], generation: generation, policies: policies)
            let judge = ConnectionJudge(policies, registry: service.registry, time: { 0 })
            service.state.withLock { $0.entries[1] = NameService.Entry(member: member, judge: judge) }
        }
        let attempt = ConnectionAttempt(
            source: SocketAddress(NameServiceTests.first, port: 40_000),
            destination: SocketAddress(NameServiceTests.web, port: 443),
            speech: .name(SpokenName("a.example.test", .tls)), rules: [0])
        enter("veth1#4", NameServiceTests.first)
        #expect(!service.mustEnd(attempt, of: 1, isAnew: true))
        enter("veth2#5", NameServiceTests.second)
        #expect(service.mustEnd(attempt, of: 1, isAnew: true) && service.mustEnd(attempt, of: 1, isAnew: false))
    }

    /// The pairs in the set of the first rule of the program.
    private func pairs() throws -> [String] {
        let output = try runProgram(["nft", "-j", "list", "set", "inet", "egret-policy", "g7-d0-ipv4"]).standardOutput
        return output.matches(of: /"concat": \["([0-9.]+)", "([0-9.]+)"\]/).map { "\($0.output.1) \($0.output.2)" }
            .sorted()
    }

    @Test("an endpoint keeps what it has at addresses that stay its own, or its successor's, and leaves no more")
    func addresses() throws {
        let made = try runProgram([
            "nft",
            "add table inet egret-policy; add set inet egret-policy g7-d0-ipv4 { type ipv4_addr . ipv4_addr; flags timeout; }",
        ])
        #expect(made.succeeded, "\(made)")
        defer { _ = try? runProgram(["nft", "delete", "table", "inet", "egret-policy"]) }
        let directory = try TemporaryDirectory()
        let service = try service(directory)
        try service.start()
        defer { service.end() }
        let rule = EgressRule(action: .allow, domains: [try DomainPattern.parse("a.example.test")])
        let policies = NameServiceTests.policies(rule)
        let generation = try #require(Generation(rawValue: 7))
        func member(_ slot: Int, _ addresses: IPAddress...) -> NameMember {
            NameMember(slot: slot, link: "veth1#4", addresses: addresses, generation: generation, policies: policies)
        }
        func change(_ members: [NameMember], removed: [Int] = []) {
            service.change(NameChange(members: members, removed: removed)) { fill in fill() }
        }
        let until = EgretLinux.BootClock.milliseconds + 60_000
        let held = try holding("a.example.test", until: until)
        service.state.withLock { $0.inherited = ["veth1#4": [held]] }
        let (one, two) = ("192.0.2.10 203.0.113.10", "192.0.2.11 203.0.113.10")
        change([member(1, NameServiceTests.first)])
        #expect(try pairs() == [one])
        change([member(1, NameServiceTests.first, NameServiceTests.second)])
        #expect(try pairs() == [one, two])
        // The same link under another number.
        change([member(2, NameServiceTests.first, NameServiceTests.second)], removed: [1])
        #expect(try pairs() == [one, two])
        #expect(service.registry.endpoint(at: NameServiceTests.first) == 2)
        change([member(2, NameServiceTests.second)])
        #expect(try pairs() == [two])
        change([], removed: [2])
        #expect(try pairs().isEmpty)
    }

    /// What a set of limits holds.
    private func addresses(in set: String) throws -> [String] {
        let output = try runProgram(["nft", "-j", "list", "set", "inet", "egret-limits", set]).standardOutput
        return output.matches(of: /"val": "([0-9.]+)"/).map { "\($0.output.1)" }.sorted()
    }

    @Test("limits for names know what their own endpoint has resolved, also when their table is made anew")
    func limits() throws {
        let limit = TrafficLimit(
            direction: .egress, domains: [try DomainPattern.parse("*.example.test")], connections: 5, policy: "p")
        let rule = EgressRule(action: .allow, domains: [try DomainPattern.parse("a.example.test")])
        let policies = PolicySet(
            policies: [EgressPolicy(name: "p", defaultAction: .deny, rules: [rule], limits: [limit])])
        let generation = try #require(Generation(rawValue: 7))
        let own = [NameServiceTests.first, NameServiceTests.second]
        let members = own.enumerated().map { place, address in
            NameMember(
                slot: place, link: "veth\(place)#\(place + 4)", addresses: [address], generation: generation,
                policies: policies)
        }
        let limited = try own.enumerated().map { place, address in
            LimitProgram.Member(
                number: place, linkIndex: UInt32(place + 4),
                attachment: .link(try #require(InterfaceName("veth\(place)")), index: UInt32(place + 4)),
                addresses: [address], network: "n", limits: [limit], groups: [:])
        }
        let program = LimitProgram(limited, logGroup: 7)
        let four = program.namedSets.map { $0.set }.filter { $0.family == .ipv4 }.map(\.name)
        try #require(four.count == 2)
        var text = "add table inet egret-limits;"
        for set in four { text += " add set inet egret-limits \(set) { type ipv4_addr; flags dynamic,timeout; };" }
        let made = try runProgram(["nft", text])
        #expect(made.succeeded, "\(made)")
        defer { _ = try? runProgram(["nft", "delete", "table", "inet", "egret-limits"]) }
        let directory = try TemporaryDirectory()
        let service = try service(directory)
        try service.start()
        defer { service.end() }
        let until = EgretLinux.BootClock.milliseconds + 60_000
        let unruled = IPAddress.v4(IPv4Address(203, 0, 113, 11))
        var counted = try holding("b.example.test", until: until, unruled)
        counted.isCounted = true
        let held = try holding("a.example.test", until: until)
        service.state.withLock { $0.inherited = ["veth0#4": [held, counted]] }
        try service.changeLimits(to: program, of: limited) { [] }
        let change = NameChange(members: members)
        try service.change(change) { _ in try service.fillLimits(for: change) }
        let both = ["203.0.113.10", "203.0.113.11"]
        #expect(try self.addresses(in: four[0]) == both)
        #expect(try self.addresses(in: four[1]).isEmpty)
        let known = try #require(service.proxies.withLock { $0?.counted })
        try known.note([held], link: "veth1#5")
        try known.note([try holding("other.test", until: until, unruled)], link: "veth1#5")
        try known.note([held], link: "veth1#6")
        #expect(try self.addresses(in: four[1]) == ["203.0.113.10"])
        try known.note([try holding("a!b.example.test", until: until, unruled)], link: "veth1#5")
        #expect(try self.addresses(in: four[1]) == both)
        // What the kernel has is not put there again, unless the table is another.
        _ = try runProgram(["nft", "flush set inet egret-limits \(four[0])"])
        try service.changeLimits(to: program, of: limited) { [] }
        #expect(try self.addresses(in: four[0]).isEmpty)
        try service.changeLimits(to: program, of: limited) { [LimitProgram.table] }
        #expect(try self.addresses(in: four[0]) == both)
        // Without its limits, nothing of the endpoint's is wanted.
        let rest = LimitProgram([limited[1]], logGroup: 7)
        _ = try runProgram(["nft", "delete set inet egret-limits \(four[0])"])
        try service.changeLimits(to: rest, of: [limited[1]]) { [] }
        try known.note([held], link: "veth0#4")
        // A set that is not there, or takes no more, keeps the answer back.
        _ = try runProgram(["nft", "delete set inet egret-limits \(four[1])"])
        #expect(throws: NetlinkError.self) { try known.note([held], link: "veth1#5") }
        try service.changeLimits(to: LimitProgram([], logGroup: 7), of: []) { [] }
        #expect(known.isEmpty)
    }

    @Test("what a full set of limits has no room for is taken back, opens nothing, and keeps no change from being made")
    func fullSet() throws {
        let limit = TrafficLimit(
            direction: .egress, domains: [try DomainPattern.parse("*.example.test")], connections: 5, policy: "p")
        let rule = EgressRule(action: .allow, domains: [try DomainPattern.parse("*.example.test")])
        let member = NameMember(
            slot: 0, link: "veth0#4", addresses: [NameServiceTests.first],
            generation: try #require(Generation(rawValue: 7)), policies: NameServiceTests.policies(rule))
        let limited = LimitProgram.Member(
            number: 0, linkIndex: 4, attachment: .link(try #require(InterfaceName("veth0")), index: 4),
            addresses: [NameServiceTests.first], network: "n", limits: [limit], groups: [:])
        let program = LimitProgram([limited], logGroup: 7)
        let set = try #require(program.namedSets.map { $0.set }.first { $0.family == .ipv4 }?.name)
        func makeLimits(size: Int) throws {
            let made = try runProgram([
                "nft",
                "add table inet egret-limits; delete table inet egret-limits; add table inet egret-limits; "
                    + "add set inet egret-limits \(set) { type ipv4_addr; flags dynamic,timeout; size \(size); };",
            ])
            #expect(made.succeeded, "\(made)")
        }
        try makeLimits(size: 1)
        defer { _ = try? runProgram(["nft", "delete", "table", "inet", "egret-limits"]) }
        let made = try runProgram([
            "nft",
            "add table inet egret-policy; add set inet egret-policy g7-d0-ipv4 { type ipv4_addr . ipv4_addr; flags timeout; }",
        ])
        #expect(made.succeeded, "\(made)")
        defer { _ = try? runProgram(["nft", "delete", "table", "inet", "egret-policy"]) }
        let directory = try TemporaryDirectory()
        let lines = Mutex<[String]>([])
        let service = NameService(
            NameService.Setting(path: "\(directory.path)/names", bootID: "one", servers: { [] }, now: { 0 }),
            by: Dataplane(try NetlinkConnection.netfilter()).batchSender,
            book: NameBook(traffic: TrafficBook(), now: { 0 }, log: { line in lines.withLock { $0.append(line) } }))
        try service.start()
        defer { service.end() }
        let until = EgretLinux.BootClock.milliseconds + 60_000
        let other = IPAddress.v4(IPv4Address(203, 0, 113, 11))
        let holdings = [
            try holding("a.example.test", until: until), try holding("b.example.test", until: until, other),
        ]
        service.state.withLock { $0.inherited = ["veth0#4": holdings] }
        let change = NameChange(members: [member])
        func held() -> [IPAddress] {
            service.registry.holdings(of: 0, now: EgretLinux.BootClock.milliseconds).map(\.address)
        }
        service.change(change) { fill in fill() }
        #expect(try pairs().count == 2)
        // Rules stay as they are, and limits come.
        try service.changeLimits(to: program, of: [limited]) { [] }
        let counted = try addresses(in: set)
        #expect(counted.count == 1)
        #expect(held().map(\.description) == counted)
        #expect(try pairs() == counted.map { "192.0.2.10 \($0)" })
        #expect(service.book.figures.failedCommits == 1)
        let told = lines.withLock { $0 }
        #expect(told.contains { $0.hasPrefix("names: limits of endpoint-0 have no room for 1 ") }, "\(told)")
        #expect(service.held()["veth0#4"]?.problem?.hasPrefix("its limits have no room") == true)
        // Who asks again is not answered while there is no room.
        let known = try #require(service.proxies.withLock { $0?.counted })
        let missing = Swift.Set(holdings.filter { !counted.contains($0.address.description) })
        #expect(missing.count == 1)
        let refusal = #expect(throws: NetlinkError.self) { try known.note(missing, link: "veth0#4") }
        #expect(refusal?.errno == .tableFull)
        // Another agent takes over what the former one has noted, and puts none of that into the rules' sets.
        service.change(NameChange(removed: [0])) { _ in }
        service.state.withLock { $0.inherited = ["veth0#4": holdings] }
        try service.change(change) { fill in
            try service.fillLimits(for: change)
            fill()
        }
        #expect(held().map(\.description) == counted)
        #expect(try pairs() == counted.map { "192.0.2.10 \($0)" })
        // With room, it is known, and the condition goes.
        try makeLimits(size: 2)
        try service.changeLimits(to: program, of: [limited]) { [LimitProgram.table] }
        #expect(service.held()["veth0#4"]?.problem?.hasPrefix("its limits") != true)
        try known.note(missing, link: "veth0#4")
        #expect(try addresses(in: set).count == 2)
        // Any other refusal ends the change.
        _ = try runProgram(["nft", "delete", "table", "inet", "egret-limits"])
        #expect(throws: NetlinkError.self) {
            try service.changeLimits(to: program, of: [limited]) { [LimitProgram.table] }
        }
    }

    @Test("limits for names that come later know where open connections by such names go")
    func laterLimits() throws {
        let limit = TrafficLimit(
            direction: .egress, domains: [try DomainPattern.parse("*.example.test")], connections: 5, policy: "p")
        let rule = EgressRule(action: .allow, domains: [try DomainPattern.parse("*.example.test")])
        let member = NameMember(
            slot: 0, link: "veth0#4", addresses: [NameServiceTests.first],
            generation: try #require(Generation(rawValue: 7)), policies: NameServiceTests.policies(rule))
        let limited = LimitProgram.Member(
            number: 0, linkIndex: 4, attachment: .link(try #require(InterfaceName("veth0")), index: 4),
            addresses: [NameServiceTests.first], network: "n", limits: [limit], groups: [:])
        let program = LimitProgram([limited], logGroup: 7)
        let set = try #require(program.namedSets.map { $0.set }.first { $0.family == .ipv4 }?.name)
        let made = try runProgram([
            "nft",
            "add table inet egret-limits; add set inet egret-limits \(set) { type ipv4_addr; flags dynamic,timeout; };",
        ])
        #expect(made.succeeded, "\(made)")
        defer { _ = try? runProgram(["nft", "delete", "table", "inet", "egret-limits"]) }
        let directory = try TemporaryDirectory()
        let service = try service(directory)
        try service.start()
        defer { service.end() }
        let change = NameChange(members: [member])
        service.change(change) { _ in }
        func attempt(_ name: String, _ host: UInt8, rules: [Int] = [0]) -> ConnectionAttempt {
            ConnectionAttempt(
                source: SocketAddress(NameServiceTests.first, port: 40_000),
                destination: SocketAddress(.v4(IPv4Address(203, 0, 113, host)), port: 443),
                speech: .name(SpokenName(name, .tls)), rules: rules)
        }
        let event = service.connectionHooks.event
        let ended = attempt("c.example.test", 12)
        event(0, .relayed(attempt("a.example.test", 10)))
        event(0, .relayed(attempt("b.example.test", 11, rules: [])))
        event(0, .relayed(ended))
        event(0, .relayed(attempt("other.test", 13)))
        event(1, .relayed(attempt("a.example.test", 14)))
        event(0, .ended(ended, nil))
        // No answer is held any more: by connections alone the limit knows the address.
        #expect(service.registry.holdings(of: 0, now: EgretLinux.BootClock.milliseconds).isEmpty)
        try service.changeLimits(to: program, of: [limited]) { [] }
        #expect(try addresses(in: set) == ["203.0.113.10"])
        _ = try runProgram(["nft", "flush set inet egret-limits \(set)"])
        try service.change(change) { _ in try service.fillLimits(for: change) }
        #expect(try addresses(in: set) == ["203.0.113.10"])
    }

    /// The sets of flows of two programs that have some, each with the ports of its flows' clients.
    private func flowPorts() throws -> [String: [Int]] {
        var ports: [String: [Int]] = [:]
        for set in ["g7-names-passed-ipv4", "g7-q0-ipv4", "g8-names-passed-ipv4", "g8-q0-ipv4"] {
            let output = try runProgram(["nft", "-j", "list", "set", "inet", "egret-policy", set]).standardOutput
            let found = output.matches(of: /"concat": \["[0-9.]+", ([0-9]+), "203.0.113.10", 443\]/)
            if !found.isEmpty { ports[set] = found.compactMap { Int($0.output.1) }.sorted() }
        }
        return ports
    }

    @Test("flows that were let through go on under rules that let their name out, and are nobody else's")
    func flows() throws {
        let pair = "{ type ipv4_addr . ipv4_addr; flags timeout; }"
        let flow = "{ type ipv4_addr . inet_service . ipv4_addr . inet_service; flags timeout; }"
        var text = "add table inet egret-policy;"
        for generation in ["g7", "g8"] {
            text += " add set inet egret-policy \(generation)-d0-ipv4 \(pair);"
            for set in ["names-passed-ipv4", "q0-ipv4"] {
                text += " add set inet egret-policy \(generation)-\(set) \(flow);"
            }
        }
        let made = try runProgram(["nft", text])
        #expect(made.succeeded, "\(made)")
        defer { _ = try? runProgram(["nft", "delete", "table", "inet", "egret-policy"]) }
        let directory = try TemporaryDirectory()
        let service = try service(directory)
        try service.start()
        defer { service.end() }
        func member(_ slot: Int, _ link: String, _ generation: UInt16, _ name: String) throws -> NameMember {
            let rule = EgressRule(
                action: .allow, domains: [try DomainPattern.parse(name)], naming: NameOptions(quic: .check),
                services: [.ports(.tcp, PortRange(443))])
            return NameMember(
                slot: slot, link: link, addresses: [NameServiceTests.first],
                generation: try #require(Generation(rawValue: generation)),
                policies: NameServiceTests.policies(rule))
        }
        func change(_ members: [NameMember], removed: [Int] = []) {
            service.change(NameChange(members: members, removed: removed)) { fill in fill() }
        }
        let held = try holding("a.example.test", until: EgretLinux.BootClock.milliseconds + 60_000)
        service.state.withLock { $0.inherited = ["veth1#4": [held]] }
        change([try member(1, "veth1#4", 7, "a.example.test")])
        let sets = try #require(service.proxies.withLock { $0?.sets })
        func pass(_ port: UInt16, _ name: String = "a.example.test", of slot: Int = 1) throws {
            let attempt = ConnectionAttempt(
                source: SocketAddress(NameServiceTests.first, port: port),
                destination: SocketAddress(NameServiceTests.web, port: 443),
                speech: .name(SpokenName(name, .tls)), rules: [0], transport: .udp)
            try service.letThrough(attempt, of: slot, sets)
        }
        try pass(1_001)
        try pass(1_002)
        #expect(throws: NameService.NotLetThrough.self) { try pass(1_003, "b.example.test") }
        #expect(throws: NameService.NotLetThrough.self) { try pass(1_003, of: 2) }
        #expect(try flowPorts() == ["g7-names-passed-ipv4": [1_001, 1_002], "g7-q0-ipv4": [1_001, 1_002]])
        let server = SocketAddress(NameServiceTests.web, port: 443)
        func said(_ port: UInt16) -> String? {
            service.nameSaid(from: SocketAddress(NameServiceTests.first, port: port), to: server)
        }
        #expect(said(1_001) == "a.example.test" && said(1_003) == nil)
        // Another program, and another number of the same link.
        change([try member(2, "veth1#4", 8, "*.example.test")], removed: [1])
        #expect(try flowPorts() == ["g8-names-passed-ipv4": [1_001, 1_002], "g8-q0-ipv4": [1_001, 1_002]])
        #expect(said(1_001) == "a.example.test")
        try pass(1_004, of: 2)
        // The name is not let out any more.
        change([try member(2, "veth1#4", 7, "b.example.test")])
        #expect(try flowPorts() == [:])
        #expect(said(1_001) == nil)
        // Who gets the address of an endpoint that has gone has begun nothing.
        service.state.withLock { $0.inherited = ["veth2#5": [held]] }
        change([try member(3, "veth2#5", 7, "a.example.test")], removed: [2])
        try pass(1_005, of: 3)
        change([try member(3, "veth3#6", 7, "a.example.test")])
        #expect(try flowPorts() == [:])
        // Of many, those go on that were let through last, and there is room for others at once.
        func passed(_ number: Int) -> (flow: PassedFlows.Flow, entry: PassedFlows.Entry) {
            let flow = PassedFlows.Flow(
                source: SocketAddress(NameServiceTests.first, port: UInt16(2_000 + number)), destination: server)
            let attempt = ConnectionAttempt(
                source: flow.source, destination: server, speech: .name(SpokenName("a.example.test", .tls)), rules: [0],
                transport: .udp)
            return (flow, PassedFlows.Entry(attempt: attempt, sets: ["g7-q0-ipv4"], until: UInt64(number)))
        }
        for number in 1...PassedFlows.mostOfLink {
            _ = service.passed.note(passed(number).entry, of: passed(number).flow, link: "veth3#6", now: 0)
        }
        change([try member(3, "veth3#6", 8, "a.example.test")])
        let listing = try runProgram(["nft", "-j", "list", "set", "inet", "egret-policy", "g8-q0-ipv4"]).standardOutput
        #expect(listing.split(separator: "\"concat\"").count == PassedFlows.mostRefilled + 1)
        #expect(listing.contains("\"192.0.2.10\", \(2_000 + PassedFlows.mostOfLink), \"203.0.113.10\", 443"))
        #expect(service.passed.flows(of: "veth3#6").count == PassedFlows.mostRefilled)
        try pass(1_006, of: 3)
    }
}
