// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretAgentAPI
import EgretAgentClient
import EgretLinux
import EgretNetworks
import EgretPolicy

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// `egret attach`.
struct AttachCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attach",
        abstract: "Hold a network namespace, or processes of the host's own, to policies.",
        usage: "egret attach <target> [--name <name>] [--policy <name>] [--label <key=value>] …",
        discussion: """
            Every link of the namespace that leads to this host is policed by the agent, as endpoints of egret's networks \
            are; on return it is. The links stay as they are. It is an endpoint until its links are gone, or egret detach.

            The processes of a control group or of a systemd unit are policed where the host sends. Rules and reports are \
            as everywhere, and so are budgets of what they send; names, routes, limits, budgets of what they are sent, and \
            policies about what others begin are refused: that hook cannot do them. What was connected before stays until \
            it sends again, and a socket belongs to the group that it was made in.

            A target is netns:NAME (as ip netns calls it), pid:NUMBER, docker:NAME, podman:NAME, cgroup:PATH, \
            unit:NAME, or a path; or oci:-, which \
            is the container whose state stands on the standard input, as OCI runtimes give it to their hooks. Its \
            annotations are labels. As a createRuntime hook the command lets no container begin without its policies.

            Examples:
              sudo egret attach netns:web --label app=web
              sudo egret attach pid:4711 --name build/worker-1
              sudo egret attach docker:web -o json
              sudo egret attach unit:backup.service --policy backup
            """
    )

    @Argument(help: ArgumentHelp("The namespace, or the processes.", valueName: "target"))
    var target: String

    @Option(
        help: ArgumentHelp(
            "What policies call it: GROUP/NAME, or NAME. Default: netns/NAME, pid/NUMBER, docker/NAME, podman/NAME.",
            valueName: "name"))
    var name: String?

    @Option(help: ArgumentHelp("A label that policies select by. May be given more than once.", valueName: "key=value"))
    var label: [String] = []

    @Option(
        help: ArgumentHelp(
            "The same as --label egret.policy=NAME, and an error if no policy selects by that.", valueName: "name"))
    var policy: String?

    @OptionGroup var agent: AgentOptions

    @Option(name: [.customShort("o"), .customLong("output")], help: OutputFormat.help)
    var output: OutputFormat = .table

    func run() throws {
        try asking {
            let found = try AttachTarget(target)
            let parts = try name.map { try AttachTarget.parts($0) } ?? (group: found.group, name: found.name)
            var labels = found.labels
            for text in label {
                let (key, value) = try LabelText.pair(text)
                labels[key] = value
            }
            if let policy { labels[AttachCommand.policyLabel] = policy }
            let endpoints = try agent.client.attach(
                AttachRequest(
                    namespace: found.path, group: parts.group, name: parts.name, labels: labels,
                    container: found.container, selectedBy: policy.map { _ in AttachCommand.policyLabel }))
            try show(endpoints, as: output, AgentTables.endpoints(endpoints, isWide: output == .wide))
        }
    }

    private static let policyLabel = "egret.policy"
}

/// `egret detach`.
struct DetachCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "detach",
        abstract: "Let go of a namespace that egret attach holds to policies.",
        discussion: """
            On return nothing of egret's is left at its links.

            Examples:
              sudo egret detach netns/web
            """
    )

    @Argument(help: ArgumentHelp("The endpoint, as egret get endpoints calls it.", valueName: "group/name"))
    var endpoint: String

    @OptionGroup var agent: AgentOptions

    func run() throws {
        try asking {
            let parts = try AttachTarget.parts(endpoint)
            _ = try agent.client.detach(group: parts.group, name: parts.name)
            Console.output("\(parts.group)/\(parts.name) detached\n")
        }
    }
}

/// A namespace as `egret attach` names it.
struct AttachTarget {
    /// The group that it has unless somebody says otherwise.
    var group: String
    /// The name that it has unless somebody says otherwise.
    var name: String
    /// The file of its namespace.
    var path: String
    /// The labels that are known of it.
    var labels: [String: String] = [:]
    /// The number that its engine gave it.
    var container: String?

