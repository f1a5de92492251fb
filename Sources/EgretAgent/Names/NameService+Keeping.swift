// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretLinux
import EgretNames
import EgretPolicy
import Synchronization

extension NameService {
    /// Looks after what changes with time. To be called about once a second.
    ///
    /// - Throws: An error if a proxy that has ended cannot be started again, or notes not be written; the rest is done.
    func tick() throws {
        if !isRunning { return }
        var failure: (any Error)?
        do { try restart() } catch { failure = error }
        holdAgain()
        let now = EgretLinux.BootClock.milliseconds
        let changed = changedByTime()
        if !changed.isEmpty { resetConnections(anew: []) { changed.contains($0) } }
        refreshServers()
        tryToReadDatagrams()
        age(now)
        passed.age(now)
        if journal.isDue {
            // No answer is between its line and what is held: the line would be gone.
            try registry.changing {
                try journal.tidy {
                    let (members, inherited) = state.withLock { ($0.entries.values.map(\.member), $0.inherited) }
                    return inherited.map { ($0.key, $0.value) }
                        + members.map { ($0.link, registry.holdings(of: $0.slot, now: now)) }
                }
            }
        }
        if let failure { throw failure }
    }

    /// The endpoints whose open connections a rule's time may have ended since the last call.
    func changedByTime() -> Swift.Set<Int> {
        let time = setting.now()
        return state.withLock { state in
            var changed: Swift.Set<Int> = []
            for (slot, entry) in state.entries where entry.judge.cutsByTime {
                var changes = entry.changes
                guard changes.haveHappened(by: time) else { continue }
                changed.insert(slot)
                state.entries[slot]?.changes = changes
            }
            return changed
        }
    }

    /// Forgets what is over of what links have left whose endpoints have not come back, about once a minute.
    func age(_ now: UInt64) {
        state.withLock { state in
            guard now >= state.nextAgeing else { return }
            state.nextAgeing = now + 60_000
            state.inherited = state.inherited.compactMapValues { holdings in
                let live = holdings.filter { $0.until > now }
                return live.isEmpty ? nil : live
            }
        }
    }

    /// Asks other servers from now on, if the host does.
    private func refreshServers() {
        let servers = setting.servers()
        let entries = state.withLock { state -> [Entry] in
            if state.servers == servers { return [] }
            state.servers = servers
            return Array(state.entries.values)
        }
        for entry in entries where entry.member.policies.nameServers.isEmpty {
            registry.setServers(
                servers, trusted: entry.member.policies.trustedServers(besides: servers), of: entry.member.slot)
        }
    }

    /// What endpoints hold by rules about names, by link, and why they can resolve none, if so. Endpoints with limits or
    /// budgets alone for some hold none.
    func held() -> [String: (held: HeldNames, problem: String?)] {
        let (members, servers) = state.withLock { ($0.entries.values.map(\.member), $0.servers) }
        let ended = self.ended.withLock { $0 }
        let counted = proxies.withLock { $0?.counted }
        return Dictionary(
            members.map { member in
                let (names, addresses) = registry.held(by: member.slot)
                var problem: String?
                let policies = member.policies
                if servers.isEmpty, !policies.nameClauses.isEmpty, policies.nameServers.isEmpty,
                    policies.namedServers.isEmpty
                {
                    problem = "no server is known that could be asked: see --dns of egret agent"
                }
                for user in counted?.fullSets(of: member.link) ?? [] {
                    problem = "its \(user.rawValue) have no room for more addresses of names: they are kept back"
                }
                if let why = ended[.checks] { problem = "\(KeptSockets.Owner.checks.words) has ended: \(why)" }
                if let why = ended[.questions] { problem = "\(KeptSockets.Owner.questions.words) has ended: \(why)" }
                return (member.link, (HeldNames(names: names, addresses: addresses), problem))
            }, uniquingKeysWith: { first, _ in first })
    }
}
