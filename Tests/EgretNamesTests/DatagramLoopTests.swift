// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDNSWire
import EgretEvaluator
import EgretGreetingWire
import EgretLinux
import EgretPolicy
import EgretTesting
import Synchronization
import Testing

@testable import EgretNames

/// What becomes of flows of datagrams, as the evaluator decides, without a kernel that leads them.
@Suite("Datagrams whose names are read")
struct DatagramLoopTests {
    /// What the hooks were told.
    private final class Told: Sendable {
        let events = Mutex<[ConnectionEvent]>([])
        let passes = Mutex<[ConnectionAttempt]>([])
        let failures = Mutex<[LinuxError]>([])

        var passed: Int { passes.withLock { $0.count } }
        /// Each event's word.
        var words: [String] {
            events.withLock { events in
                events.map { event in
                    switch event {
                    case .passed: "passed"
                    case .refused: "refused"
                    case .denied: "denied"
                    case .notHeld: "notHeld"
                    case .limited: "limited"
                    case .relayed, .ended, .unreachable: "unexpected"
                    }
                }
            }
        }
    }

    private struct FullSet: Error {}

    private let web = IPAddress.v4(IPv4Address(203, 0, 113, 10))
    // Answers to who was refused go nowhere but here.
    private let client = IPAddress.v4(IPv4Address(127, 0, 0, 1))
    private let neighbour = IPAddress.v4(IPv4Address(127, 0, 0, 2))
    private let told = Told()

    private func loop(
        _ rules: [EgressRule], isFull: Bool = false, room: DatagramLoop.Room = DatagramLoop.Room(),
        registry: NameRegistry = NameRegistry()
    ) throws -> DatagramLoop {
        let policies = policies(rules)
        for (id, address) in [client, neighbour].enumerated() {
            try enter(id + 1, at: address, policies, registry)
        }
        let judge = ConnectionJudge(policies, registry: registry)
        let told = self.told
        return try DatagramLoop(
            registry: registry,
            hooks: DatagramProxy.Hooks(
                begin: { judge.beginning($0, $1, over: .udp) },
                allows: { judge.decide($0, $1).verdict == .allow },
                pass: { _, attempt in
                    if isFull { throw FullSet() }
                    told.passes.withLock { $0.append(attempt) }
                },
                event: { _, event in told.events.withLock { $0.append(event) } },
                failed: { error in told.failures.withLock { $0.append(error) } }),
            loop: EventLoop(), source: LedDatagrams([], port: 9), room: room, patience: 10_000)
    }

    private func policies(_ rules: [EgressRule]) -> PolicySet {
        PolicySet(policies: [EgressPolicy(name: "p", defaultAction: .deny, rules: rules)])
    }

    /// Has an endpoint known, which has resolved the name or not.
    private func enter(
        _ id: Int, at address: IPAddress, _ policies: PolicySet, _ registry: NameRegistry, holding: Bool = true
    ) throws {
        let name = try #require(DNSName("www.example.test"))
        let now = BootClock.milliseconds
        let holdings = [NameHolding(name: name, address: web, until: now + 600_000)]
        _ = registry.set(
            NameEndpoint(id: id, addresses: [address], rules: NameRule.rules(of: policies)),
            holding: holding ? holdings : [], now: now)
    }

    private func checking(_ options: NameOptions = NameOptions(quic: .check)) throws -> EgressRule {
        EgressRule(
            action: .allow, domains: [try DomainPattern.parse("*.example.test")], naming: options,
            services: [.ports(.tcp, PortRange(443))])
    }

    private func flow(
        _ port: UInt16 = 40_000, to address: IPAddress? = nil, from source: IPAddress? = nil
    ) -> DatagramLoop.Flow {
        DatagramLoop.Flow(
            source: SocketAddress(source ?? client, port: port),
            destination: SocketAddress(address ?? web, port: 443))
    }

