// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretGreetingWire
import EgretLinux
import EgretNames
import EgretPolicy
import Synchronization
import Testing

/// When open connections were let through.
struct ConnectionTimesTests {
    private final class Clock: Sendable {
        let time = Mutex<Int64>(0)
    }

    @Test("each connection of a client's port has its own time, until it ends or is judged again")
    func times() {
        let clock = Clock()
        let times = ConnectionTimes(now: { clock.time.withLock { $0 } })
        func note(_ event: ConnectionEvent, of endpoint: Int = 1, at time: Int64) {
            clock.time.withLock { $0 = time }
            times.note(event, of: endpoint)
        }
        func attempt(_ port: UInt16) -> ConnectionAttempt {
            ConnectionAttempt(
                source: SocketAddress(.v4(IPv4Address(192, 0, 2, 10)), port: 40_000),
                destination: SocketAddress(.v4(IPv4Address(203, 0, 113, 10)), port: port),
                speech: .name(SpokenName("a.example.test", .tls)), rules: [0])
        }
        let (web, mail) = (attempt(443), attempt(993))
        note(.relayed(web), at: 100)
        note(.relayed(mail), at: 200)
        note(.relayed(web), of: 2, at: 300)
        note(.refused(web), at: 400)
        #expect(times.beginning(of: web, of: 1) == 100)
        #expect(times.beginning(of: mail, of: 1) == 200)
        #expect(times.beginning(of: web, of: 2) == 300)
        note(.ended(mail, nil), at: 500)
        #expect(times.beginning(of: mail, of: 1) == nil)
        #expect(times.beginning(of: web, of: 1) == 100)
        times.noteJudgement(of: web, of: 1)
        #expect(times.beginning(of: web, of: 1) == 500)
    }

    @Test("open connections are known by the names that let them out, and by no name that was only said")
    func names() throws {
        let times = ConnectionTimes(now: { 100 })
        func address(_ host: UInt8) -> IPAddress { .v4(IPv4Address(203, 0, 113, host)) }
        func attempt(
            _ host: UInt8, port: UInt16 = 443, _ speech: ConnectionAttempt.Speech, rules: [Int] = [0],
            names: Set<DomainName> = []
        ) -> ConnectionAttempt {
            ConnectionAttempt(
                source: SocketAddress(.v4(IPv4Address(192, 0, 2, 10)), port: 40_000),
                destination: SocketAddress(address(host), port: port), speech: speech, rules: rules, names: names)
        }
        func said(_ name: String) -> ConnectionAttempt.Speech { .name(SpokenName(name, .tls)) }
        let (a, b) = (try DomainName.parse("a.example.test"), try DomainName.parse("b.example.test"))
        let ended = attempt(12, said("a.example.test"))
        times.note(.relayed(attempt(10, said("A.example.test"))), of: 1)
        times.note(.relayed(attempt(10, port: 993, .nothing(.otherProtocol), names: [a, b])), of: 1)
        times.note(.relayed(attempt(11, said("b.example.test"), rules: [])), of: 1)
        times.note(.relayed(ended), of: 1)
        times.resume(attempt(13, said("b.example.test")), of: 2, since: 50)
        let before: [Int: [IPAddress: Set<DomainName>]] = [1: [address(10): [a, b], address(12): [a]]]
        #expect(times.names(of: [1]) == before)
        times.note(.ended(ended, nil), of: 1)
        let after: [Int: [IPAddress: Set<DomainName>]] = [1: [address(10): [a, b]], 2: [address(13): [b]]]
        #expect(times.names(of: [1, 2, 3]) == after)
        #expect(times.names(of: []).isEmpty)
    }
}
