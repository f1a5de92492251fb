// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretAddressing
import EgretEvaluator
import EgretPolicy

/// `egret explain`.
struct ExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Say what a policy does with a flow, and which rule decides.",
        usage:
            "egret explain --to <address> … --port <port> … [--allow <destination>] … [--policy <file>] … [<options>]",
        discussion: """
            Reads the same files and flags as egret run, and runs nothing; it needs no privileges. Exit code 0 \
            whatever the verdict; with --exit-code, 1 if a flow is refused; 2 if the policy or the flow has mistakes.

            Examples:
              egret explain -f policy.yaml --to 203.0.113.10 --port 443/tcp
              egret explain --allow internet:443 --to 10.0.0.5 --port 443 -o json
              egret explain -f policy.yaml --to 2001:db8::1 --port icmpv6/echo-request
              egret explain -f policy.yaml --to 203.0.113.10 --to 203.0.113.11 --port 443 -o wide
            """
    )

    @OptionGroup(title: "Policy") var policy: PolicyOptions

    @Option(
        name: .customLong("to"),
        help: ArgumentHelp("Where the flow goes. May be given more than once.", valueName: "address")
    )
    var destinations: [IPAddress]

    @Option(
        name: .customLong("port"),
        help: ArgumentHelp(
            "Port and protocol: 443/tcp, 443 (TCP), 53/udp, icmp/echo-request, gre, protocol/253. May be given more "
                + "than once.",
            valueName: "port"
        )
    )
    var ports: [String]

    @Flag(name: .customLong("host"), help: "The address is the host's own: packets to it do not leave the host.")
    var isHost = false

    @Flag(name: .customLong("exit-code"), help: "End with 1 if a flow is refused.")
    var setsExitCode = false

    @Option(name: [.customShort("o"), .customLong("output")], help: OutputFormat.help)
    var output: OutputFormat = .table

    func run() throws {
        do {
            let (flows, problems) = flows()
            let loaded: LoadedPolicies
            do {
                loaded = try policy.load()
            } catch let mistakes as PolicyMistakes {
                throw PolicyMistakes(lines: mistakes.lines + problems)
            }
            if !problems.isEmpty { throw PolicyMistakes(lines: loaded.warnings + problems) }
            Console.error(loaded.warnings)
            let evaluator = PolicyEvaluator(policies: loaded.set)
            let answers = flows.map { ExplainAnswer(flow: $0, policies: loaded.set, evaluator: evaluator) }
            Console.output(try text(of: answers))
            if setsExitCode && answers.contains(where: { $0.decision.verdict != .allow }) { throw ExitCode(1) }
        } catch let mistakes as PolicyMistakes {
            Console.error(mistakes.lines)
            throw ExitCode(2)
        } catch let exit as ExitCode {
            throw exit
        } catch {
            Console.error(["egret: \(error)"])
            throw ExitCode(2)
        }
    }

    private func text(of answers: [ExplainAnswer]) throws -> String {
        switch output {
        case .table: answers.map(\.text).joined()
        case .wide: ExplainAnswer.table(answers)
        case .json, .yaml:
            if let answer = answers.first, answers.count == 1 {
                try output.text(of: answer.document) ?? ""
            } else {
                try output.text(of: answers.map(\.document)) ?? ""
            }
        }
    }

    /// Every address with every port.
    private func flows() -> (flows: [Flow], problems: [String]) {
        var flows: [Flow] = []
        var problems: [String] = []
        for port in ports {
            let location = SourceLocation(file: "--port \(port)", line: 0, column: 1)
            let (service, problem) = Service.read(port, at: location)
            if let problem { problems.append(DiagnosticFormatter.format(problem)) }
            guard let service else { continue }
            for destination in destinations {
                do throws(ExplainProblem) {
                    flows.append(try Flow.explained(to: destination, isHost: isHost, service, port))
                } catch {
                    let diagnostic = Diagnostic(
                        .error, code: DiagnosticCode.flag, at: location, error.message, suggestion: error.suggestion)
                    let line = DiagnosticFormatter.format(diagnostic)
                    if !problems.contains(line) { problems.append(line) }
                }
            }
        }
        return (flows, problems)
    }
}

/// Why a port and an address make no flow.
struct ExplainProblem: Error {
    var message: String
    var suggestion: String
}

extension Flow {
    // The one flow that an address and a port say; `text` is the port as it was typed.
    fileprivate static func explained(
        to destination: IPAddress, isHost: Bool, _ service: Service, _ text: String
    ) throws(ExplainProblem) -> Flow {
        let proto = service.protocol
        let wanted: IPProtocol = destination.family == .ipv4 ? .icmp : .icmpv6
        if proto == .icmp || proto == .icmpv6, proto != wanted {
            let family = destination.family == .ipv4 ? "IPv4" : "IPv6"
            throw ExplainProblem(
                message: "\(destination) is an \(family) address, and \(proto) is not part of \(family)",
                suggestion: "write --port \(wanted)/echo-request, or another type of \(wanted)"
            )
        }
        switch service {
        case .any where proto.hasPorts:
            throw ExplainProblem(
                message: "\(proto) has ports, and explain answers for one of them",
                suggestion: "write for example --port 443/\(proto)")
        case .any where proto == wanted:
            throw ExplainProblem(
                message: "\(proto) has types, and explain answers for one of them",
                suggestion: "write for example --port \(proto)/echo-request")
        case .any:
            return Flow(to: destination, isHost: isHost, protocol: proto)
        case .ports(_, let ports):
            guard ports.lowerBound == ports.upperBound else {
                throw ExplainProblem(
                    message: "\(text) is a range, and explain answers for single ports",
                    suggestion: "write --port \(ports.lowerBound)/\(proto) --port \(ports.upperBound)/\(proto)")
            }
            return Flow(to: destination, isHost: isHost, protocol: proto, port: ports.lowerBound)
        case .icmp(_, let type):
            return Flow(to: destination, isHost: isHost, protocol: proto, icmpType: type)
        }
    }
}

extension Service {
    fileprivate var `protocol`: IPProtocol {
        switch self {
        case .any(let number), .ports(let number, _), .icmp(let number, _): number
        }
    }
}