    @Test("a flow that says an allowed name passes, is told once, and is let through again if it comes back")
    func allowed() throws {
        let loop = try loop([checking()])
        let datagram = try QUICInitial().datagram(saying: "www.example.test")
        loop.take(datagram, flow())
        #expect(told.words == ["passed"] && told.passed == 1)
        // However many come together, the kernel is asked once more.
        for _ in 0..<5 { loop.take(datagram, flow()) }
        loop.passReturned()
        #expect(told.words == ["passed"] && told.passed == 2)
        loop.passReturned()
        #expect(told.passed == 2)
        let attempt = try #require(told.passes.withLock { $0.first })
        #expect(attempt.transport == .udp && attempt.rules == [0])
        #expect(attempt.speech == .name(SpokenName("www.example.test", .tls)))
    }

    @Test("another name at the same address, one that was not resolved, and none are refused")
    func refused() throws {
        let loop = try loop([checking()])
        for (port, name) in [(1, "other.example.test"), (2, "www.example.org"), (3, nil)] as [(UInt16, String?)] {
            loop.take(try QUICInitial().datagram(saying: name), flow(port))
            loop.take(try QUICInitial().datagram(saying: name), flow(port))
        }
        loop.take(Array("no QUIC".utf8), flow(4))
        #expect(told.words == ["refused", "refused", "refused", "refused"] && told.passed == 0)
    }

    @Test("where no name is needed, what says none passes, and a name that is not allowed does not")
    func lenient() throws {
        let loop = try loop([checking(NameOptions(whenUnverified: .pin, quic: .check))])
        loop.take(Array("no QUIC".utf8), flow(1))
        loop.take(try QUICInitial().datagram(saying: nil), flow(2))
        loop.take(try QUICInitial().datagram(saying: "other.example.test"), flow(3))
        #expect(told.words == ["passed", "passed", "refused"])
    }

    @Test("a client that says only a part has its time, and is judged then")
    func silent() throws {
        let loop = try loop([checking()])
        let hello = QUICInitial.hello("www.example.test")
        loop.take(try QUICInitial().packet(0, QUICInitial.crypto(hello[20...], at: 20)), flow())
        #expect(told.words.isEmpty)
        loop.now += 9_000
        loop.tick()
        #expect(told.words.isEmpty)
        loop.now += 2_000
        loop.tick()
        #expect(told.words == ["refused"])
        // Later it may begin anew.
        loop.now += 20_000
        loop.tick()
        loop.take(try QUICInitial().datagram(saying: "www.example.test"), flow())
        #expect(told.words == ["refused", "passed"])
    }

    @Test("an open address passes unread, one that nobody holds does not, and a set that is full lets nothing through")
    func otherEnds() throws {
        let open = EgressRule(action: .allow, destinations: [.block(AddressBlock(IPPrefix(web)))])
        try loop([checking(), open]).take(Array("no QUIC".utf8), flow())
        #expect(told.words == ["passed"])
        try loop([checking()]).take([1], flow(to: .v4(IPv4Address(203, 0, 113, 11))))
        #expect(told.words == ["passed", "notHeld"])
        let full = try loop([checking()], isFull: true)
        full.take(try QUICInitial().datagram(saying: "www.example.test"), flow())
        #expect(told.words == ["passed", "notHeld", "limited"] && told.passed == 1)
    }

    @Test("an endpoint that begins and says nothing has so many flows and no more")
    func flood() throws {
        let loop = try loop([checking()])
        let hello = QUICInitial.hello("www.example.test")
        let part = try QUICInitial().packet(0, QUICInitial.crypto(hello[20...], at: 20))
        for port in 0..<UInt16(DatagramLoop.mostReadings + 5) { loop.take(part, flow(10_000 + port)) }
        #expect(told.words == [String](repeating: "limited", count: 5))
    }

    @Test("a client that goes on with parts beyond its time is judged, and does not begin anew")
    func trickle() throws {
        let loop = try loop([checking()])
        let hello = QUICInitial.hello("www.example.test")
        let part = try QUICInitial().packet(0, QUICInitial.crypto(hello[20...], at: 20))
        loop.take(part, flow())
        loop.now += 10_001
        // The clock has not been looked at in between.
        loop.take(part, flow())
        #expect(told.words == ["refused"])
    }