    /// Finds a target.
    init(_ text: String) throws {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        if parts.count == 2, ["docker", "podman"].contains(parts[0]) {
            (group, name) = (parts[0], parts[1])
            path = try AttachTarget.container(parts[1], of: parts[0])
            return
        }
        if text == "oci:-" {
            let state = try OCIState.read()
            (group, name, path) = ("oci", state.id, "/proc/\(state.pid)/ns/net")
            labels = (state.annotations ?? [:]).filter { LabelSyntax.isKey($0.key) && LabelSyntax.isValue($0.value) }
            container = state.id
            return
        }
        if parts.count == 2, ["cgroup", "unit"].contains(parts[0]) {
            path = text
            group = parts[0]
            let last = parts[1].split(separator: "/").last.map(String.init) ?? ""
            // Templates' instances have an @ in their names, and escaped ones a backslash.
            name = String(last.map { $0 == "@" || $0 == "\\" || $0 == ":" ? "-" : $0 })
            return
        }
        guard let reference = NamespaceReference(text) else {
            throw AgentClientError(
                "“\(text)” is no network namespace",
                advice:
                    "write netns:NAME, pid:NUMBER, docker:NAME, podman:NAME, cgroup:PATH, unit:NAME, oci:-, or a path")
        }
        path = reference.path
        switch reference {
        case .name(let text): (group, name) = ("netns", text)
        case .process(let number): (group, name) = ("pid", "\(number)")
        case .path(let path): (group, name) = ("netns", path.split(separator: "/").last.map(String.init) ?? path)
        }
    }

    /// The two parts of a name; the group is `default` if there is one part.
    static func parts(_ text: String) throws -> (group: String, name: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard (1...2).contains(parts.count), parts.allSatisfy(AttachRequest.isName) else {
            throw AgentClientError(
                "“\(text)” cannot be an endpoint's name",
                advice: "write NAME, or GROUP/NAME, of letters, digits, hyphens, dots and underscores")
        }
        return parts.count == 2 ? (parts[0], parts[1]) : ("default", parts[0])
    }

    /// Of a container, the file of the network that its engine has made, if its first process has left that; else the file of
    /// the network that the process is in, which an agent sees that the engine's files are hidden from.
    ///
    /// - Parameters:
    ///   - process: The file of the process's network.
    ///   - sandbox: What the engine calls the file of the network that it made; empty if it made none.
    /// - Returns: One of the two.
    static func network(ofProcess process: String, madeAs sandbox: String) -> String {
        guard sandbox.hasPrefix("/"), let present = try? File.status(process), let made = try? File.status(sandbox)
        else { return process }
        // All namespaces are files of one file system.
        return made.device == present.device && made.inode != present.inode ? sandbox : process
    }

    /// Asks an engine's own command about a container.
    private static func container(_ name: String, of engine: String) throws -> String {
        let run: ProgramRun
        do {
            run = try ProgramRun.run(
                Command(
                    NativeString(engine),
                    arguments: [
                        engine, "inspect", "--type", "container", "--format",
                        "{{.State.Pid}} {{.NetworkSettings.SandboxKey}}", "--", name,
                    ].map { NativeString($0) }),
                limit: .seconds(20))
        } catch {
            throw AgentClientError("\(engine) cannot be asked about \(name): \(error)")
        }
        let words = run.output.split(separator: "\n").first?.split(separator: " ", maxSplits: 1) ?? []
        guard run.succeeded, let number = Int32(words.first ?? "") else {
            throw AgentClientError("\(engine) knows no container \(name)", advice: "\(engine) ps shows those that run")
        }
        guard number > 0 else {
            throw AgentClientError("the container \(name) does not run", advice: "\(engine) start \(name)")
        }
        return network(ofProcess: "/proc/\(number)/ns/net", madeAs: words.count > 1 ? String(words[1]) : "")
    }
}

/// The state of a container, as an OCI runtime gives it to its hooks (OCI runtime specification, section "State").
private struct OCIState: Decodable {
    var id: String
    var pid: Int32
    var annotations: [String: String]?

    static func read() throws -> OCIState {
        do {
            return try JSONDecoder().decode(OCIState.self, from: Data(File.read("/dev/stdin", limit: 1 << 24)))
        } catch {
            throw AgentClientError(
                "the standard input is no state of a container: \(error)",
                advice: "oci:- is for hooks, which an OCI runtime starts")
        }
    }
}
