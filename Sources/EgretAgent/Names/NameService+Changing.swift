// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretEvaluator
import EgretLinux
import EgretNames
import EgretNetworks
import EgretPolicy
import Synchronization

extension NameService {
    /// The numbers of the endpoints that may ask.
    var slots: Swift.Set<Int> { state.withLock { Swift.Set($0.entries.keys) } }

    /// Hears which addresses are endpoints' of this host: nobody is connected to them by name.
    func know(neighboursOf desired: DesiredState) {
        let addresses = Swift.Set(desired.endpoints.flatMap(\.addresses))
        state.withLock { $0.neighbours = addresses }
    }

    /// A change without what is known already. When all is looked at, what is known comes too: it may be gone from the kernel.
    func reduced(_ change: NameChange, isWhole: Bool) -> NameChange {
        state.withLock { state in
            var change = change
            change.removed.removeAll { state.entries[$0] == nil }
            if isWhole { return change }
            change.members.removeAll { member in
                guard let known = state.entries[member.slot]?.member else { return false }
                return known.link == member.link && known.generation == member.generation
                    && known.addresses == member.addresses
                    // No program has limits or budgets, but the proxies mark by limits what they send, and note what both are about.
                    && known.policies.limits == member.policies.limits
                    && known.countedNames == member.countedNames
            }
            return change
        }
    }

    /// Has the proxies know other rules, at the moment at which the kernel does.
    ///
    /// - Parameters:
    ///   - change: What is otherwise.
    ///   - body: Changes the kernel; is given what fills the new programs' sets, to be called when these are there and
    ///     before packets are led to them.
    /// - Returns: What the body returns.
    /// - Throws: What the body throws. The proxies' rules are the new ones then, and nothing is opened by them until the
    ///   next change.
    func change<Result>(_ change: NameChange, _ body: (_ fill: () -> Void) throws -> Result) rethrows -> Result {
        guard !change.isEmpty, let sets = proxies.withLock({ $0?.sets }) else { return try body({}) }
        let now = EgretLinux.BootClock.milliseconds
        var stale: Swift.Set<NameElement> = []
        var staleFlows: Swift.Set<FlowElement> = []
        let others = otherRules(change)
        defer {
            end(change, anew: others)
            begin()
        }
        return try registry.changing {
            var lots: [NameLot] = []
            let links = Swift.Set(change.members.map(\.link))
            staleFlows = forgetFlows(of: linksLeft(change), now)
            for slot in change.removed + passedOn(change) { stale.formUnion(leave(slot, now, forLinks: links)) }
            for member in change.members {
                stale.formUnion(leaving(member, now))
                lots.append(NameLot(endpoint: member.slot, grants: enter(member, now)))
            }
            forgetJudges()
            let result = try body {
                // Limits may have had no room for some of it, and it was taken back.
                let due = lots.map { registry.outstanding($0, now: now) }
                for slot in sets.commit(due.filter { !$0.grants.isEmpty }).keys {
                    // They come with the next answers.
                    registry.forgetCommits(of: slot)
                    book.noteLostHoldings(slot)
                }
                staleFlows.formUnion(refill(change.members, sets, now))
            }
            // What somebody has at such an address by now stays: the endpoint itself, or who has got its address.
            let owners = Swift.Set(stale.compactMap { registry.endpoint(at: $0.own) })
            for owner in owners {
                guard let member = state.withLock({ $0.entries[owner]?.member }) else { continue }
                stale.subtract(elements(of: member, now))
            }
            try? sets.remove(stale)
            try? sets.remove(flows: staleFlows)
            return result
        }
    }

    /// The numbers whose connections meet other rules from now on than they have met.
    private func otherRules(_ change: NameChange) -> Swift.Set<Int> {
        let others = state.withLock { state in
            change.members.filter { member in
                let former = state.entries[member.slot]?.member
                return former?.link != member.link || former?.generation != member.generation
            }
        }
        return Swift.Set(others.map(\.slot) + change.removed)
    }

    /// The numbers that are other links' from now on: what their former endpoints have resolved is not the new ones'.
    private func passedOn(_ change: NameChange) -> [Int] {
        let known = state.withLock { $0.entries.mapValues(\.member.link) }
        return change.members.filter { known[$0.slot] != nil && known[$0.slot] != $0.link }.map(\.slot)
    }

    /// The links whose endpoints go, or have no rules about names any more.
    private func linksLeft(_ change: NameChange) -> Swift.Set<String> {
        let slots = change.removed + passedOn(change)
        let links = state.withLock { state in slots.compactMap { state.entries[$0]?.member.link } }
        return Swift.Set(links).subtracting(change.members.map(\.link))
    }

    /// What an endpoint has in sets that others use too.
    private func elements(of member: NameMember, _ now: UInt64) -> Swift.Set<NameElement> {
        var elements: Swift.Set<NameElement> = []
        for (rule, address) in registry.committed(of: member.slot, now: now) {
            for own in member.addresses where own.family == address.family {
                elements.insert(
                    NameElement(set: member.set(rule, address.family), own: own, address: address))
            }
        }
        return elements
    }