    @Test("refusals that nobody remembers are told, and answered, only so often")
    func refusalFlood() throws {
        let loop = try loop([checking()])
        let extra = DatagramLoop.mostUnremembered + 100
        for port in 0..<UInt16(DatagramLoop.mostFlowsOfEndpoint + extra) {
            loop.take(Array("no QUIC".utf8), flow(10_000 + port))
        }
        #expect(told.words.count == DatagramLoop.mostFlowsOfEndpoint + DatagramLoop.mostUnremembered)
        #expect(loop.answerCount == DatagramLoop.mostAnswers)
        loop.tick()
        loop.take(Array("no QUIC".utf8), flow(1))
        #expect(told.words.count == DatagramLoop.mostFlowsOfEndpoint + DatagramLoop.mostUnremembered + 1)
        #expect(loop.answerCount == 1)
    }

    @Test("of what all endpoints have together, one has only its share of answers, and there is an end to what is held")
    func shared() throws {
        let loop = try loop(
            [checking()], room: DatagramLoop.Room(flows: 20, readings: 3, answers: 100, answersOfEndpoint: 5))
        let hello = QUICInitial.hello("www.example.test")
        let part = try QUICInitial().packet(0, QUICInitial.crypto(hello[20...], at: 20))
        for port in 1...3 { loop.take(part, flow(UInt16(port))) }
        #expect(told.words.isEmpty)
        loop.take(part, flow(4, from: neighbour))
        #expect(told.words == ["limited"] && loop.answerCount == 1)
        for port in 10..<20 { loop.take(Array("no QUIC".utf8), flow(UInt16(port))) }
        #expect(loop.answerCount == 6)
        loop.take(Array("no QUIC".utf8), flow(30, from: neighbour))
        #expect(loop.answerCount == 7)
        // What was begun is gone after its time, and there is room again.
        loop.now += 10_001
        loop.tick()
        loop.now += 10_001
        loop.tick()
        loop.take(try QUICInitial().datagram(saying: "www.example.test"), flow(4, from: neighbour))
        #expect(told.words.last == "passed")
    }

    @Test("where most of what all have together is taken, who has more than its share gets no more, and others do")
    func fair() throws {
        let loop = try loop([checking()], room: DatagramLoop.Room(flows: 64, readings: 8))
        let hello = QUICInitial.hello("www.example.test")
        let part = try QUICInitial().packet(0, QUICInitial.crypto(hello[20...], at: 20))
        for port in 1...8 { loop.take(part, flow(UInt16(port))) }
        #expect(told.words == ["limited", "limited"])
        for port in 1...2 { loop.take(part, flow(UInt16(port), from: neighbour)) }
        #expect(told.words == ["limited", "limited"])
    }

    @Test("who has got the number and the address of an endpoint that is gone has begun none of its flows")
    func passedOn() throws {
        let registry = NameRegistry()
        let rules = [try checking(NameOptions(whenUnverified: .pin, quic: .check))]
        let loop = try loop(rules, registry: registry)
        let hello = QUICInitial.hello("www.example.test")
        loop.take(try QUICInitial().datagram(saying: "www.example.test"), flow(1))
        loop.take(try QUICInitial().packet(0, QUICInitial.crypto(hello[20...], at: 20)), flow(2))
        #expect(told.words == ["passed"] && told.passed == 1)
        registry.remove(1)
        try enter(1, at: client, policies(rules), registry, holding: false)
        loop.take(Array("unread".utf8), flow(1))
        loop.passReturned()
        #expect(told.words == ["passed", "notHeld"] && told.passed == 1)
        // Nor is what the former one has left half said judged as the new one's.
        try enter(1, at: client, policies(rules), registry)
        loop.now += 11_000
        loop.tick()
        #expect(told.words == ["passed", "notHeld"] && told.passed == 1)
    }

    @Test("datagrams that a sender's kernel has not cut apart yet are read as the packets that they are")
    func together() throws {
        let loop = try loop([checking()])
        let hello = QUICInitial.hello("www.example.test")
        let client = QUICInitial()
        let first = try client.packet(0, QUICInitial.crypto(hello[..<30], at: 0), paddedTo: 1_200)
        let second = try client.packet(1, QUICInitial.crypto(hello[30...], at: 30), paddedTo: 1_200)
        loop.take(first + second, flow())
        #expect(told.words == ["passed"])
        loop.take(first + Array(second.dropLast(100)), flow(40_001))
        #expect(told.words == ["passed", "refused"], "a part is missing")
    }

