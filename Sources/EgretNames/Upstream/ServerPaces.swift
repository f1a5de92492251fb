// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux

/// How fast servers are sent datagrams, so that they fit into the buffers of their sockets: what does not is lost.
///
/// A socket of Linux holds some 270 short ones (`net.core.rmem_default`, 212,992 bytes, of which each takes 768). A server that
/// is on its way with many questions has read them; so what counts is what it was sent a moment ago and has not answered.
/// Endpoints have their turns.
struct ServerPaces {
    /// How long a server has to read what it was sent, in milliseconds.
    static let moment: UInt64 = 20
    /// How many datagrams it is sent in that time, besides one for each answer. A moment may begin right behind another.
    static let most = 128

    private struct Pace {
        /// When the moment began, in milliseconds.
        var since: UInt64
        /// What was sent in it, answers subtracted.
        var unread = 0
        /// The questions that wait, by whose they are, and whose turn it is.
        var waiting: [NameOwner: [UInt64]] = [:]
        var turns: [NameOwner] = []

        mutating func admits(now: UInt64) -> Bool {
            if now >= since + ServerPaces.moment { (since, unread) = (now, 0) }
            guard unread < ServerPaces.most else { return false }
            unread += 1
            return true
        }

        /// Forgets the question that is next.
        mutating func removeFirst(endsTurn: Bool) {
            guard let owner = turns.first else { return }
            waiting[owner]?.removeFirst()
            let isDone = waiting[owner]?.isEmpty ?? true
            if isDone { waiting[owner] = nil }
            guard isDone || endsTurn else { return }
            turns.removeFirst()
            if !isDone { turns.append(owner) }
        }
    }

    private var paces: [SocketAddress: Pace] = [:]
    /// The servers for which questions wait.
    private(set) var busy: Set<SocketAddress> = []

    /// When the next question may be sent at the latest, in milliseconds; `nil` if none waits.
    var next: UInt64? { busy.compactMap { paces[$0].map { $0.since + ServerPaces.moment } }.min() }

    /// Whether a datagram may be sent to a server now; otherwise its question waits.
    mutating func admits(_ question: UInt64, of owner: NameOwner, to server: SocketAddress, now: UInt64) -> Bool {
        var pace = paces.removeValue(forKey: server) ?? Pace(since: now)
        defer { paces[server] = pace }
        if pace.turns.isEmpty, pace.admits(now: now) { return true }
        if pace.waiting[owner, default: []].isEmpty { pace.turns.append(owner) }
        pace.waiting[owner, default: []].append(question)
        busy.insert(server)
        return false
    }

    /// Takes the next question that waits for a server, if a datagram may be sent there.
    ///
    /// - Parameters:
    ///   - server: The server.
    ///   - now: The time in milliseconds.
    ///   - isWanted: Whether a question's datagram is to be sent still. Others, which were answered meanwhile, are forgotten, and take
    ///     nobody's place.
    /// - Returns: The question; `nil` if there is none, or it has to wait.
    mutating func take(
        for server: SocketAddress, now: UInt64, where isWanted: (UInt64) -> Bool = { _ in true }
    ) -> UInt64? {
        guard var pace = paces.removeValue(forKey: server) else { return nil }
        defer {
            if pace.turns.isEmpty { busy.remove(server) }
            paces[server] = pace
        }
        while let owner = pace.turns.first, let question = pace.waiting[owner]?.first {
            let isToBeSent = isWanted(question)
            if isToBeSent, !pace.admits(now: now) { return nil }
            pace.removeFirst(endsTurn: isToBeSent)
            if isToBeSent { return question }
        }
        return nil
    }

    /// Notes that a server has answered: it has read something.
    mutating func noteAnswer(of server: SocketAddress) {
        guard let unread = paces[server]?.unread, unread > 0 else { return }
        paces[server]?.unread = unread - 1
    }

    /// Forgets the servers that were not asked of late.
    mutating func forgetIdle(now: UInt64) {
        paces = paces.filter { !$0.value.turns.isEmpty || now < $0.value.since + ServerPaces.moment }
    }
}
