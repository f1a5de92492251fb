// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDNSWire
import EgretLinux
import EgretNames
import EgretNftables
import EgretPolicy
import Synchronization

/// Puts the addresses of names that a run resolves into the sets by which its limits know them.
final class RunLimitNames: Sendable {
    private struct State: Sendable {
        /// The sets, and in which table each is.
        var sets: [(table: Table, set: NamedSet)] = []
        /// Their places, by the names that they are about.
        var places = DomainMatcher<Int>()
    }

    private let state = Mutex(State())
    /// For the tables that packets pass, and frames.
    private let packets: NameSets
    private let frames: NameSets

    /// The netlink ports by which sets are filled.
    var netlinkPorts: [UInt32] { [packets.netlinkPort, frames.netlinkPort] }

    /// Opens sockets to the kernel; there need be no sets yet.
    ///
    /// - Parameter slot: The run's slot.
    /// - Throws: `LinuxError` if the sockets cannot be had.
    init(slot: Int) throws(LinuxError) {
        packets = try NameSets(addressesIn: LimitProgram.table(slot: slot).name, isOfFrames: false)
        frames = try NameSets(addressesIn: LimitProgram.frameTable(slot: slot).name, isOfFrames: true)
    }

    /// Fills these sets from now on. Before the command starts: nothing is resolved earlier.
    func fill(_ sets: [(table: Table, set: NamedSet)]) {
        state.withLock { state in
            state = State()
            for (place, entry) in sets.enumerated() {
                state.sets.append(entry)
                for pattern in entry.set.patterns { state.places.insert(pattern, place) }
            }
        }
    }

    /// Has the kernel know what names have given the run. Returns once it does: packets after that meet the elements.
    ///
    /// - Parameter holdings: What was resolved.
    /// - Throws: An error of the kernel's, such as `ENFILE` for a set that is full: the answer is then not to go out.
    func note(_ holdings: Swift.Set<NameHolding>) throws {
        let wanted = state.withLock { RunLimitNames.addresses(of: holdings, in: $0) }
        for (family, sets) in wanted {
            let kernel = family == .netdev ? frames : packets
            try kernel.put(sets, for: NamedSet.lifetimeMilliseconds)
        }
    }

    /// What comes into which sets, by the family of the table.
    private static func addresses(
        of holdings: Swift.Set<NameHolding>, in state: State
    ) -> [TableFamily: [String: Swift.Set<IPAddress>]] {
        var wanted: [TableFamily: [String: Swift.Set<IPAddress>]] = [:]
        for holding in holdings {
            guard let name = holding.name.comparedName else { continue }
            for match in state.places.matches(name) {
                let (table, set) = state.sets[match.value]
                guard set.family == holding.address.family else { continue }
                wanted[table.family, default: [:]][set.name, default: []].insert(holding.address)
            }
        }
        return wanted
    }
}
