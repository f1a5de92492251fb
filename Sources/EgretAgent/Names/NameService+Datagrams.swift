// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretEvaluator
import EgretGreetingWire
import EgretLinux
import EgretNames
import EgretPolicy
import Synchronization

/// Names in the first packets of QUIC: the kernel drops flows' first datagrams and copies them here, and when the name may
/// pass, the flow is put into the sets by which its program lets the client's repetition out.
extension NameService {
    /// A flow is not, or not any more, one that may be let through.
    struct NotLetThrough: Error {}

    /// How long the kernel looks a flow up that was let through: until the connection's own entry lets it pass.
    private static let passing: UInt64 = 60_000
    /// The same where a rule's time may end what it has let through: every packet is looked up then.
    private static let longPassing: UInt64 = 86_400_000
    /// How much later than it should an element may be gone.
    private static let delay: UInt64 = 5_000

    // MARK: - Reading

    /// Begins to read names in QUIC, as soon as that can be had. Until then what would say them is dropped.
    func readDatagrams() {
        state.withLock { $0.readsDatagrams = true }
        tryToReadDatagrams()
    }

    /// Tries to begin with what could not be begun, and again with what has ended by itself.
    func tryToReadDatagrams() {
        guard state.withLock({ $0.readsDatagrams }) else { return }
        if haveDatagramsEnded.withLock({ $0 }) {
            let former = proxies.withLock { proxies -> DatagramProxy? in
                defer { proxies?.datagrams = nil }
                return proxies?.datagrams
            }
            // Its thread has ended, or is about to; the log group is free when it is gone.
            former?.stop()
            haveDatagramsEnded.withLock { $0 = false }
        }
        do {
            try proxies.withLock { proxies -> Void in
                guard let running = proxies, running.datagrams == nil else { return }
                proxies?.datagrams = try DatagramProxy(
                    registry: registry, copiedBy: HostNames.copyGroup, hooks: datagramHooks(running.sets))
            }
        } catch {
            book.noteUnreadDatagrams(error)
        }
    }

    private func datagramHooks(_ sets: NameSets) -> DatagramProxy.Hooks {
        DatagramProxy.Hooks(
            // Other endpoints' addresses are not refused, as they are to connections: what passes goes the way of all packets.
            begin: { [self] endpoint, destination in
                judge(endpoint)?.beginning(endpoint, destination, over: .udp) ?? .refuse
            },
            allows: { [self] endpoint, attempt in judge(endpoint)?.decide(endpoint, attempt).verdict == .allow },
            pass: { [self] endpoint, attempt in try letThrough(attempt, of: endpoint, sets) },
            event: { [self] endpoint, event in book.note(endpoint, event, judge(endpoint), over: .udp) },
            failed: { [self] error in noteEndOfDatagrams(error) })
    }

    /// Hears that what reads the names in QUIC has ended by itself.
    func noteEndOfDatagrams(_ error: LinuxError) {
        haveDatagramsEnded.withLock { $0 = true }
        book.noteEndedReading("\(error)")
    }

    // MARK: - Letting through

    /// Has the kernel let a flow through, by the rules as they are now.
    func letThrough(_ attempt: ConnectionAttempt, of endpoint: Int, _ sets: NameSets) throws {
        // As with answers: the rules that judge it are those whose sets it is put into.
        try registry.changing {
            guard let entry = state.withLock({ $0.entries[endpoint] }),
                let next = wanted(attempt, entry)
            else { throw NotLetThrough() }
            let now = EgretLinux.BootClock.milliseconds
            let flow = PassedFlows.Flow(source: attempt.source, destination: attempt.destination)
            let link = entry.member.link
            let noted = passed.note(
                NameService.note(next.attempt, next.sets, now), of: flow, link: link, now: now)
            // Room is bounded by endpoint, as the sets are shared.
            guard noted.isNoted else { throw NotLetThrough() }
            do {
                try sets.pass(from: flow.source, to: flow.destination, in: next.sets, forgets: false)
            } catch {
                passed.restore(noted.former, of: flow, link: link)
                throw error
            }
        }
    }

