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
    private func full(waiting count: Int) -> ServerPaces {
        var paces = ServerPaces()
        let admitted = (0..<UInt64(ServerPaces.most)).map { paces.admits($0, of: one, to: server, now: 1_000) }
        #expect(!admitted.contains(false))
        let more = (0..<UInt64(count)).map { paces.admits(1_000 + $0, of: one, to: server, now: 1_001) }
        #expect(!more.contains(true))
        return paces
    }

    @Test("what is more than a server's buffer surely holds waits for answers, or for a moment")
    func waiting() {
        var paces = full(waiting: 2)
        #expect(paces.busy == [server] && paces.next == 1_000 + ServerPaces.moment)
        let early = paces.take(for: server, now: 1_002)
        paces.noteAnswer(of: server)
        let answered = [paces.take(for: server, now: 1_002), paces.take(for: server, now: 1_002)]
        let later = paces.take(for: server, now: 1_000 + ServerPaces.moment)
        #expect(early == nil && answered == [1_000, nil] && later == 1_001)
        #expect(paces.busy.isEmpty && paces.next == nil)
    }

    @Test("another server has a buffer of its own, and nobody passes those who wait")
    func others() {
        var paces = full(waiting: 1)
        let elsewhere = paces.admits(7, of: one, to: SocketAddress(ipv4: 0xcb00_7136, port: 53), now: 1_001)
        let here = paces.admits(8, of: one, to: server, now: 1_100)
        #expect(elsewhere && !here)
        let taken = [paces.take(for: server, now: 1_100), paces.take(for: server, now: 1_100)]
        #expect(taken == [1_000, 8])
    }

    @Test("endpoints have their turns, however many questions one of them has")
    func turns() {
        var paces = full(waiting: 3)
        _ = paces.admits(50, of: two, to: server, now: 1_001)
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
        let later = [paces.take(for: server, now: 2_000), paces.take(for: server, now: 2_000)]
        #expect(later == [1_001, 1_002])
    }

    @Test("whose first question was answered while it waited keeps the turn")
    func unwantedTurn() {
        var paces = full(waiting: 2)
        let isAdmitted = paces.admits(50, of: two, to: server, now: 1_001)
        #expect(!isAdmitted)
        let taken = (0..<3).map { _ in paces.take(for: server, now: 2_000, where: { $0 != 1_000 }) }
        #expect(taken == [1_001, 50, nil])
    }

    @Test("servers that were not asked of late are forgotten, those for which somebody waits are not")
    func idle() {
        var paces = full(waiting: 1)
        paces.forgetIdle(now: 5_000)
        let kept = paces.take(for: server, now: 5_000)
        paces.forgetIdle(now: 9_000)
        // As if it had not been asked before: a moment of its own, long ago.
        let admitted = (0...UInt64(ServerPaces.most)).map { paces.admits($0, of: one, to: server, now: 1_000) }
        #expect(kept == 1_000 && admitted.count { $0 } == ServerPaces.most)
    }
}
