// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretNetlink
import EgretNftables

/// `egret-bench element`: small changes beside a large policy.
struct ElementBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "element",
        abstract: "Add and delete one endpoint's elements, and replace the whole policy by one with a block more."
    )

    @Option(help: "Blocks of addresses in the policy.") var entries = 100_000
    @Option(help: "Changes of one element.") var rounds = 300
    @Option(help: "Replacements of the whole policy.") var replacements = 3

    func run() throws {
        let connection = try NetlinkConnection.netfilter()
        let dataplane = Dataplane(connection)
        var present = PolicyCompiler.compile(
            Workload.policies(entries: entries),
            generation: Workload.generation(1),
            logGroup: 1
        )
        try dataplane.install([present.program], on: BaseProgram.program)
        var adding: [Double] = []
        var deleting: [Double] = []
        for round in 0..<rounds {
            let element = SetElement(UInt128(0x0a00_0000) + UInt128(round))
            let set = Set("sources4", keyType: .ipv4Address, contents: .elements([element]))
            adding.append(try change(.addElements(set), dataplane))
            deleting.append(try change(.deleteElements(set), dataplane))
        }
        var replacing: [Double] = []
        for round in 1...max(1, replacements) {
            let next = PolicyCompiler.compile(
                Workload.policies(entries: entries + round),
                generation: Workload.generation(round + 1),
                logGroup: 1
            )
            var transaction = Transaction()
            for operation in next.program.installation { transaction.append(operation, in: next.program.table) }
            for operation in present.program.removal { transaction.append(operation, in: present.program.table) }
            replacing.append(try Measurement.seconds { try dataplane.commit(transaction) }.0)
            present = next
        }
        Measurement.report([
            "add": Measurement.median(adding), "delete": Measurement.median(deleting),
            "replace": Measurement.median(replacing),
        ])
    }

    private func change(_ operation: EgretNftables.Operation, _ dataplane: Dataplane) throws -> Double {
        var transaction = Transaction()
        transaction.append(operation, in: BaseProgram.table)
        return try Measurement.seconds { try dataplane.commit(transaction) }.0
    }
}