    /// The sets that a flow is to be in, and for how many milliseconds; `nil` if its endpoint's rules do not let it out.
    private func wanted(
        _ attempt: ConnectionAttempt, _ entry: Entry
    ) -> (attempt: ConnectionAttempt, sets: [String: UInt64])? {
        let (member, judge) = (entry.member, entry.judge)
        guard member.addresses.contains(attempt.source.address),
            let renewed = judge.renewed(member.slot, attempt)
        else { return nil }
        let family = attempt.destination.address.family
        let rules = judge.rulesOfFlows(renewed)
        let time = judge.mayCut(member.slot, renewed) ? NameService.longPassing : NameService.passing
        var sets = [HostNames.passedSet(family, of: member.generation): NameService.passing]
        for rule in rules { sets[CompiledNameRule.flowSet(rule, family, of: member.generation)] = time }
        return (renewed, sets)
    }

    private static func note(
        _ attempt: ConnectionAttempt, _ sets: [String: UInt64], _ now: UInt64
    ) -> PassedFlows.Entry {
        PassedFlows.Entry(
            attempt: attempt, sets: Swift.Set(sets.keys), until: now + (sets.values.max() ?? 0) + NameService.delay)
    }

    // MARK: - Changes of rules

    /// Forgets the flows of links.
    ///
    /// - Returns: What the kernel may still have of them.
    func forgetFlows(of links: some Sequence<String>, _ now: UInt64) -> Swift.Set<FlowElement> {
        var left: Swift.Set<FlowElement> = []
        for link in links {
            for (flow, entry) in passed.forget(link) where entry.until > now {
                left.formUnion(NameService.elements(of: flow, entry.sets))
            }
        }
        return left
    }

    /// Puts the flows of endpoints into the sets of their new programs, if these let them go on: as their connections are
    /// judged anew, a packet must come within a minute. Of many, those that were let through last.
    ///
    /// - Returns: What the kernel may still have of them in other sets.
    func refill(_ members: [NameMember], _ sets: NameSets, _ now: UInt64) -> Swift.Set<FlowElement> {
        var stale: Swift.Set<FlowElement> = []
        for member in members {
            let flows = passed.flows(of: member.link).sorted { $0.value.until > $1.value.until }
            guard !flows.isEmpty, let entry = state.withLock({ $0.entries[member.slot] }) else { continue }
            var coming: [FlowElement: UInt64] = [:]
            for (place, (flow, former)) in flows.enumerated() {
                var kept: Swift.Set<String> = []
                // By an address alone it needs no set.
                if place < PassedFlows.mostRefilled, let next = wanted(former.attempt, entry),
                    !entry.judge.rulesOfFlows(next.attempt).isEmpty
                {
                    kept = Swift.Set(next.sets.keys)
                    for (set, time) in next.sets {
                        coming[FlowElement(set: set, source: flow.source, destination: flow.destination)] = time
                    }
                    _ = passed.note(
                        NameService.note(next.attempt, next.sets, now), of: flow, link: member.link, now: now)
                } else {
                    passed.forget(flow, of: member.link)
                }
                if former.until > now {
                    stale.formUnion(NameService.elements(of: flow, former.sets.subtracting(kept)))
                }
            }
            do {
                try sets.add(flows: coming)
            } catch {
                // Their clients connect again.
                book.noteLostFlows(member.slot)
            }
        }
        return stale
    }

    private static func elements(of flow: PassedFlows.Flow, _ sets: Swift.Set<String>) -> [FlowElement] {
        sets.map { FlowElement(set: $0, source: flow.source, destination: flow.destination) }
    }

    // MARK: - What was said

    /// The name that a flow of datagrams has said, and was let through for.
    func nameSaid(from source: SocketAddress, to destination: SocketAddress) -> String? {
        guard let slot = registry.endpoint(at: source.address),
            let link = state.withLock({ $0.entries[slot]?.member.link }),
            let entry = passed.entry(of: PassedFlows.Flow(source: source, destination: destination), link: link),
            case .name(let spoken) = entry.attempt.speech
        else { return nil }
        return spoken.name.lowercased()
    }
}
