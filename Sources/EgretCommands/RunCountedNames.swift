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

/// Puts the addresses of names that a run resolves into the sets by which its limits and budgets know them.
final class RunCountedNames: Sendable {
    private struct State: Sendable {
        /// The sets, and in which table each is.
        var sets: [(table: Table, set: NamedSet)] = []
        /// Their places, by the names that they are about.
        var places = DomainMatcher<Int>()
    }

    private let state = Mutex(State())
    /// What puts elements into the sets of each table.
    private let kernel: [Table: NameSets]

    /// The netlink ports by which sets are filled.
    var netlinkPorts: [UInt32] { kernel.values.map(\.netlinkPort) }

    /// Opens sockets to the kernel; there need be no sets yet.
    ///
    /// - Parameter slot: The run's slot.
    /// - Throws: `LinuxError` if the sockets cannot be had.
    init(slot: Int) throws(LinuxError) {
        var kernel: [Table: NameSets] = [:]
        for table in [LimitProgram.table(slot: slot), BudgetPlan.table(slot: slot)] {
            kernel[table] = try NameSets(addressesIn: table.name, isOfFrames: false)
        }
        let frames = LimitProgram.frameTable(slot: slot)
        kernel[frames] = try NameSets(addressesIn: frames.name, isOfFrames: true)
        self.kernel = kernel
    }

    /// Fills these sets, too, from now on. Before the command starts: nothing is resolved earlier.
    func fill(_ sets: [(table: Table, set: NamedSet)]) {
        state.withLock { state in
            for entry in sets {
                for pattern in entry.set.patterns { state.places.insert(pattern, state.sets.count) }
                state.sets.append(entry)
            }
        }
    }

    /// Has the kernel know what names have given the run. Returns once it does: packets after that meet the elements.
    ///
    /// - Parameter holdings: What was resolved.
    /// - Throws: An error of the kernel's, such as `ENFILE` for a set that is full: the answer is then not to go out.
    func note(_ holdings: Swift.Set<NameHolding>) throws {
        let wanted = state.withLock { RunCountedNames.addresses(of: holdings, in: $0) }
        for (table, sets) in wanted { try kernel[table]?.put(sets, for: NamedSet.lifetimeMilliseconds) }
    }

    /// What comes into which sets, by the table.
    private static func addresses(
        of holdings: Swift.Set<NameHolding>, in state: State
    ) -> [Table: [String: Swift.Set<IPAddress>]] {
        var wanted: [Table: [String: Swift.Set<IPAddress>]] = [:]
        for holding in holdings {
            guard let name = holding.name.comparedName else { continue }
            for match in state.places.matches(name) {
                let (table, set) = state.sets[match.value]
                guard set.family == holding.address.family else { continue }
                wanted[table, default: [:]][set.name, default: []].insert(holding.address)
            }
        }
        return wanted
    }
}