    @Test("copies of dropped datagrams reach who reads them whole, and one process alone", .requiresRoot)
    func copies() throws {
        let table = "egret-copies"
        let made = try runProgram(
            ["nft", "-f", "-"],
            standardInput: """
                table inet \(table) {
                    chain o {
                        type filter hook output priority 0
                        udp dport 40999 log group 39998 snaplen 65535 queue-threshold 1 drop
                    }
                }

                """)
        #expect(made.succeeded, "\(made)")
        defer { _ = try? runProgram(["nft", "delete", "table", "inet", table]) }
        let source = try CopiedDatagrams(group: 39_998)
        #expect(throws: (any Error).self) { _ = try CopiedDatagrams(group: 39_998) }
        for address in [SocketAddress(ipv4: 0x7f00_0001, port: 40_999), SocketAddress(ipv6: 1, port: 40_999)] {
            let sender = try InternetSocket.datagrams(to: address)
            let long = [UInt8](repeating: 7, count: 5_000)
            _ = try? sender.send(long[...])
            var (payloads, flows): ([[UInt8]], [DatagramLoop.Flow]) = ([], [])
            for _ in 0..<100 where payloads.isEmpty {
                source.receive(at: 0) { bytes, flow in
                    payloads.append(bytes)
                    flows.append(flow)
                }
                if payloads.isEmpty { _ = try runProgram(["sleep", "0.01"]) }
            }
            #expect(payloads == [long] && flows.map(\.destination) == [address])
            #expect(try flows.map(\.source) == [sender.ownAddress()])
        }
    }

    @Test("what was refused is noted with its transport")
    func noted() throws {
        let place = SocketAddress(web, port: 443)
        var attempt = ConnectionAttempt(
            source: SocketAddress(client, port: 1), destination: place, speech: .nothing(.otherProtocol), rules: [])
        attempt.transport = .udp
        var journal = NameJournal()
        for event in [ConnectionEvent.limited(place), .denied(place), .notHeld(place), .refused(attempt)] {
            journal.note(event, over: .udp)
        }
        journal.note(ConnectionEvent.limited(place))
        let noted = journal.report.refusedConnections.map(\.key)
        #expect(noted.filter { $0.transport == .udp }.count == 4 && noted.filter { $0.transport == .tcp }.count == 1)
    }

    @Test("the sets that a flow is put into are those of the rules that read its name")
    func rules() throws {
        let other = EgressRule(
            action: .allow, domains: [try DomainPattern.parse("www.example.test")],
            services: [.ports(.tcp, PortRange(443))])
        let lenient = try checking(NameOptions(whenUnverified: .pin, quic: .check))
        let policies = PolicySet(
            policies: [EgressPolicy(name: "p", defaultAction: .deny, rules: [other, try checking(), lenient])])
        let judge = ConnectionJudge(policies, registry: NameRegistry())
        var attempt = ConnectionAttempt(
            source: SocketAddress(client, port: 1), destination: SocketAddress(web, port: 443),
            speech: .name(SpokenName("www.example.test", .tls)), rules: [0, 1, 2, 7], transport: .udp)
        #expect(judge.rulesOfFlows(attempt) == [1, 2])
        attempt.speech = .nothing(.otherProtocol)
        #expect(judge.rulesOfFlows(attempt) == [2])
        attempt.destination.port = 80
        #expect(judge.rulesOfFlows(attempt) == [])
    }

