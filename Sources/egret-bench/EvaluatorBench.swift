// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretAddressing
import EgretAnalysis
import EgretCompiler
import EgretEvaluator
import EgretNftables
import EgretPolicy

/// `egret-bench evaluator`: decisions per second, and the compiler on many rules.
struct EvaluatorBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluator",
        abstract: "Decide about flows, and compile, without a kernel."
    )

    @Option(help: "Blocks of addresses.") var entries = 1_000
    @Option(help: "Rules that share them.") var rules = 10
    @Option(help: "Decisions.") var decisions = 1_000_000

    func run() throws {
        let policies = Workload.policies(entries: entries, rules: rules)
        let (preparing, evaluator) = Measurement.seconds { PolicyEvaluator(policies: policies) }
        let flows = (0..<4096).map { index in
            Flow(to: Workload.prefix(index &* 7919 % (2 * entries)).address, protocol: .tcp, port: 443)
        }
        let (deciding, allowed) = Measurement.seconds {
            (0..<decisions).reduce(into: 0) { count, index in
                if evaluator.decide(flows[index & 4095]).verdict == .allow { count += 1 }
            }
        }
        let (readying, prepared) = Measurement.seconds { PreparedEvaluator(policies: policies) }
        let (answering, same) = Measurement.seconds {
            (0..<decisions).reduce(into: 0) { count, index in
                if prepared.decide(flows[index & 4095]).verdict == .allow { count += 1 }
            }
        }
        guard same == allowed else { throw ValidationError("the two evaluators differ: \(same) and \(allowed)") }
        let (compiling, program) = Measurement.seconds {
            PolicyCompiler.compile(policies, generation: Workload.generation(1), logGroup: 1)
        }
        Measurement.report([
            "prepare": preparing, "perSecond": Double(decisions) / deciding, "allowed": Double(allowed),
            "ready": readying, "readyPerSecond": Double(decisions) / answering, "compile": compiling,
            "rules": Double(program.program.rules.count),
        ])
    }
}
