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

    fileprivate struct State {
        var links: [String: [Flow: Entry]] = [:]
        var count = 0
        /// Until when there is no room at all, in milliseconds.
        var fullUntil: UInt64 = 0
        /// When what is old is looked for next, in milliseconds.
        var nextAgeing: UInt64 = 0
    }

    /// Flows of one link, and of all.
    static let mostOfLink = 8_192
    static let most = 65_536
    /// How long a flow is known that the kernel looks up no more, in milliseconds.
    static let memory: UInt64 = 86_400_000

    private let state = Mutex(State())

    /// Notes a flow, or that it is let through once more.
    ///
    /// - Returns: Whether there is room for it, and what was known of it before.
    func note(_ entry: Entry, of flow: Flow, link: String, now: UInt64) -> (isNoted: Bool, former: Entry?) {
        state.withLock { state in
            if let former = state.links[link]?[flow] {
                state.links[link]?[flow] = entry
                return (true, former)
            }
            if state.links[link]?.count ?? 0 >= PassedFlows.mostOfLink, !state.makeRoom(in: link, now) {
                return (false, nil)
            }
            if state.count >= PassedFlows.most, !state.makeRoom(now) { return (false, nil) }
            state.links[link, default: [:]][flow] = entry
            state.count += 1
            return (true, nil)
        }
    }

    /// Notes that a flow was not let through after all: what was known of it before is.
    func restore(_ former: Entry?, of flow: Flow, link: String) {
        state.withLock { state in
            if let former {
                state.links[link]?[flow] = former
            } else {
                state.remove(flow, of: link)
            }
        }
    }

    /// What is known of a link's flow.
    func entry(of flow: Flow, link: String) -> Entry? { state.withLock { $0.links[link]?[flow] } }

    /// The flows of a link.
    func flows(of link: String) -> [Flow: Entry] { state.withLock { $0.links[link] ?? [:] } }

    /// Forgets a flow.
    func forget(_ flow: Flow, of link: String) { state.withLock { $0.remove(flow, of: link) } }

    /// Forgets a link.
    ///
    /// - Returns: Its flows.
    func forget(_ link: String) -> [Flow: Entry] {
        state.withLock { state in
            let gone = state.links.removeValue(forKey: link) ?? [:]
            state.count -= gone.count
            return gone
        }
    }

    /// Forgets what is old, about once a minute.
    func age(_ now: UInt64) {
        state.withLock { state in
            guard now >= state.nextAgeing else { return }
            state.nextAgeing = now + 60_000
            state.links = state.links.compactMapValues { flows in
                let known = flows.filter { $0.value.until + PassedFlows.memory > now }
                return known.isEmpty ? nil : known
            }
            state.count = state.links.values.reduce(0) { $0 + $1.count }
        }
    }
}

extension PassedFlows.State {
    fileprivate mutating func remove(_ flow: PassedFlows.Flow, of link: String) {
        guard links[link]?.removeValue(forKey: flow) != nil else { return }
        count -= 1
        if links[link]?.isEmpty ?? false { links[link] = nil }
    }

    /// Forgets a flow of the link that has most, or of the next one. Returns `false` if the kernel looks up all of all.
    fileprivate mutating func makeRoom(_ now: UInt64) -> Bool {
        if now < fullUntil { return false }
        let largestFirst = links.keys.sorted { (links[$0]?.count ?? 0) > (links[$1]?.count ?? 0) }
        for link in largestFirst where makeRoom(in: link, now) { return true }
        fullUntil = links.values.joined().map(\.value.until).min() ?? 0
        return false
    }

    /// Forgets the flow of a link that the kernel has looked up no more for longest. Returns `false` if it looks up all.
    fileprivate mutating func makeRoom(in link: String, _ now: UInt64) -> Bool {
        guard let oldest = links[link]?.min(by: { $0.value.until < $1.value.until }), oldest.value.until <= now else {
            return false
        }
        remove(oldest.key, of: link)
        return true
    }
}