    @Test("where a rule that cuts covers a flow, by its address or a name that holds it, its time may end the flow")
    func cutting() throws {
        let always = try checking()
        let hours = try #require(Schedule.Hours(start: 540, end: 1_020))
        let cut = Schedule(hours: [hours], onClose: .cut)
        let drain = Schedule(hours: [hours], onClose: .drain)
        func mayCut(_ rule: EgressRule?, at schedule: Schedule) throws -> Bool {
            var rules = [always]
            if var rule {
                rule.schedule = schedule
                rules.append(rule)
            }
            let policies = PolicySet(policies: [EgressPolicy(name: "p", defaultAction: .deny, rules: rules)])
            let registry = NameRegistry()
            let name = try #require(DNSName("www.example.test"))
            let now = BootClock.milliseconds
            let endpoint = NameEndpoint(id: 1, addresses: [client], rules: NameRule.rules(of: policies))
            _ = registry.set(
                endpoint, holding: [NameHolding(name: name, address: web, until: now + 600_000)], now: now)
            let attempt = ConnectionAttempt(
                source: SocketAddress(client, port: 1), destination: SocketAddress(web, port: 443),
                speech: .name(SpokenName("www.example.test", .tls)), rules: [0], transport: .udp)
            return ConnectionJudge(policies, registry: registry).mayCut(1, attempt)
        }
        func naming(_ name: String, _ port: UInt16) throws -> EgressRule {
            EgressRule(
                action: .allow, domains: [try DomainPattern.parse(name)], services: [.ports(.tcp, PortRange(port))])
        }
        func denying(_ address: IPAddress, _ services: [Service] = []) -> EgressRule {
            EgressRule(
                action: .deny, destinations: [.block(AddressBlock(IPPrefix(address)))], services: services)
        }
        let covering: [EgressRule] = [
            always, try naming("www.example.test", 443), denying(web), denying(web, [.any(.udp)]),
            EgressRule(action: .deny),
        ]
        for rule in covering {
            #expect(try mayCut(rule, at: cut), "\(rule)")
            #expect(try !mayCut(rule, at: drain), "\(rule)")
        }
        let others: [EgressRule?] = [
            nil, try naming("other.example.test", 443), try naming("www.example.test", 22), denying(client),
            denying(web, [.any(.tcp)]), denying(web, [.ports(.udp, PortRange(53))]),
        ]
        for rule in others { #expect(try !mayCut(rule, at: cut), "\(String(describing: rule))") }
    }

    @Test("work that ends by an error is told, and work that somebody ends is not")
    func failure() throws {
        let loop = try loop([checking()])
        let error = LinuxError(.overrun, operation: "wait")
        loop.run(StopSign(), waiting: { (_: Int32) throws(LinuxError) -> [Int] in throw error })
        #expect(told.failures.withLock { $0 } == [error])
        let sign = StopSign()
        sign.set()
        loop.run(sign)
        #expect(told.failures.withLock { $0.count } == 1)
    }

    @Test("a socket that datagrams are led to tells their ports and addresses, in both families", .requiresRoot)
    func destinations() throws {
        for own in [SocketAddress(ipv4: 0x7f00_0001, port: 0), SocketAddress(ipv6: 1, port: 0)] {
            let socket = try InternetSocket.divertedDatagrams(at: own, receiveBuffer: 65_536)
            let place = try socket.ownAddress()
            let sender = try InternetSocket.datagrams(to: place)
            #expect(try sender.send([1, 2, 3]) == 3)
            let receiver = DatagramReceiver(limit: 4, slot: 100)
            var found: [DatagramReceiver.Datagram] = []
            for _ in 0..<100 where found.isEmpty {
                found = try receiver.receive(from: socket).datagrams
                if found.isEmpty { _ = try runProgram(["sleep", "0.01"]) }
            }
            #expect(found.map(\.bytes) == [[1, 2, 3]] && found.map(\.own) == [place])
            #expect(try found.map(\.peer) == [sender.ownAddress()])
        }
    }

    @Test("who is refused hears it in the words of the kernel's rules")
    func unreachable() throws {
        let four = UnreachableMessage.bytes(flow().source, flow().destination)
        #expect(Array(four.prefix(2)) == [3, 13] && four.count == 36)
        #expect(Array(four[8..<28]) == [0x45, 0, 0, 28, 0, 0, 0x40, 0, 64, 17, 0, 0, 127, 0, 0, 1, 203, 0, 113, 10])
        #expect(Array(four[28...]) == [0x9c, 0x40, 1, 0xbb, 0, 8, 0, 0])
        let sum = stride(from: 0, to: 36, by: 2).reduce(0) { $0 + Int(four[$1]) << 8 + Int(four[$1 + 1]) }
        #expect((sum & 0xffff + sum >> 16) == 0xffff)
        let six = SocketAddress(try #require(IPAddress("2001:db8::1")), port: 1)
        let message = UnreachableMessage.bytes(six, six)
        #expect(Array(message.prefix(2)) == [1, 1] && message.count == 56 && message[14] == 17)
    }
}
