// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretAddressing
import EgretDoctor
import EgretLinux
import EgretNetworks
import EgretPolicy

/// `egret doctor`.
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Say where a packet is stuck, and what mends it.",
        discussion: """
            Sends one real packet from the endpoint and watches it in the kernel, step by step, to the destination and \
            back. Without an endpoint it looks at the host: what the kernel can do, and what stands in the way. \
            Nothing is changed without --fix, and then only what is Egret's. Exit code 0 if all is well, 1 if \
            something was found, 2 if the command could not look.

            Examples:
              sudo egret doctor ns0
              sudo egret doctor ns0 --to 203.0.113.10 --port 443/tcp
              sudo egret doctor pid:4711 --to 2001:db8::1 -o json
              sudo egret doctor
            """
    )

    @Argument(
        help: ArgumentHelp(
            "A network namespace: a name of ip netns, pid:NUMBER, or a path.", valueName: "endpoint"))
    var endpoint: String?

    @Option(
        name: .customLong("to"),
        help: ArgumentHelp(
            """
            The address that the packet goes to; names are not resolved, and the port goes with --port. Default: a public \
            resolver; from an isolated network, its gateway.
            """,
            valueName: "address"))
    var destination: IPAddress?

    @Option(
        help: ArgumentHelp("443/tcp, 443 (TCP), 53/udp. Without it, an echo request (ping).", valueName: "port"))
    var port: String?

    @Flag(help: "Run the commands that mend what is Egret's.")
    var fix = false

    @Option(name: [.customShort("o"), .customLong("output")], help: OutputFormat.help)
    var output: OutputFormat = .table

    func run() throws {
        do {
            try Privilege.require(for: "looking into namespaces")
            guard let endpoint else {
                guard destination == nil, port == nil else {
                    throw RunFailure(
                        message: "--to and --port are about a packet of an endpoint's",
                        advice: "name the endpoint: egret doctor ns0 --to …")
                }
                return try checkHost()
            }
            try examine(endpoint)
        } catch let exit as ExitCode {
            throw exit
        } catch let failure as RunFailure {
            Console.error(failure.lines)
            throw ExitCode(2)
        } catch let problem as NetworkProblem {
            Console.error(RunFailure(message: problem.message, advice: problem.advice).lines)
            throw ExitCode(2)
        } catch {
            Console.error(["egret: \(error)"])
            throw ExitCode(2)
        }
    }

    private func checkHost() throws {
        var check = try HostCheck.run { KernelRuleset($0) }
        check.conflicts.append(keptNetworks())
        Console.output(try output.text(of: HostDocument(check)) ?? DoctorText(style: Console.outputStyle).text(check))
        if !check.isHealthy { throw ExitCode(1) }
    }

    /// Whether what is kept of networks can be read: no command looks at the others or changes them.
    private func keptNetworks() -> HostCheck.Line {
        let words: String
        do {
            let problems = try NetworkHost.read().unreadable.sorted { $0.key < $1.key }.map(\.value)
            if problems.isEmpty { return HostCheck.Line("kept networks", isGood: true, "all can be read") }
            words = problems.map { [$0.message, $0.advice].compactMap(\.self).joined(separator: "; ") }
                .joined(separator: ". ")
        } catch let problem as NetworkProblem {
            words = [problem.message, problem.advice].compactMap(\.self).joined(separator: "; ")
        } catch {
            words = "\(error)"
        }
        return HostCheck.Line("kept networks", isGood: false, words, isNeeded: true)
    }

    private func examine(_ text: String) throws {
        guard let reference = NamespaceReference(text) else {
            throw RunFailure(message: "“\(text)” names no network namespace", advice: "write ns0, pid:4711 or a path")
        }
        let namespace = try reference.open()
        let kept = try KeptEndpoint(namespace)
        Console.error(kept.warnings)
        let probe = try probe(kept)
        let place: Place =
            switch reference {
            case .name(let name): .name(name)
            case .process, .path: .file(reference.path)
            }
        let doctor = try Doctor(probe, in: namespace, at: place, networks: kept.kept) { KernelRuleset($0) }
        func examine() throws -> Diagnosis { try explained(doctor.examine(), probe, kept) }
        var diagnosis = try examine()
        var repairs: [String] = []
        if fix {
            var tried: Swift.Set<[[String]]> = []
            while let finding = diagnosis.finding, DoctorRepair.isEgrets(finding, in: reference),
                tried.insert(finding.commands).inserted
            {
                for command in finding.commands {
                    // Whether it was of use is seen by looking again.
                    do { try DoctorRepair.run(command) } catch let failure as RunFailure {
                        Console.error(failure.lines)
                    }
                }
                repairs += finding.commandLines
                diagnosis = try examine()
                if diagnosis.finding == nil { break }
                // The kernel takes up to a second to notice that a link is up again (linkwatch), and then answers.
                var pause = Poll()
                _ = try pause.wait(timeout: .seconds(1))
                diagnosis = try examine()
            }
        }
        let document = DiagnosisDocument(
            diagnosis, endpoint: text, probe: probe, repairs: repairs,
            isFixable: diagnosis.finding.map { DoctorRepair.isEgrets($0, in: reference) } ?? false)
        let words = DoctorText(style: Console.outputStyle)
        Console.output(try output.text(of: document) ?? words.text(document))
        if diagnosis.finding != nil { throw ExitCode(1) }
    }

    /// The diagnosis with what Egret itself knows of the endpoint: what was changed, what was meant, and by which rule.
    private func explained(
        _ diagnosis: Diagnosis, _ probe: Probe, _ kept: KeptEndpoint
    ) throws -> Diagnosis {
        var diagnosis = diagnosis
        let networks = kept.links.map { KeptNetwork($0.network) }
        if diagnosis.finding != nil, !diagnosis.respectIsolation(networks, to: probe.destination) {
            diagnosis.explain(by: try kept.deviations(by: diagnosis.hostEnd, to: probe.destination))
        }
        if let opinion = PolicyOpinion.of(probe, from: kept) {
            diagnosis.add(policy: opinion.reason, isAllowed: opinion.isAllowed)
        }
        return diagnosis
    }

    private func probe(_ kept: KeptEndpoint) throws -> Probe {
        let destination = destination ?? kept.usualDestination()
        guard let port else { return Probe(to: destination, .echo) }
        let (service, problem) = Service.read(port, at: SourceLocation(file: "--port \(port)", line: 0, column: 1))
        switch service {
        case .ports(.tcp, let ports) where ports.lowerBound == ports.upperBound:
            return Probe(to: destination, .tcp(ports.lowerBound))
        case .ports(.udp, let ports) where ports.lowerBound == ports.upperBound:
            return Probe(to: destination, .udp(ports.lowerBound))
        case .any(.icmp), .any(.icmpv6): return Probe(to: destination, .echo)
        default:
            throw RunFailure(
                message: problem.map { DiagnosticFormatter.format($0) }
                    ?? "\(port) is nothing that a probe can be sent to",
                advice: "write one port: 443/tcp or 53/udp; or leave --port out, for an echo request")
        }
    }
}
