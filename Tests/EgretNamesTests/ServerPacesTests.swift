// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import Testing

@testable import EgretNames

@Suite("How fast servers are sent datagrams")
struct ServerPacesTests {
    private let server = SocketAddress(ipv4: 0xcb00_7135, port: 53)
    private let one = NameOwner(endpoint: 1, incarnation: 1)
    private let two = NameOwner(endpoint: 2, incarnation: 1)

    /// Paces of which the moment that began at 1,000 is full, and so many more questions of the first endpoint wait.
    private func full(waiting count: Int = 0) -> ServerPaces {
        var paces = ServerPaces()
        for number in 0..<UInt64(ServerPaces.most) {
            #expect(paces.admits(number, of: one, to: server, now: 1_000))
        }
        for number in 0..<UInt64(count) { #expect(!paces.admits(1_000 + number, of: one, to: server, now: 1_001)) }
        return paces
    }

    @Test("what is more than a server's buffer surely holds waits for answers, or for a moment")
    func waiting() {
        var paces = full(waiting: 2)
        #expect(paces.busy == [server] && paces.next == 1_000 + ServerPaces.moment)
        #expect(paces.take(for: server, now: 1_002) == nil)
        paces.noteAnswer(of: server)
        #expect(paces.take(for: server, now: 1_002) == 1_000 && paces.take(for: server, now: 1_002) == nil)
        #expect(paces.take(for: server, now: 1_000 + ServerPaces.moment) == 1_001)
        #expect(paces.busy.isEmpty && paces.next == nil)
    }

    @Test("another server has a buffer of its own, and nobody passes those who wait")
    func others() {
        var paces = full(waiting: 1)
        #expect(paces.admits(7, of: one, to: SocketAddress(ipv4: 0xcb00_7136, port: 53), now: 1_001))
        #expect(!paces.admits(8, of: one, to: server, now: 1_100))
        #expect(paces.take(for: server, now: 1_100) == 1_000 && paces.take(for: server, now: 1_100) == 8)
    }

    @Test("endpoints have their turns, however many questions one of them has")
    func turns() {
        var paces = full(waiting: 3)
        #expect(!paces.admits(50, of: two, to: server, now: 1_001))
        let taken = (0..<5).map { _ in paces.take(for: server, now: 2_000) }
        #expect(taken == [1_000, 50, 1_001, 1_002, nil])
    }

    @Test("what was answered while it waited takes nobody's place")
    func unwanted() {
        var paces = full(waiting: 3)
        paces.noteAnswer(of: server)
        let last = paces.take(for: server, now: 1_002) { $0 == 1_002 }
        #expect(last == 1_002 && paces.busy.isEmpty && paces.next == nil)
        paces = full(waiting: 3)
        let second = paces.take(for: server, now: 1_002) { $0 == 1_001 }
        #expect(second == nil, "it waits")
        #expect(paces.take(for: server, now: 2_000) == 1_001 && paces.take(for: server, now: 2_000) == 1_002)
    }

    @Test("whose first question was answered while it waited keeps the turn")
    func unwantedTurn() {
        var paces = full(waiting: 2)
        #expect(!paces.admits(50, of: two, to: server, now: 1_001))
        let taken = (0..<3).map { _ in paces.take(for: server, now: 2_000, where: { $0 != 1_000 }) }
        #expect(taken == [1_001, 50, nil])
    }

    @Test("servers that were not asked of late are forgotten, those for which somebody waits are not")
    func idle() {
        var paces = full(waiting: 1)
        paces.forgetIdle(now: 5_000)
        #expect(paces.take(for: server, now: 5_000) == 1_000)
        paces.forgetIdle(now: 9_000)
        #expect(paces.admits(1, of: one, to: server, now: 1_000), "as if it had not been asked before")
    }
}
