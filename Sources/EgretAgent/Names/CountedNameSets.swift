// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDNSWire
import EgretLinux
import EgretNames
import EgretNetlink
import EgretNftables
import EgretPolicy
import Synchronization

/// Puts the addresses of names that endpoints resolve into the sets by which their limits and budgets know them.
///
/// Each endpoint has sets of its own, which go with its limits and budgets, or with itself.
final class CountedNameSets: Sendable {
    /// Whose tables sets are in. Each of them says by itself which sets there are.
    enum User: String, Sendable, CaseIterable {
        case limits
        case budgets
    }

    /// A set, and in which table it is.
    struct Place: Hashable, Sendable {
        var table: Table
        var set: NamedSet
    }

    /// The sets of one link.
    private struct Link: Sendable {
        let places: [Place]
        /// Their numbers, by the names that they are about.
        private var matcher = DomainMatcher<Int>()

        init(_ places: [Place]) {
            self.places = places
            for (number, place) in places.enumerated() {
                for pattern in place.set.patterns { matcher.insert(pattern, number) }
            }
        }

        /// The sets that are to know a holding.
        func wanting(_ holding: NameHolding) -> [Place] {
            guard let name = holding.name.comparedName else { return [] }
            return matcher.matches(name).map { places[$0.value] }.filter { $0.set.family == holding.address.family }
        }

        /// What comes into which sets, by the table.
        func addresses(of holdings: some Sequence<NameHolding>) -> [Table: [String: Swift.Set<IPAddress>]] {
            var wanted: [Table: [String: Swift.Set<IPAddress>]] = [:]
            for holding in holdings {
                for place in wanting(holding) {
                    wanted[place.table, default: [:]][place.set.name, default: []].insert(holding.address)
                }
            }
            return wanted
        }
    }

    private let links = Mutex<[User: [String: Link]]>([:])
    /// The links of which a set had no room when it was to know more the last time.
    private let full = Mutex<[User: Swift.Set<String>]>([:])
    /// What puts elements into the sets of each table.
    private let kernel: [Table: NameSets]

    /// Opens sockets to the kernel; there need be no sets yet.
    ///
    /// - Parameters:
    ///   - limits: Puts elements into the sets of limits, by the socket that owns their tables.
    ///   - budgets: The same for budgets; `nil` where nobody keeps any.
    /// - Throws: `LinuxError` if the sockets cannot be had.
    init(limits: BatchSender, budgets: BatchSender?) throws(LinuxError) {
        var kernel: [Table: NameSets] = [:]
        kernel[LimitProgram.table] = try NameSets(
            addressesIn: LimitProgram.table.name, isOfFrames: false, by: limits)
        kernel[LimitProgram.frameTable] = try NameSets(
            addressesIn: LimitProgram.frameTable.name, isOfFrames: true, by: limits)
        if let budgets {
            kernel[BudgetPlan.hostTable] = try NameSets(
                addressesIn: BudgetPlan.hostTable.name, isOfFrames: false, by: budgets)
        }
        self.kernel = kernel
    }

    /// Whether no limit and no budget is about names.
    var isEmpty: Bool { links.withLock { $0.values.allSatisfy(\.isEmpty) } }

    /// Whether no limit, or no budget, is about names.
    func isUnused(by user: User) -> Bool { links.withLock { $0[user]?.isEmpty ?? true } }

    /// The links whose endpoints' limits, or budgets, are about names.
    func linkKeys(of user: User) -> Swift.Set<String> { links.withLock { Swift.Set(($0[user] ?? [:]).keys) } }

    /// The sets of a program of limits, by the links whose endpoints' limits ask them.
    static func places(of program: LimitProgram, _ members: [LimitProgram.Member]) -> [String: [Place]] {
        let sets = program.namedSets
        if sets.isEmpty { return [:] }
        let known = members.compactMap { member in member.attachment.linkKey.map { (member.number, $0) } }
        let keys = Dictionary(known, uniquingKeysWith: { first, _ in first })
        var places: [String: [Place]] = [:]
        for (table, set) in sets {
            for number in program.members(asking: set) {
                guard let key = keys[number] else { continue }
                places[key, default: []].append(Place(table: table, set: set))
            }
        }
        return places
    }

    /// The sets of a plan of budgets, by the links whose endpoints' budgets ask them.
    static func places(of plan: BudgetPlan) -> [String: [Place]] {
        var places: [String: [Place]] = [:]
        for (set, links) in plan.namedSets {
            for key in links.compactMap(\.attachment.linkKey) {
                places[key, default: []].append(Place(table: plan.table, set: set))
            }
        }
        return places
    }

