// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
import EgretDNSWire
public import EgretPolicy
import Synchronization

/// The endpoints of a proxy and their tables. All of it may be used from any thread; no call waits for long.
public final class NameRegistry: Sendable {
    struct Entry: Sendable {
        var endpoint: NameEndpoint
        var table: NameTable
        /// Rises when the endpoint's rules are replaced: what was permitted before is not any more.
        var generation: UInt64
        /// Another for each endpoint that has the number, one after the other: what one has begun does not count for the next.
        let incarnation: UInt64
        var pending = 0
        var connections = 0
    }

    struct State: Sendable {
        var entries: [Int: Entry] = [:]
        var byAddress: [IPAddress: Int] = [:]
        var generation: UInt64 = 0

        /// Forgets whose addresses were. One that is another's by now stays that one's.
        mutating func forget(_ addresses: [IPAddress], of id: Int) {
            for address in addresses where byAddress[address] == id { byAddress[address] = nil }
        }

        mutating func change<Result>(_ id: Int, _ body: (inout Entry) -> sending Result) -> Result? {
            guard let index = entries.index(forKey: id) else { return nil }
            return body(&entries.values[index])
        }
    }

    let state = Mutex(State())
    /// Held while rules change, and while answers are committed.
    let gate = Mutex(())

    /// Starts with no endpoint: nothing is answered.
    public init() {}

    /// Adds an endpoint, or replaces it. It then holds nothing; the next question meets the new rules. What was spent of its
    /// limits stays spent, unless these are others.
    public func set(_ endpoint: NameEndpoint, now: UInt64) {
        _ = set(endpoint, holding: [], now: now)
    }

    /// Adds an endpoint that has asked for names before, or replaces it: after a change of rules, or a restart.
    ///
    /// - Parameters:
    ///   - endpoint: The endpoint with its new rules.
    ///   - holdings: What it held before; see ``holdings(of:now:)``. What the rules do not allow is left out.
    ///   - now: The time in milliseconds.
    /// - Returns: What must be in the kernel for it, to be committed before the endpoint's new rules are.
    public func set(_ endpoint: NameEndpoint, holding holdings: [NameHolding], now: UInt64) -> [NameGrant] {
        state.withLock { state in
            state.generation += 1
            let old = state.entries[endpoint.id]
            state.forget(old?.endpoint.addresses ?? [], of: endpoint.id)
            for address in endpoint.addresses { state.byAddress[address] = endpoint.id }
            var table = NameTable(
                rules: endpoint.rules, counting: endpoint.countedNames, limits: endpoint.limits,
                denial: endpoint.denial, now: now)
            if let old { table.keepBudgets(of: old.table) }
            let grants = table.takeOver(holdings, now: now)
            table.committed(grants, now: now)
            var entry = Entry(
                endpoint: endpoint, table: table, generation: state.generation,
                incarnation: old?.incarnation ?? state.generation)
            entry.pending = old?.pending ?? 0
            entry.connections = old?.connections ?? 0
            state.entries[endpoint.id] = entry
            return grants
        }
    }

    /// Has an endpoint's questions go to other servers, none of them replaceable where the endpoint asks it itself. Its
    /// rules, and what it holds, stay as they are.
    ///
    /// - Parameters:
    ///   - servers: The servers that are asked.
    ///   - trusted: The servers that it may ask itself.
    ///   - id: The endpoint.
    public func setServers(_ servers: [NameServer], trusted: Swift.Set<IPAddress>, of id: Int) {
        _ = update(id) { entry in
            entry.endpoint.servers = servers
            entry.endpoint.trustedServers = trusted
            entry.endpoint.replaceableServers = []
        }
    }

    /// Changes endpoints' rules, and what the kernel has of them, at one moment for the answers: meanwhile none is
    /// committed, and afterwards none that was judged by rules which are not any more.
    ///
    /// - Parameter body: Makes the change; it must not wait for an answer.
    /// - Returns: What the body returns.
    /// - Throws: What the body throws.
    public func changing<Result>(_ body: () throws -> Result) rethrows -> Result {
        try gate.withLock { _ in try body() }
    }

    /// What an endpoint holds, in no order: to be kept somewhere, or given to its successor.
    public func holdings(of endpoint: Int, now: UInt64) -> [NameHolding] {
        state.withLock { $0.entries[endpoint]?.table.holdings(now: now) ?? [] }
    }

    /// What the kernel has of an endpoint's rules, by their numbers, in no order.
    public func committed(of endpoint: Int, now: UInt64) -> [(rule: Int, address: IPAddress)] {
        state.withLock { state in
            guard let table = state.entries[endpoint]?.table else { return [] }
            return table.holdings.committed(now: now).map { (table.rules[$0.rule].number, $0.address) }
        }
    }

    /// Takes back what answers have given an endpoint, as limits or budgets have no room for it: whoever wants it asks again. To be
    /// called while changing: see ``changing(_:)``.
    ///
    /// - Parameters:
    ///   - notes: What is taken back.
    ///   - endpoint: The endpoint.
    ///   - now: The time in milliseconds.
    /// - Returns: What the kernel is not to have any more, by the rules' numbers.
    public func withdraw(
        _ notes: [NameHolding], of endpoint: Int, now: UInt64
    ) -> [(rule: Int, address: IPAddress)] {
        if notes.isEmpty { return [] }
        return state.withLock { state in
            // What was judged before counts on what is taken back: it is not committed any more.
            state.generation += 1
            let generation = state.generation
            return state.change(endpoint) { entry in
                entry.generation = generation
                return entry.table.withdraw(notes, now: now)
            } ?? []
        }
    }

