// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretAddressing
import EgretEvaluator
import EgretFlows
import EgretPolicy

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// `egret explain`.
struct ExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Say what a policy does with a flow, and which rule decides.",
        discussion: """
            Reads the same files and flags as egret run, and runs nothing. Exit code 0 whatever the verdict; with \
            --exit-code, 1 if the flow is refused.

            Examples:
              egret explain -f policy.yaml --to 203.0.113.10 --port 443/tcp
              egret explain --allow internet:443 --to 10.0.0.5 --port 443 -o json
              egret explain -f policy.yaml --to 2001:db8::1 --port icmpv6/echo-request
            """
    )

    @OptionGroup(title: "Policy") var policy: PolicyOptions

    @Option(name: .customLong("to"), help: ArgumentHelp("Where the flow goes.", valueName: "address"))
    var destination: IPAddress

    @Option(
        name: .customLong("port"),
        help: ArgumentHelp(
            "Port and protocol: 443/tcp, 443 (TCP), 53/udp, icmp/echo-request, gre, protocol/253.",
            valueName: "port"
        )
    )
    var port: String

    @Flag(name: .customLong("host"), help: "The address is the host's own.")
    var isHost = false

    @Flag(name: .customLong("exit-code"), help: "End with 1 if the flow is refused.")
    var setsExitCode = false

    @Option(name: [.customShort("o"), .customLong("output")], help: "table or json.")
    var output: OutputFormat = .table

    func run() throws {
        do {
            let loaded = try policy.load()
            Console.error(loaded.warnings)
            let answer = Answer(flow: try flow(), policies: loaded.set)
            switch output {
            case .table: Console.output(answer.text)
            case .json: Console.output(try answer.json())
            }
            if setsExitCode && answer.decision.verdict != .allow { throw ExitCode(1) }
        } catch let mistakes as PolicyMistakes {
            Console.error(mistakes.lines)
            throw ExitCode(2)
        } catch let failure as RunFailure {
            Console.error(failure.lines)
            throw ExitCode(2)
        } catch let exit as ExitCode {
            throw exit
        } catch {
            Console.error(["egret: \(error)"])
            throw ExitCode(2)
        }
    }

    private func flow() throws -> Flow {
        let (service, problem) = Service.read(port, at: SourceLocation(file: "--port", line: 0, column: 1))
        guard let service else { throw PolicyMistakes(lines: problem.map { [DiagnosticFormatter.format($0)] } ?? []) }
        switch service {
        case .any(let number):
            return Flow(to: destination, isHost: isHost, protocol: number)
        case .ports(let number, let ports):
            guard ports.lowerBound == ports.upperBound else {
                throw RunFailure(message: "--port \(port) is a range: explain answers for one port at a time")
            }
            return Flow(to: destination, isHost: isHost, protocol: number, port: ports.lowerBound)
        case .icmp(let number, let type):
            return Flow(to: destination, isHost: isHost, protocol: number, icmpType: type)
        }
    }
}

/// What is said about a flow.
private struct Answer {
    let flow: Flow
    let decision: Decision
    let otherwise: Decision
    let policies: PolicySet

    init(flow: Flow, policies: PolicySet) {
        let evaluator = PolicyEvaluator(policies: policies)
        self.flow = flow
        self.policies = policies
        decision = evaluator.decide(flow)
        otherwise = evaluator.decide(flow, ignoring: [decision.clause])
    }

    private var key: FlowKey {
        FlowKey(
            destination: flow.destination,
            protocol: flow.protocol,
            port: flow.destinationPort,
            icmpType: flow.icmpType
        )
    }

    var text: String {
        var lines = [
            "\(flow.destination) \(key.serviceText): \(decision.verdict.rawValue)",
            "  \(decision.reason(in: policies))",
        ]
        if otherwise.clause != decision.clause { lines.append("  without that: \(otherwise.reason(in: policies))") }
        return lines.map { $0.withVisibleControls + "\n" }.joined()
    }

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(Document(self)), as: UTF8.self) + "\n"
    }

    private struct Document: Encodable {
        var destination: String
        var service: String
        var verdict: String
        var audited: Bool
        var decidedBy: ReportDocument.Clause
        var reason: String
        var passedBy: [ReportDocument.Clause]
        var otherwise: String

        init(_ answer: Answer) {
            let clauses = ClauseText(answer.policies)
            destination = answer.flow.destination.description
            service = answer.key.serviceText
            verdict = answer.decision.verdict.rawValue
            audited = answer.decision.isAudited
            decidedBy = ReportDocument.Clause(answer.decision.clause, clauses)
            reason = answer.decision.reason(in: answer.policies)
            passedBy = answer.decision.passed.map { ReportDocument.Clause($0, clauses) }
            otherwise = answer.otherwise.reason(in: answer.policies)
        }
    }
}
