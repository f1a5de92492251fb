// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretNames
import Synchronization

/// The flows of datagrams that the check of names has let through, by the links of endpoints: what each has said, and the
/// sets in which the kernel has it.
///
/// They are known for longer than the kernel looks them up, so that they can go on under other rules. Those that it looks up
/// no more make room for others, the oldest first, of the link that has most of them where there is no room at all.
final class PassedFlows: Sendable {
    /// A client's socket, and the server that it sends to.
    struct Flow: Hashable, Sendable {
        var source: SocketAddress
        var destination: SocketAddress
    }

    /// A flow that was let through.
    struct Entry: Sendable {
        var attempt: ConnectionAttempt
        /// The sets that it is in.
        var sets: Swift.Set<String>
        /// When it has left all of them, in milliseconds.
        var until: UInt64
    }

    /// What is known of a link.
    fileprivate struct Link {
        var flows: [Flow: Entry] = [:]
        /// Some that the kernel looked up no more when they were looked for, and until when it did: the oldest is the last.
        var oldest: [(flow: Flow, until: UInt64)] = []
        /// Until when it looks up all, in milliseconds.
        var fullUntil: UInt64 = 0
    }

    fileprivate struct State {
        var links: [String: Link] = [:]
        var count = 0
        /// Until when there is no room at all, in milliseconds.
        var fullUntil: UInt64 = 0
        /// When what is old is looked for next, in milliseconds.
        var nextAgeing: UInt64 = 0
        /// How many flows were looked at to make room.
        var looks = 0
    }

    /// How many old ones are looked for at a time: a link's flows are looked through once for so many that come.
    fileprivate static let mostOldest = 1_024
    /// Flows of one link, and of all.
    static let mostOfLink = 8_192
    static let most = 65_536
    /// Flows of one link that go on under other rules, the newest first: beside them there is room for new ones at once.
    static let mostRefilled = 4_096
    /// How long a flow is known that the kernel looks up no more, in milliseconds.
    static let memory: UInt64 = 86_400_000

    private let state = Mutex(State())

    /// Notes a flow, or that it is let through once more.
    ///
    /// - Returns: Whether there is room for it, and what was known of it before.
    func note(_ entry: Entry, of flow: Flow, link: String, now: UInt64) -> (isNoted: Bool, former: Entry?) {
        state.withLock { state in
            if let former = state.links[link]?.flows[flow] {
                state.replace(flow, of: link, with: entry)
                return (true, former)
            }
            if state.links[link]?.flows.count ?? 0 >= PassedFlows.mostOfLink, !state.makeRoom(in: link, now) {
                return (false, nil)
            }
            if state.count >= PassedFlows.most, !state.makeRoom(now) { return (false, nil) }
            state.links[link, default: Link()].flows[flow] = entry
            state.count += 1
            state.lower(link, to: entry.until)
            return (true, nil)
        }
    }

    /// Notes that a flow was not let through after all: what was known of it before is.
    func restore(_ former: Entry?, of flow: Flow, link: String) {
        state.withLock { state in
            if let former {
                state.replace(flow, of: link, with: former)
            } else {
                state.remove(flow, of: link)
            }
        }
    }

    /// What is known of a link's flow.
    func entry(of flow: Flow, link: String) -> Entry? { state.withLock { $0.links[link]?.flows[flow] } }

    /// The flows of a link.
    func flows(of link: String) -> [Flow: Entry] { state.withLock { $0.links[link]?.flows ?? [:] } }

    /// How many flows were looked at so far, to make room for others.
    var looks: Int { state.withLock { $0.looks } }

    /// Forgets a flow.
    func forget(_ flow: Flow, of link: String) { state.withLock { $0.remove(flow, of: link) } }

    /// Forgets a link.
    ///
    /// - Returns: Its flows.
    func forget(_ link: String) -> [Flow: Entry] {
        state.withLock { state in
            let gone = state.links.removeValue(forKey: link)?.flows ?? [:]
            state.count -= gone.count
            return gone
        }
    }

    /// Forgets what is old, about once a minute.
    func age(_ now: UInt64) {
        state.withLock { state in
            guard now >= state.nextAgeing else { return }
            state.nextAgeing = now + 60_000
            state.links = state.links.compactMapValues { link in
                var link = link
                link.flows = link.flows.filter { $0.value.until + PassedFlows.memory > now }
                return link.flows.isEmpty ? nil : link
            }
            state.count = state.links.values.reduce(0) { $0 + $1.flows.count }
        }
    }
}

extension PassedFlows.State {
    /// Notes a known flow anew. It may have less time than before.
    fileprivate mutating func replace(_ flow: PassedFlows.Flow, of name: String, with entry: PassedFlows.Entry) {
        links[name]?.flows[flow] = entry
        lower(name, to: entry.until)
    }

    /// Hears that a flow of a link may make room from a time on.
    fileprivate mutating func lower(_ link: String, to until: UInt64) {
        fullUntil = min(fullUntil, until)
        if let before = links[link]?.fullUntil, until < before { links[link]?.fullUntil = until }
    }

    fileprivate mutating func remove(_ flow: PassedFlows.Flow, of link: String) {
        guard links[link]?.flows.removeValue(forKey: flow) != nil else { return }
        count -= 1
        if links[link]?.flows.isEmpty ?? false { links[link] = nil }
    }

    /// Forgets a flow of the link that has most, or of the next one. Returns `false` if the kernel looks up all of all.
    fileprivate mutating func makeRoom(_ now: UInt64) -> Bool {
        if now < fullUntil { return false }
        let largestFirst = links.keys.sorted { (links[$0]?.flows.count ?? 0) > (links[$1]?.flows.count ?? 0) }
        for link in largestFirst where makeRoom(in: link, now) { return true }
        fullUntil = links.values.map(\.fullUntil).min() ?? 0
        return false
    }

    /// Forgets the flow of a link that the kernel has looked up no more for longest. Returns `false` if it looks up all.
    fileprivate mutating func makeRoom(in name: String, _ now: UInt64) -> Bool {
        // Taken out, so that nothing of it is copied.
        guard var link = links.removeValue(forKey: name) else { return false }
        let hasMade = link.makeRoom(now, &looks)
        if hasMade { count -= 1 }
        if !link.flows.isEmpty { links[name] = link }
        return hasMade
    }
}

extension PassedFlows.Link {
    fileprivate mutating func makeRoom(_ now: UInt64, _ looks: inout Int) -> Bool {
        if forgetOldest() { return true }
        if now < fullUntil { return false }
        looks += flows.count
        var until = UInt64.max
        for (flow, entry) in flows {
            until = min(until, entry.until)
            if entry.until <= now { oldest.append((flow, entry.until)) }
        }
        fullUntil = until
        oldest.sort { $0.until > $1.until }
        oldest = Array(oldest.suffix(PassedFlows.mostOldest))
        return forgetOldest()
    }

    /// Forgets the oldest one that was found and has not been let through again since.
    private mutating func forgetOldest() -> Bool {
        while let (flow, until) = oldest.popLast() {
            guard flows[flow]?.until == until else { continue }
            flows[flow] = nil
            return true
        }
        return false
    }
}
