// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAgentAPI
import EgretDocuments
import EgretNetworks

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What a runtime asks of a plugin, by the environment and the standard input (CNI specification, section "Plugin execution").
struct CNIRequest: Sendable {
    /// The versions of the specification that the plugin speaks.
    static let versions = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]

    /// The latest of them.
    static let latestVersion = "1.1.0"

    /// The versions that brought commands.
    private static let since: [Command: String] = [.check: "0.4.0", .collect: "1.1.0", .status: "1.1.0"]

    /// `ADD`, `DEL`, `CHECK`, `GC`, `STATUS` or `VERSION`.
    enum Command: String, CaseIterable, Sendable {
        case add = "ADD"
        case delete = "DEL"
        case check = "CHECK"
        case collect = "GC"
        case status = "STATUS"
        case version = "VERSION"
    }

    var command: Command
    /// The container's number; empty where the command has none.
    var container: String
    /// The file of its network namespace; `nil` where there is none any more.
    var namespace: String?
    /// The name of the interface in the container.
    var interface: String
    /// The pairs of `CNI_ARGS`.
    var arguments: [String: String]
    /// The configuration.
    var configuration: DataValue

    /// The name of the configuration.
    var network: String { configuration["name"]?.text ?? "cni" }

    /// What the runtime calls the interface.
    var attachment: ContainerAttachment {
        ContainerAttachment(network: network, container: container, interface: interface)
    }

    /// The path of the agent's socket, if the configuration names one.
    var socketPath: String? { configuration["socket"]?.text }

    /// Whether the plugin makes the interface itself, rather than stand behind one that does.
    var makesInterfaces: Bool {
        ["network", "subnets", "ipam"].contains { key in
            configuration[key].map { $0 != .null && $0 != .object([:]) } ?? false
        }
    }

    /// The version of the specification that the answer is to be in.
    var version: String { configuration["cniVersion"]?.text ?? "0.3.0" }

    /// Reads a request.
    ///
    /// - Parameters:
    ///   - environment: The variables.
    ///   - input: What stands on the standard input.
    /// - Throws: ``CNIError``.
    init(environment: (String) -> String?, input: [UInt8]) throws(CNIError) {
        guard let text = environment("CNI_COMMAND"), !text.isEmpty else {
            throw CNIError(
                .invalidEnvironment, "CNI_COMMAND is not set",
                details: "egret-cni is started by container runtimes; docs/containers.md has a configuration")
        }
        guard let command = Command(rawValue: text) else {
            throw CNIError(.invalidEnvironment, "CNI_COMMAND is \(text), which is none of the specification's")
        }
        self.command = command
        let parsed = try? JSONDecoder().decode(DataValue.self, from: Data(input))
        guard let parsed, case .object = parsed else {
            guard command == .version else {
                throw CNIError(.undecodable, "the standard input is no JSON object")
            }
            (container, interface, arguments, configuration) = ("", "", [:], .object([:]))
            return
        }
        configuration = parsed
        container = environment("CNI_CONTAINERID") ?? ""
        interface = environment("CNI_IFNAME") ?? ""
        namespace = environment("CNI_NETNS").flatMap { $0.isEmpty ? nil : $0 }
        arguments = [:]
        do throws(CNIError) {
            arguments = try CNIRequest.pairs(environment("CNI_ARGS") ?? "")
            try validate()
        } catch {
            var failure = error
            failure.cniVersion = CNIRequest.versions.contains(version) ? version : nil
            throw failure
        }
    }

    private func validate() throws(CNIError) {
        if command == .version { return }
        guard CNIRequest.versions.contains(version) else {
            throw CNIError(
                .incompatibleVersion, "the configuration is in version \(version)",
                details: "egret-cni speaks \(CNIRequest.versions.joined(separator: ", "))")
        }
        if let first = CNIRequest.since[command], let since = CNIRequest.versions.firstIndex(of: first),
            let own = CNIRequest.versions.firstIndex(of: version), own < since
        {
            throw CNIError(
                .incompatibleVersion, "version \(version) has no \(command.rawValue), which came with \(first)")
        }
        if [.collect, .status].contains(command) { return }
        if container.isEmpty { throw CNIError(.invalidEnvironment, "CNI_CONTAINERID is not set") }
        if interface.isEmpty { throw CNIError(.invalidEnvironment, "CNI_IFNAME is not set") }
        // What is there goes away whatever it is called.
        if command == .delete { return }
        if namespace == nil { throw CNIError(.invalidEnvironment, "CNI_NETNS is not set") }
        guard AttachRequest.isName(container) else {
            throw CNIError(.invalidEnvironment, "CNI_CONTAINERID is “\(container)”, which can be no container's")
        }
        guard InterfaceName(interface) != nil, interface != "lo" else {
            throw CNIError(.invalidEnvironment, "CNI_IFNAME is “\(interface)”, which can be no interface's name")
        }
    }

    /// The fields of the specification, and those that runtimes add.
    private static let specified: Set<String> = [
        "cniVersion", "cniVersions", "name", "type", "capabilities", "runtimeConfig", "args", "ipMasq", "ipam", "dns",
        "prevResult", "disableCheck", "disableGC", "loadOnlyInlinedPlugins",
    ]

    /// Refuses what nobody reads: a label under a mistyped name would leave a container without its policies.
    ///
    /// - Throws: ``CNIError`` with the number 2, which names the field and its value.
    func validateOwnFields() throws(CNIError) {
        guard case .object(let members) = configuration else { return }
        for (key, value) in members.sorted(by: { $0.key < $1.key }) {
            if CNIRequest.specified.contains(key) || key.hasPrefix("cni.dev/") { continue }
            if makesInterfaces && CNINetworkConfiguration.fields.contains(key) { continue }
            guard ["labels", "socket"].contains(key) else {
                throw CNIError(
                    .unsupportedField,
                    CNINetworkConfiguration.fields.contains(key)
                        ? "\(key) is for networks: there is neither network nor subnets nor ipam"
                        : "egret-cni has no field \(key)",
                    details: "its value is \(value)")
            }
            if key == "socket", value.text == nil {
                throw CNIError(.invalidConfiguration, "socket is to be a string")
            }
        }
    }

    private static func pairs(_ text: String) throws(CNIError) -> [String: String] {
        var pairs: [String: String] = [:]
        for part in text.split(separator: ";") {
            let halves = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard halves.count == 2 else {
                throw CNIError(.invalidEnvironment, "CNI_ARGS has “\(part)”, which is no pair")
            }
            pairs[halves[0]] = halves[1]
        }
        return pairs
    }
}