    /// Forgets an endpoint. What it has resolved is its successor's, if it is another number of the same link.
    ///
    /// - Returns: What it leaves in the kernel: somebody else may get its address.
    private func leave(_ slot: Int, _ now: UInt64, forLinks links: Swift.Set<String>) -> Swift.Set<NameElement> {
        guard let member = state.withLock({ $0.entries[slot]?.member }) else { return [] }
        let elements = elements(of: member, now)
        let holdings = registry.holdings(of: slot, now: now)
        registry.remove(slot)
        state.withLock { state in
            state.entries[slot] = nil
            if links.contains(member.link) { state.inherited[member.link] = holdings }
        }
        return elements
    }

    /// What an endpoint leaves behind that goes on with another program or other addresses.
    private func leaving(_ member: NameMember, _ now: UInt64) -> Swift.Set<NameElement> {
        guard let entry = state.withLock({ $0.entries[member.slot] }) else { return [] }
        let isSame = entry.member.generation == member.generation && entry.member.addresses == member.addresses
        return isSame ? [] : elements(of: entry.member, now)
    }

    /// Lets an endpoint ask by its rules. Returns what the kernel must have for what it has resolved before.
    private func enter(_ member: NameMember, _ now: UInt64) -> [NameGrant] {
        let judge = judge(of: member)
        let (known, servers) = state.withLock { state in
            let isKnown = state.entries[member.slot] != nil
            state.entries[member.slot] = Entry(member: member, judge: judge)
            let inherited = isKnown ? nil : state.inherited.removeValue(forKey: member.link)
            return (inherited, state.servers)
        }
        let holdings = known ?? registry.holdings(of: member.slot, now: now)
        return registry.set(endpoint(member, servers, judge), holding: holdings, now: now)
    }

    /// What decides about an endpoint's connections. Those that obey one program have it together: it is made once, unless what
    /// no program has is otherwise, as limits.
    private func judge(of member: NameMember) -> ConnectionJudge {
        let known = state.withLock { $0.judges[member.generation] }
        if let known, known.policies == member.policies { return known }
        let judge = ConnectionJudge(member.policies, registry: registry, time: setting.now)
        state.withLock { $0.judges[member.generation] = judge }
        return judge
    }

    /// Forgets what decided for programs that nobody obeys any more.
    private func forgetJudges() {
        state.withLock { state in
            let obeyed = Swift.Set(state.entries.values.map(\.member.generation))
            state.judges = state.judges.filter { obeyed.contains($0.key) }
        }
    }

    func endpoint(_ member: NameMember, _ servers: [NameServer], _ judge: ConnectionJudge) -> NameEndpoint {
        let own = member.policies.nameServers.map { NameServer($0) }
        let servers = own.isEmpty ? servers : own
        return NameEndpoint(
            id: member.slot, addresses: member.addresses,
            rules: NameRule.rules(of: member.policies),
            countedNames: member.countedNames,
            limits: setting.limits, denial: setting.denial,
            trustedServers: member.policies.trustedServers(besides: servers),
            servers: servers,
            replaceableServers: setting.areServersChosen || !own.isEmpty
                ? member.policies.replaceableServers(among: servers) : [],
            isOpen: { judge.allowsQuestions(to: $0, isHost: false, overStream: $1) },
            isOpenHere: { judge.allowsQuestions(to: $0, isHost: true, overStream: $1) })
    }

    /// Ends connections that may go on no more.
    private func end(_ change: NameChange, anew others: Swift.Set<Int>) {
        let changed = Swift.Set(change.members.map(\.slot) + change.removed)
        resetConnections(anew: others) { changed.contains($0) }
    }

    /// Ends connections of some endpoints that may go on no more; those of `others` meet other rules than they have met.
    func resetConnections(anew others: Swift.Set<Int>, of isConcerned: @escaping @Sendable (Int) -> Bool) {
        let connections = proxies.withLock { $0?.connections }
        connections?.reset { [self] endpoint, attempt in
            isConcerned(endpoint) && mustEnd(attempt, of: endpoint, isAnew: others.contains(endpoint))
        }
    }

    /// Ends connections by ways that there are no more.
    ///
    /// - Parameter marks: The marks of those that there are.
    func endConnections(besides marks: Swift.Set<UInt32>) {
        let connections = proxies.withLock { $0?.connections }
        connections?.reset(besides: marks)
    }

    /// Whether an open connection could go on under other policies.
    ///
    /// - Parameters:
    ///   - slot: The endpoint's number.
    ///   - connection: The connection.
    ///   - policies: Its policies.
    /// - Returns: Whether it could; where what was said decides, whether anything that could be said would do.
    func canGoOn(_ slot: Int, _ connection: NetworkConnections.Tracked, under policies: ConnectionJudge) -> Bool {
        let now = EgretLinux.BootClock.milliseconds
        if let port = connection.port, connection.isLed {
            // What the client has said is not known here: what it could have said decides.
            return port == 53
                || policies.beginning(slot, SocketAddress(connection.destination, port: port)) != .refuse
        }
        let names = registry.names(of: slot, holding: connection.destination, now: now)
        let flow = Flow(
            to: connection.destination, protocol: connection.transport, port: connection.port,
            icmpType: connection.icmpType, names: names)
        if policies.evaluator.decide(flow, at: setting.now()).verdict == .allow { return true }
        // The same of QUIC.
        guard connection.transport == .udp, let port = connection.port else { return false }
        return policies.beginning(slot, SocketAddress(connection.destination, port: port), over: .udp) != .refuse
    }
}
