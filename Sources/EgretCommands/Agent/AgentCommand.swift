// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretAddressing
import EgretAgent
import EgretAgentAPI
import EgretAgentClient
import EgretCompiler
import EgretLinux
import EgretNames
import EgretPolicy

/// `egret agent`.
struct AgentCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent",
        abstract: "Hold the endpoints of this host's networks to policies, until it is ended.",
        discussion: """
            Policies come by egret apply, and are kept in /var/lib/egret: whatever ends the agent or the machine, its next \
            start puts them in force before it says that it is ready. What is in force stays in force while no agent runs. \
            Changes of the kernel's tables by others are mended. SIGHUP has it read the networks' endpoints again.

            Examples:
              egret agent
              systemctl enable --now egret-agent
              egret agent --runtime docker --quarantine docker0 --quarantine 'br-*'
              egret agent --runtime docker --host-network kill --except docker/monitor
              egret agent --runtime docker --host-network kill --privileged kill --except privileged=docker/build
              egret agent --socket /run/user/0/egret.sock --state /srv/egret
            """
    )

    @Option(help: ArgumentHelp("Listen at this path.", valueName: "path"))
    var socket: String = AgentAddress(chosen: Environment.current[AgentAPI.socketVariable]).socketPath

    @Option(help: ArgumentHelp("Let members of this group use the socket.", valueName: "group"))
    var socketGroup: String?

    @Option(help: ArgumentHelp("Keep policies and their history in this directory.", valueName: "directory"))
    var state = AgentProcess.Places().state

    @Option(
        help: ArgumentHelp(
            "Hold the containers of this engine to policies; with a path, at that socket. May stand several times.",
            valueName: "docker[=path]"))
    var runtime: [String] = []

    @Option(
        help: ArgumentHelp(
            "What becomes of an engine's containers in the host's network, which no policy holds: report lists them as "
                + "not enforced, kill has the engine kill them as well.",
            valueName: "action"))
    var hostNetwork: ContainerAction = .report

    @Option(
        help: ArgumentHelp(
            "The same for containers with links that lead past this host: macvlan, ipvlan, overlay networks.",
            valueName: "action"))
    var otherLinks: ContainerAction = .report

    @Option(
        help: ArgumentHelp(
            "The same for containers that can get into the host's network by a capability, as privileged ones can.",
            valueName: "action"))
    var privileged: ContainerAction = .report

    @Option(
        name: .customLong("except"),
        help: ArgumentHelp(
            "Have this container not be killed whatever it has, but listed: docker/NAME, or those made of an image, "
                + "image:NAME as its engine tells it or image:NUMBER; with privileged=, other-links= or host-network= "
                + "in front, or several of them with commas, only not by those rules. May stand several times.",
            valueName: "[rule=]container"))
    var exceptions: [String] = []

    @Option(
        help: ArgumentHelp(
            "Let nothing pass this bridge but what endpoints send that the agent knows, also while no agent runs: "
                + "docker0, or br-* for all that begin so. May stand several times.",
            valueName: "bridge"))
    var quarantine: [String] = []

    @Option(
        name: .customLong("default"),
        help: ArgumentHelp(
            "What endpoints may send that no policy selects: allow, audit, deny or reject.", valueName: "action"))
    var defaultAction: String = "allow"

    @Option(
        name: .customLong("dns"),
        help: ArgumentHelp(
            "Ask this server for names that endpoints' rules allow, instead of the host's: an address, or udp://, "
                + "tcp:// or tls:// before it, a port behind it, and for TLS #NAME, which its certificate must be for, "
                + "else for the address. May stand several times: the next is asked where one fails.",
            valueName: "server"))
    var nameServers: [NameServer] = []

    @Option(
        name: .customLong("dns-ca"),
        help: ArgumentHelp("Trust these authorities for --dns tls:// too: certificates in PEM.", valueName: "file"))
    var nameAuthorities: String?

    @Option(
        name: .customLong("dns-denial"),
        help: ArgumentHelp(
            "How endpoints' questions for names are answered that no rule allows: that it is refused, or that there is no "
                + "such name, for programs that try again otherwise.",
            valueName: "refused|nxdomain"))
    var nameDenial: NameDenial = .refused

    @OptionGroup var nameLimits: NameLimitOptions

    private static let engines = ["docker": "/var/run/docker.sock", "podman": "/run/podman/podman.sock"]

    @Option(
        name: .customLong("feed-ca"),
        help: ArgumentHelp("Trust these authorities for feeds too: certificates in PEM.", valueName: "file"))
    var feedCA: String?

    @Option(help: ArgumentHelp("Offer figures for monitoring at this address, without TLS.", valueName: "address:port"))
    var metrics: String?

    @Option(
        help: ArgumentHelp(
            "Offer the API at this address to clients with certificates; takes the three --tls options.",
            valueName: "address:port"))
    var listen: String?

    @Option(help: ArgumentHelp("The certificate that --listen shows, in PEM.", valueName: "file"))
    var tlsCert: String?

    @Option(help: ArgumentHelp("The key of the certificate, in PEM.", valueName: "file"))
    var tlsKey: String?

    @Option(
        name: .customLong("tls-client-ca"),
        help: ArgumentHelp("The authorities whose clients --listen serves, in PEM.", valueName: "file"))
    var tlsClientCA: String?

    func validate() throws {
        _ = try reach()
        let files = [tlsCert, tlsKey, tlsClientCA].compactMap(\.self)
        if listen == nil, !files.isEmpty { throw ValidationError("--tls options go with --listen.") }
        for place in [metrics, listen].compactMap(\.self) where HostAndPort(place) == nil {
            throw ValidationError("\(place) is no address with a port: write for example 127.0.0.1:9464.")
        }
        if listen != nil, files.count < 3 {
            throw ValidationError("--listen takes --tls-cert, --tls-key and --tls-client-ca: it serves nobody without.")
        }
    }

    private func reach() throws -> AgentProcess.Reach {
        guard let action = DefaultAction(rawValue: defaultAction) else {
            throw ValidationError("--default is allow, audit, deny or reject, not \(defaultAction).")
        }
        var engines: [String: String] = [:]
        for text in runtime {
            let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
            guard let name = parts.first, let usual = AgentCommand.engines[name] else {
                throw ValidationError("\(text) is no engine that is known: docker and podman are.")
            }
            engines[name] = parts.count > 1 ? parts[1] : usual
        }
        let actions: [ContainerBypass: ContainerAction] = [
            .hostNetwork: hostNetwork, .otherLinks: otherLinks, .privileged: privileged,
        ]
        let refused = actions.filter { $0.value == .kill }.keys
        if engines.isEmpty, let first = refused.map(\.rawValue).min() {
            throw ValidationError("--\(first) kill goes with --runtime: the engine kills its containers.")
        }
        let excepted = try exceptions.map { text in
            guard let exception = ContainerExemption(text) else {
                throw ValidationError(
                    "\(text) is no exception: write docker/NAME, image:NAME or image:NUMBER, alone or behind the rules "
                        + "that it is for, as in privileged=docker/NAME.")
            }
            if case .name(let engine, _) = exception.container, engines[engine] == nil {
                throw ValidationError("--except \(text) goes with --runtime \(engine).")
            }
            let idle = (exception.ways ?? []).subtracting(refused).map(\.rawValue)
            if let first = idle.min() {
                throw ValidationError("--except \(text) goes with --\(first) kill: it kills nothing otherwise.")
            }
            return exception
        }
        if refused.isEmpty, let first = excepted.first {
            throw ValidationError("--except \(first) goes with kill: nothing is killed otherwise.")
        }
        let bridges = try quarantine.map { text in
            guard let pattern = BridgePattern(text) else { throw ValidationError("\(text) cannot be a bridge's name.") }
            return pattern
        }
        let servers = try ConfiguredServers(nameServers, authorities: nameAuthorities)
        return AgentProcess.Reach(
            engines: engines, refusals: ContainerRefusals(Swift.Set(refused), exemptions: excepted),
            quarantine: bridges, defaultAction: action,
            nameServers: servers.servers, serverTrust: servers.trust, nameDenial: nameDenial.denial,
            nameLimits: try nameLimits.limits())
    }

    func run() throws {
        let reach = try reach()
        try asRoot(Privilege.ofAgent, for: "holding endpoints to policies") {
            let places = AgentProcess.Places(state: state)
            let members = try socketGroup.map { name in
                guard let number = try UserIdentity.groupNumber(name) else {
                    throw RunFailure(message: "there is no group \(name)", advice: "groupadd --system \(name) makes it")
                }
                return number
            }
            var options = AgentDaemon.Options(socketPath: socket, socketGroup: members, places: places, reach: reach)
            options.feedAuthorities = feedCA
            options.metrics = metrics.flatMap { HostAndPort($0) }
            if let listen = listen.flatMap({ HostAndPort($0) }), let tlsCert, let tlsKey, let tlsClientCA {
                options.remote = (
                    listen, .init(certificate: tlsCert, key: tlsKey, clientAuthorities: tlsClientCA)
                )
            }
            try AgentCommand.hold(options)
        }
    }

    /// Runs the agent; why it cannot start comes with what to do about it.
    private static func hold(_ options: AgentDaemon.Options) throws {
        do {
            try AgentDaemon.run(options) { line in Console.error(["egret agent: \(line)"]) }
        } catch let error as APIError {
            throw RunFailure(message: error.message, advice: error.advice)
        } catch let problem as AgentSocketProblem {
            throw RunFailure(message: problem.message, advice: problem.advice)
        } catch let other as AgentProcess.AlreadyRunning {
            throw RunFailure(message: other.description, advice: other.advice)
        }
    }
}

/// What becomes of containers that no policy holds, or not reliably.
enum ContainerAction: String, ExpressibleByArgument, CaseIterable {
    case report
    case kill
}
