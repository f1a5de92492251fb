// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretGreetingWire
import EgretLinux
import EgretNames
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
}