    /// Fills these sets from now on, and no others of the same user's.
    ///
    /// - Parameters:
    ///   - places: The sets, by link.
    ///   - user: Whose they are.
    ///   - emptied: The tables that were made anew: nothing is in their sets.
    /// - Returns: The links whose sets may lack what their endpoints hold.
    func know(_ places: [String: [Place]], of user: User, emptied: Swift.Set<Table>) -> Swift.Set<String> {
        let found: Swift.Set<String> = links.withLock { all in
            let links = all[user] ?? [:]
            var lacking: Swift.Set<String> = []
            var next: [String: Link] = [:]
            for (key, places) in places {
                let former = links[key]
                let known = Swift.Set(former?.places ?? [])
                if places.contains(where: { emptied.contains($0.table) || !known.contains($0) }) { lacking.insert(key) }
                if let former, former.places == places { next[key] = former } else { next[key] = Link(places) }
            }
            all[user] = next
            return lacking
        }
        // What is new has room.
        full.withLock { $0[user] = $0[user]?.intersection(places.keys).subtracting(found) }
        return found
    }

    /// Whose sets of a link had no room for an address when they were to know more the last time.
    func fullSets(of link: String) -> [User] {
        full.withLock { full in User.allCases.filter { full[$0]?.contains(link) ?? false } }
    }

    private func note(_ user: User, isFull: Bool, _ link: String) {
        full.withLock { full in
            var links = full[user] ?? []
            if isFull { links.insert(link) } else { links.remove(link) }
            full[user] = links
        }
    }

    /// Has the kernel know what answers have given the endpoint at a link. Returns once it does: packets after that meet the
    /// elements.
    ///
    /// - Parameters:
    ///   - holdings: What was resolved.
    ///   - link: The link.
    /// - Throws: An error of the kernel's, such as `ENFILE` for a set that is full: the answer is then not to go out.
    func note(_ holdings: Swift.Set<NameHolding>, link: String) throws {
        for user in User.allCases {
            let found = links.withLock { $0[user]?[link] }
            guard let wanted = found?.addresses(of: holdings), !wanted.isEmpty else { continue }
            do {
                for (table, sets) in wanted { try kernel[table]?.put(sets, for: NamedSet.lifetimeMilliseconds) }
                note(user, isFull: false, link)
            } catch {
                if NameSets.isFullSet(error) { note(user, isFull: true, link) }
                throw error
            }
        }
    }

    /// Puts what the endpoint at a link holds into sets that may lack it, as far as they have room.
    ///
    /// - Parameters:
    ///   - holdings: What it holds.
    ///   - user: Whose the sets are.
    ///   - link: The link.
    /// - Returns: What is not in all the sets where it should be, as one of them is full.
    /// - Throws: An error of the kernel's, but for a set that is full.
    func fill(_ holdings: [NameHolding], of user: User, link: String) throws -> [NameHolding] {
        guard let found = links.withLock({ $0[user]?[link] }) else { return [] }
        var left: [Table: [String: Swift.Set<IPAddress>]] = [:]
        let wanted = found.addresses(of: holdings)
        if wanted.isEmpty { return [] }
        for (table, sets) in wanted {
            let rest = try kernel[table]?.fill(sets, for: NamedSet.lifetimeMilliseconds) ?? [:]
            if !rest.isEmpty { left[table] = rest }
        }
        // What there was room for now says nothing of what had none before.
        if left.isEmpty { return [] }
        note(user, isFull: true, link)
        return holdings.filter { holding in
            found.wanting(holding).contains { left[$0.table]?[$0.set.name]?.contains(holding.address) ?? false }
        }
    }
}

extension NameService {
    /// Has the kernel's limits changed, and what endpoints have resolved known to them. No answer goes out in between.
    ///
    /// - Parameters:
    ///   - program: What the limits come to.
    ///   - members: The endpoints that it is about.
    ///   - body: Brings the kernel there, and returns the tables that were made anew.
    /// - Throws: What the body throws, or an error of the kernel's.
    func changeLimits(
        to program: LimitProgram, of members: [LimitProgram.Member], _ body: () throws -> Swift.Set<Table>
    ) throws {
        try changeSets(of: .limits, to: CountedNameSets.places(of: program, members), body)
    }

    /// The same for budgets.
    ///
    /// - Parameters:
    ///   - plan: What the budgets come to.
    ///   - body: Brings the kernel there, and returns the tables that were made anew.
    /// - Throws: What the body throws, or an error of the kernel's.
    func changeBudgets(to plan: BudgetPlan, _ body: () throws -> Swift.Set<Table>) throws {
        try changeSets(of: .budgets, to: CountedNameSets.places(of: plan), body)
    }

