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

/// Puts the addresses of names that endpoints resolve into the sets by which their limits know them.
///
/// Each endpoint has sets of its own, which go with its limits, or with itself.
final class LimitedNames: Sendable {
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

        /// What comes into which sets, by the family of the table.
        func addresses(
            of holdings: some Sequence<NameHolding>
        ) -> [TableFamily: [String: Swift.Set<IPAddress>]] {
            var wanted: [TableFamily: [String: Swift.Set<IPAddress>]] = [:]
            for holding in holdings {
                guard let name = holding.name.comparedName else { continue }
                for match in matcher.matches(name) {
                    let place = places[match.value]
                    guard place.set.family == holding.address.family else { continue }
                    wanted[place.table.family, default: [:]][place.set.name, default: []].insert(holding.address)
                }
            }
            return wanted
        }
    }

    private let links = Mutex<[String: Link]>([:])
    /// For the tables that packets pass, and frames.
    private let packets: NameSets
    private let frames: NameSets

    /// Opens sockets to the kernel; there need be no sets yet.
    ///
    /// - Parameter sender: Puts elements into the sets, by the socket that owns the tables.
    /// - Throws: `LinuxError` if the sockets cannot be had.
    init(by sender: BatchSender) throws(LinuxError) {
        packets = try NameSets(addressesIn: LimitProgram.table.name, isOfFrames: false, by: sender)
        frames = try NameSets(addressesIn: LimitProgram.frameTable.name, isOfFrames: true, by: sender)
    }

    /// Whether no limit is about names.
    var isEmpty: Bool { links.withLock { $0.isEmpty } }

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

    /// Fills these sets from now on, and no others.
    ///
    /// - Parameters:
    ///   - places: The sets, by link.
    ///   - emptied: The tables that were made anew: nothing is in their sets.
    /// - Returns: The links whose sets may lack what their endpoints hold.
    func know(_ places: [String: [Place]], emptied: Swift.Set<Table>) -> Swift.Set<String> {
        links.withLock { links in
            var lacking: Swift.Set<String> = []
            var next: [String: Link] = [:]
            for (key, places) in places {
                let former = links[key]
                let known = Swift.Set(former?.places ?? [])
                if places.contains(where: { emptied.contains($0.table) || !known.contains($0) }) { lacking.insert(key) }
                if let former, former.places == places { next[key] = former } else { next[key] = Link(places) }
            }
            links = next
            return lacking
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
        for (family, sets) in addresses(of: holdings, link: link) {
            try kernel(family).put(sets, for: NamedSet.lifetimeMilliseconds)
        }
    }

    /// Puts what the endpoint at a link holds into sets that may lack it.
    ///
    /// - Parameters:
    ///   - holdings: What it holds.
    ///   - link: The link.
    /// - Throws: An error of the kernel's.
    func fill(_ holdings: [NameHolding], link: String) throws {
        for (family, sets) in addresses(of: holdings, link: link) {
            try kernel(family).add(sets, for: NamedSet.lifetimeMilliseconds)
        }
    }

    private func addresses(
        of holdings: some Sequence<NameHolding>, link: String
    ) -> [TableFamily: [String: Swift.Set<IPAddress>]] {
        let found = links.withLock { $0[link] }
        return found?.addresses(of: holdings) ?? [:]
    }

    private func kernel(_ family: TableFamily) -> NameSets { family == .netdev ? frames : packets }
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
        let places = LimitedNames.places(of: program, members)
        guard let limited = proxies.withLock({ $0?.limited }), !(places.isEmpty && limited.isEmpty) else {
            _ = try body()
            return
        }
        try registry.changing {
            let emptied = try body()
            let lacking = limited.know(places, emptied: emptied)
            if lacking.isEmpty { return }
            let now = EgretLinux.BootClock.milliseconds
            let known = state.withLock { state in
                state.entries.values.map(\.member).filter { lacking.contains($0.link) }
            }
            for member in known { try limited.fill(registry.holdings(of: member.slot, now: now), link: member.link) }
        }
    }

    /// Has limits know what endpoints have resolved that come with a change: another agent's, or under other limits. To be
    /// called while the change is made, before packets are led by it.
    ///
    /// - Parameter change: The change.
    /// - Throws: An error of the kernel's: the limits would not hold.
    func fillLimits(for change: NameChange) throws {
        guard let limited = proxies.withLock({ $0?.limited }), !limited.isEmpty else { return }
        let now = EgretLinux.BootClock.milliseconds
        for member in change.members {
            try limited.fill(registry.holdings(of: member.slot, now: now), link: member.link)
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
