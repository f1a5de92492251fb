// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretCompiler
import EgretDataplane
import EgretNetlink
import EgretNftables

/// Keeps the table of limits on connections and packets at what policies say about the endpoints of networks.
///
/// What stays as it is keeps what it has counted, also when another agent takes the table over.
final class LimitKeeper {
    private let dataplane: Dataplane
    /// What the table holds; `nil` if nobody has looked.
    private var installed: LimitProgram?
    /// The tables that the last change has made anew: what others had put into their sets is gone.
    private(set) var emptied: Swift.Set<Table> = []

    init(_ dataplane: Dataplane) {
        self.dataplane = dataplane
    }

    /// Whether anybody's connections or packets are limited.
    var isNeeded: Bool { installed.map { !$0.isEmpty } ?? false }

    /// Whether a limit holds at some times only.
    var hasTimes: Bool { installed?.hasTimes ?? false }

    /// Takes over tables in whatever state they are.
    func take(_ wanted: LimitProgram) throws {
        installed = nil
        emptied = []
        let picture = try dataplane.picture(of: [LimitProgram.table, LimitProgram.frameTable])
        for program in [wanted.program, wanted.frames] {
            let table = program.table
            if program.rules.isEmpty {
                try dataplane.removeTables([table])
            } else if picture.tables.contains(table), try picture.holds(picture.withPresentTimes(program)) {
                try dataplane.sweep([table], keeping: [program])
                // Times come and go with the calendar, and nobody's count begins anew by them.
                let renewal = try picture.renewal(ofTimesOf: program)
                if !renewal.isEmpty { try dataplane.commit(Transaction(renewal)) }
            } else {
                try replace(with: program, isThere: picture.tables.contains(table))
            }
        }
        installed = wanted
    }

    private func replace(with program: TableProgram, isThere: Bool) throws {
        var whole = Transaction()
        if isThere { whole.append(.deleteTable, in: program.table) }
        whole.append(dataplane.addition(of: program.table), in: program.table)
        for operation in program.installation { whole.append(operation, in: program.table) }
        try dataplane.commit(whole)
        emptied.insert(program.table)
    }

    /// Brings the tables from what they held last to something else.
    func change(to wanted: LimitProgram) throws {
        guard let present = installed else { return try take(wanted) }
        installed = nil
        emptied = []
        for (program, former) in [(wanted.program, present.program), (wanted.frames, present.frames)] {
            if program.rules.isEmpty {
                if !former.rules.isEmpty { try dataplane.removeTables([program.table]) }
            } else if former.rules.isEmpty {
                try replace(with: program, isThere: false)
            } else {
                try change(program.difference(from: remains(of: former, under: program)), program)
            }
        }
        installed = wanted
    }

    /// What a table holds still of what it held: older kernels remove a chain with its interface. That is no reason to make the
    /// table anew, as what answers and packets have put into the sets of others would be gone.
    private func remains(of former: TableProgram, under wanted: TableProgram) throws(NetlinkError) -> TableProgram {
        let kept = Swift.Set(wanted.chains)
        let going = former.chains.filter { $0.base?.device != nil && !kept.contains($0) }.map(\.name)
        if going.isEmpty { return former }
        let present = try dataplane.holdings(of: [former.table])
        let gone = Swift.Set(going).subtracting(present[former.table]?.chains ?? [])
        var remains = former
        remains.chains.removeAll { gone.contains($0.name) }
        remains.rules.removeAll { gone.contains($0.chain) }
        return remains
    }

    private func change(_ difference: TableDifference, _ program: TableProgram) throws {
        do throws(NetlinkError) {
            for operations in [difference.arrival, difference.switching, difference.departure]
            where !operations.isEmpty {
                try dataplane.commit(Transaction(operations.map { Transaction.Step($0, in: program.table) }))
            }
        } catch {
            // An interface, and its chain, has gone just now.
            guard error.code == .notFound else { throw error }
            try replace(with: program, isThere: !dataplane.picture(of: [program.table]).tables.isEmpty)
        }
    }

    /// What the kernel holds otherwise than it was last given, in nft's words.
    func drift() throws -> [String] {
        guard let installed else { return [] }
        return try dataplane.drift(of: installed.programs).map(\.description)
    }
}