    private func changeSets(
        of user: CountedNameSets.User, to places: [String: [CountedNameSets.Place]],
        _ body: () throws -> Swift.Set<Table>
    ) throws {
        guard let counted = proxies.withLock({ $0?.counted }), !(places.isEmpty && counted.isUnused(by: user)) else {
            _ = try body()
            return
        }
        try registry.changing {
            let emptied = try body()
            try fill(counted.know(places, of: user, emptied: emptied), of: user, counted)
        }
    }

    /// Puts what endpoints have resolved into the sets of budgets, whose table was made anew.
    ///
    /// - Throws: An error of the kernel's.
    func refillBudgets() throws {
        guard let counted = proxies.withLock({ $0?.counted }), !counted.isUnused(by: .budgets) else { return }
        // What answers give meanwhile, and have given just before, is held when they are done.
        try registry.changing { try fill(counted.linkKeys(of: .budgets), of: .budgets, counted) }
    }

    private func fill(
        _ links: Swift.Set<String>, of user: CountedNameSets.User, _ counted: CountedNameSets
    ) throws {
        if links.isEmpty { return }
        let members = state.withLock { state in
            state.entries.values.map(\.member).filter { links.contains($0.link) }
        }
        var failure: (any Error)?
        for known in countedHoldings(of: members) {
            do {
                try fill(known, of: user, counted)
            } catch {
                // One endpoint's keeps nothing from others'.
                if failure == nil { failure = error }
            }
        }
        if let failure { throw failure }
    }

    /// Puts what an endpoint holds into sets, and takes back what they have no room for: it would go there uncounted. Who asks for
    /// it again is answered once there is room.
    private func fill(
        _ known: CountedHoldings, of user: CountedNameSets.User, _ counted: CountedNameSets
    ) throws {
        let member = known.member
        // First where connections go: they are not asked for again.
        let open = try counted.fill(known.open, of: user, link: member.link)
        let left = try open + counted.fill(known.answered, of: user, link: member.link)
        if left.isEmpty { return }
        let addresses = Swift.Set(left.map(\.address)).count
        book.noteFullSet(member.slot, of: user.rawValue, leavingOut: addresses)
        var elements: Swift.Set<NameElement> = []
        for (rule, address) in registry.withdraw(left, of: member.slot, now: EgretLinux.BootClock.milliseconds) {
            for own in member.addresses where own.family == address.family {
                elements.insert(NameElement(set: member.set(rule, address.family), own: own, address: address))
            }
        }
        try proxies.withLock { $0?.sets }?.remove(elements)
    }

    /// Has limits know what endpoints have resolved that come with a change: another agent's, or under other limits. To be
    /// called while the change is made, before packets are led by it.
    ///
    /// - Parameter change: The change.
    /// - Throws: An error of the kernel's, but for a set that is full: the limits would not hold.
    func fillLimits(for change: NameChange) throws {
        guard let counted = proxies.withLock({ $0?.counted }), !counted.isUnused(by: .limits) else { return }
        for known in countedHoldings(of: change.members) { try fill(known, of: .limits, counted) }
    }

    /// What sets of names that are new are to know of an endpoint.
    private struct CountedHoldings {
        var member: NameMember
        /// Where its open connections by name go.
        var open: [NameHolding] = []
        /// What it holds by answers that last.
        var answered: [NameHolding]
    }

    /// What sets of names that are new are to know: what endpoints hold by answers that last, and where their open connections
    /// by name go, which may be older than that.
    ///
    /// - Parameter members: The endpoints.
    /// - Returns: What each of them holds.
    private func countedHoldings(of members: [NameMember]) -> [CountedHoldings] {
        let now = EgretLinux.BootClock.milliseconds
        let open = times.names(of: Swift.Set(members.map(\.slot)))
        return members.map { member in
            var known = CountedHoldings(member: member, answered: registry.holdings(of: member.slot, now: now))
            for (address, names) in open[member.slot] ?? [:] {
                for name in names {
                    guard let name = try? DNSName(labels: name.labels.map(\.utf8)) else { continue }
                    known.open.append(NameHolding(name: name, address: address, until: now, isCounted: true))
                }
            }
            return known
        }
    }
}

extension HostEndpoint.Attachment {
    /// The link, for as long as it is there; `nil` for processes of the host's own network.
    var linkKey: String? {
        guard let interface, let index else { return nil }
        return NameMember.linkKey(interface, index)
    }
}
