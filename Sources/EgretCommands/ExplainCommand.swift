// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretAddressing
import EgretEvaluator
import EgretLinux
import EgretPolicy

/// `egret explain`.
struct ExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Say what a policy does with a flow, and which rule decides.",
        usage: """
            egret explain --to <address or name> … --port <port> … [--allow <destination>] … [--policy <file>] … [<options>]
            egret explain [-f <file or directory>] … --from <workload> --to <workload> … --port <port> … [<options>]
            """,
        discussion: """
            Without --from it reads the same files and flags as egret run, and says what may leave. With --from it \
            reads manifests, Kubernetes' policies among them, and says what both ends of a connection decide: the \
            egress of the one and the ingress of the other. An end is NAMESPACE/NAME, KIND/NAMESPACE/NAME or an \
            address; svc/NAMESPACE/NAME as --to stands for the pods behind the service. \
            Without files it asks the agent, and says what is in force for its endpoints; of one of several networks, \
            what is true of the link that the connection takes.

            Nothing is run, and no privileges are needed. Exit code 0 whatever the verdict; with --exit-code, 1 if a \
            flow is refused; 2 if the policy or the flow has mistakes.

            Examples:
              egret explain -f manifests/ --from shop/web --to shop/db --port 5432/tcp
              sudo egret explain --from shop/web --to shop/db --port 5432/tcp
              egret explain -f manifests/ --from shop/web --to svc/shop/db --port 80/tcp -o json
              egret explain -f manifests/ --from shop/web --to example.org:443
              egret explain -f manifests/ --from 203.0.113.10 --to shop/web --port http
              egret explain -f policy.yaml --to 203.0.113.10 --port 443/tcp
              egret explain --allow '*.wikimedia.org' --to upload.wikimedia.org:443
              egret explain --allow internet:443 --to 10.0.0.5 --port 443 -o json
              egret explain -f policy.yaml --to 2001:db8::1 --port icmpv6/echo-request
              egret explain -f policy.yaml --to 203.0.113.10 --to 203.0.113.11 --port 443 -o wide
            """
    )

    @OptionGroup(title: "Policy") var policy: PolicyOptions

    @OptionGroup var agent: AgentOptions

    @Option(
        name: .customLong("to"),
        help: ArgumentHelp(
            "Where the flow goes: an address, or a domain name with or without a port; with --from also a workload or service. "
                + "May be given more than once.",
            valueName: "destination")
    )
    var destinations: [String]

    @Option(
        name: .customLong("from"),
        help: ArgumentHelp(
            "Who begins the connection: NAMESPACE/NAME, KIND/NAMESPACE/NAME or an address. Policies and workloads are "
                + "read from the --policy files and directories.",
            valueName: "workload")
    )
    var source: String?

    @Option(
        name: .customLong("port"),
        help: ArgumentHelp(
            "Port and protocol: 443/tcp, 443 (TCP), 53/udp, icmp/echo-request, gre, protocol/253; with --from also "
                + "the name of a port. May be given more than once.",
            valueName: "port"
        )
    )
    var ports: [String] = []

    @Option(
        name: .customLong("at"),
        help: ArgumentHelp(
            "The time to ask about, for rules with when: 2026-03-29T02:30[Europe/Zurich], 2026-03-29T03:30:00+02:00, or "
                + "without a zone in UTC. Now by default.",
            valueName: "time")
    )
    var time: String?

    @Flag(name: .customLong("host"), help: "The address is the host's own: packets to it do not leave the host.")
    var isHost = false

    @Flag(name: .customLong("exit-code"), help: "End with 1 if a flow is refused.")
    var setsExitCode = false

    @Option(name: [.customShort("o"), .customLong("output")], help: OutputFormat.help)
    var output: OutputFormat = .table

    func validate() throws {
        let haveOwn = destinations.allSatisfy { text in
            if case .name(_, .some)? = try? ExplainTarget(text) { true } else { false }
        }
        if ports.isEmpty && !haveOwn {
            throw ValidationError("Missing expected argument '--port <port> ...': write for example --port 443/tcp")
        }
    }

    func run() throws {
        if let source { return try asking(failure: 2) { try explainConnections(from: source) } }
        do {
            let (questions, problems) = questions()
            let loaded: LoadedPolicies
            do {
                loaded = try policy.load()
            } catch let mistakes as PolicyMistakes {
                throw PolicyMistakes(lines: mistakes.lines + problems)
            }
            if !problems.isEmpty { throw PolicyMistakes(lines: loaded.warnings + problems) }
            Console.error(loaded.warnings)
            let evaluator = PolicyEvaluator(policies: loaded.set)
            let time = try time.map { try MomentText.unixTime($0) } ?? WallTime.now.seconds
            let answers = try questions.map { question in
                switch question {
                case .flow(let flow):
                    ExplainAnswer(flow: flow, policies: loaded.set, evaluator: evaluator, at: time)
                case .name(let name, let service, let text):
                    try ExplainAnswer(
                        name: name, service, text, policies: loaded.set, evaluator: evaluator, at: time)
                }
            }
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

    /// A flow to an address, or what is asked about a name.
    private enum Question {
        case flow(Flow)
        case name(DomainName, Service, String)

        init(_ target: ExplainTarget, isHost: Bool, _ service: Service, _ text: String) throws(ExplainProblem) {
            switch target {
            case .address(let address):
                self = .flow(try Flow.explained(to: address, isHost: isHost, service, text))
            case .name(let name, _):
                if isHost {
                    throw ExplainProblem(
                        message: "no name leads to the host", suggestion: "give an address of the host with --host")
                }
                let isVersion6 = if case .icmp(.icmpv6, _) = service { true } else { false }
                _ = try Flow.explained(
                    to: isVersion6 ? .v6(IPv6Address(rawValue: 1)) : .v4(IPv4Address(rawValue: 1)), isHost: false,
                    service, text)
                self = .name(name, service, text)
            }
        }
    }

    /// Every destination with every port, or with its own.
    private func questions() -> (questions: [Question], problems: [String]) {
        var questions: [Question] = []
        var problems: [String] = []
        let destinations = destinations.compactMap { text in
            do throws(ExplainProblem) {
                return try ExplainTarget(text)
            } catch {
                problems.append(ExplainCommand.line(about: "--to \(text)", error.message, error.suggestion))
                return nil
            }
        }
        let own = destinations.compactMap { if case .name(_, let port) = $0 { port } else { nil } }
        var seen: Swift.Set<String> = []
        for port in (ports + own).filter({ seen.insert($0).inserted }) {
            let location = SourceLocation(file: "--port \(port)", line: 0, column: 1)
            let (service, problem) = Service.read(port, at: location)
            if let problem { problems.append(DiagnosticFormatter.format(problem)) }
            guard let service else { continue }
            for destination in destinations where destination.isAsked(with: port, of: ports) {
                do throws(ExplainProblem) {
                    questions.append(try Question(destination, isHost: isHost, service, port))
                } catch {
                    let diagnostic = Diagnostic(
                        .error, code: DiagnosticCode.flag, at: location, error.message, suggestion: error.suggestion)
                    let line = DiagnosticFormatter.format(diagnostic)
                    if !problems.contains(line) { problems.append(line) }
                }
            }
        }
        return (questions, problems)
    }
}

extension ExplainTarget {
    /// Whether the question is about this port: its own, or, where it has none, one of `--port`.
    fileprivate func isAsked(with port: String, of ports: [String]) -> Bool {
        if case .name(_, let own?) = self { own == port } else { ports.contains(port) }
    }
}

extension ExplainCommand {
    /// A mistake in a flag, as it is printed.
    static func line(about flag: String, _ message: String, _ suggestion: String) -> String {
        DiagnosticFormatter.format(
            Diagnostic(
                .error, code: DiagnosticCode.flag, at: SourceLocation(file: flag, line: 0, column: 1), message,
                suggestion: suggestion
            ))
    }
}

/// Why a port and an address make no flow.
struct ExplainProblem: Error {
    var message: String
    var suggestion: String
}

extension Flow {
    // The one flow that an address and a port say; `text` is the port as it was typed.
    static func explained(
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
    var `protocol`: IPProtocol {
        switch self {
        case .any(let number), .ports(let number, _), .icmp(let number, _): number
        }
    }
}