    /// What of a lot the kernel is to have still: part of it may have been taken back since it was made.
    ///
    /// - Parameters:
    ///   - lot: What ``set(_:holding:now:)`` has returned for the endpoint.
    ///   - now: The time in milliseconds.
    /// - Returns: The rest; no grants if the endpoint is not there.
    public func outstanding(_ lot: NameLot, now: UInt64) -> NameLot {
        let table = state.withLock { $0.entries[lot.endpoint]?.table }
        return NameLot(endpoint: lot.endpoint, grants: table?.outstanding(lot.grants, now: now) ?? [])
    }

    /// Removes an endpoint: nothing of it is answered any more.
    public func remove(_ id: Int) {
        state.withLock { state in
            state.forget(state.entries[id]?.endpoint.addresses ?? [], of: id)
            state.entries[id] = nil
        }
    }

    /// Whether an endpoint's rule now reaches an address by a name: it has asked for the name, and the answer had it.
    public func holds(_ address: IPAddress, by name: DomainName, rule: Int, endpoint: Int, now: UInt64) -> Bool {
        state.withLock { $0.entries[endpoint]?.table.holds(address, by: name, rule: rule, now: now) ?? false }
    }

    /// The numbers of an endpoint's rules that now reach an address by a name, in their order.
    ///
    /// - Parameters:
    ///   - endpoint: The endpoint.
    ///   - address: The address.
    ///   - name: The name, or `nil` for any.
    ///   - now: The time in milliseconds.
    /// - Returns: None if the endpoint has not asked for the name, or the answer did not have the address.
    public func rules(of endpoint: Int, holding address: IPAddress, by name: DomainName?, now: UInt64) -> [Int] {
        state.withLock { $0.entries[endpoint]?.table.rules(holding: address, by: name, now: now) ?? [] }
    }

    /// The names by which an endpoint now holds an address, in no order.
    public func names(of endpoint: Int, holding address: IPAddress, now: UInt64) -> Swift.Set<DomainName> {
        state.withLock { $0.entries[endpoint]?.table.names(holding: address, now: now) ?? [] }
    }

    /// The numbers of an endpoint's rules that now reach an address, each with one of the names by which it does.
    public func holders(of address: IPAddress, endpoint: Int, now: UInt64) -> [Int: DomainName] {
        state.withLock { $0.entries[endpoint]?.table.holders(of: address, now: now) ?? [:] }
    }

    /// How many names and addresses an endpoint holds.
    public func held(by endpoint: Int) -> (names: Int, addresses: Int) {
        state.withLock { $0.entries[endpoint]?.table.held ?? (0, 0) }
    }

    /// Has every answer committed anew: after an endpoint's sets in the kernel were made again.
    public func forgetCommits(of endpoint: Int) {
        state.withLock { $0.entries[endpoint]?.table.forgetCommits() }
    }

    /// Changes an endpoint's entry, if it is there.
    func update<Result: Sendable>(_ id: Int, _ body: (inout Entry) -> sending Result) -> Result? {
        state.withLock { state in
            state.change(id, body)
        }
    }

    /// Whether an endpoint is the one that had the number then, and has an address still.
    func isStill(_ id: Int, _ incarnation: UInt64, at address: IPAddress) -> Bool {
        state.withLock { $0.byAddress[address] == id && $0.entries[id]?.incarnation == incarnation }
    }

    /// Takes a question off the books of the endpoint that had the number then, if it is there.
    func questionEnded(of id: Int, _ incarnation: UInt64) {
        _ = update(id) { entry in
            guard entry.incarnation == incarnation else { return }
            entry.pending -= 1
        }
    }

    /// Counts a client's connection.
    ///
    /// - Parameter id: The endpoint.
    /// - Returns: Which of those that have the number it is; `nil` if it is not there, or has as many as it may.
    func connectionBegan(of id: Int) -> UInt64? {
        let incarnation = update(id) { entry -> UInt64? in
            guard entry.connections < entry.endpoint.limits.connections else { return nil }
            entry.connections += 1
            return entry.incarnation
        }
        return incarnation ?? nil
    }

    /// Takes a client's connection off the books of the endpoint that had the number then, if it is there.
    func connectionEnded(of id: Int, _ incarnation: UInt64) {
        _ = update(id) { entry in
            guard entry.incarnation == incarnation else { return }
            entry.connections -= 1
        }
    }

    /// The endpoint that has an address.
    public func endpoint(at address: IPAddress) -> Int? {
        state.withLock { $0.byAddress[address] }
    }

    /// The endpoint that has an address, and which of those that have had its number it is.
    func owner(of address: IPAddress) -> NameOwner? {
        state.withLock { state in
            guard let id = state.byAddress[address], let entry = state.entries[id] else { return nil }
            return NameOwner(endpoint: id, incarnation: entry.incarnation)
        }
    }

    /// Forgets what has expired.
    func expire(now: UInt64) {
        state.withLock { state in
            // An array: the keys themselves would hold what is changed, and have it copied.
            for id in Array(state.entries.keys) { state.entries[id]?.table.expire(now: now) }
        }
    }
}
