// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretAddressing
import EgretNetworks
import EgretPolicy

/// Who an endpoint is to policies, as options say it.
struct IdentityOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "What policies call the endpoint: NAME, or GROUP/NAME. Default: the namespace's name, in the group default.",
            valueName: "name")
    )
    var workload: String?

    @Option(help: ArgumentHelp("A label that policies select by. May be given more than once.", valueName: "key=value"))
    var label: [String] = []

    @Option(help: ArgumentHelp("A port that policies may call by a name: http=8080/tcp.", valueName: "name=port"))
    var portName: [String] = []

    /// The identity; `nil` if no option says anything.
    func identity(of namespace: String) throws -> EndpointIdentity? {
        if workload == nil && label.isEmpty && portName.isEmpty { return nil }
        let parts = (workload ?? "").split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count <= 2 else {
            throw NetworkProblem("“\(workload ?? "")” has more than one /", advice: "write NAME, or GROUP/NAME")
        }
        let last = namespace.split(whereSeparator: { $0 == "/" || $0 == ":" }).last.map(String.init) ?? namespace
        let name = workload == nil ? last : parts.last ?? last
        let group = parts.count == 2 ? parts[0] : "default"
        for word in [group, name] where !LabelSyntax.isObjectName(word) {
            throw NetworkProblem(
                "“\(word)” cannot be the name of a workload",
                advice: "--workload takes lower-case letters, digits, hyphens and dots")
        }
        return EndpointIdentity(
            group: group, name: name, labels: try labels(), ports: try portName.map { try EndpointIdentity.Port($0) })
    }

    private func labels() throws -> [String: String] {
        var labels: [String: String] = [:]
        for text in label {
            let (key, value) = try LabelText.pair(text)
            if let other = labels[key], other != value {
                throw NetworkProblem("the label \(key) is given twice, as \(other) and as \(value)")
            }
            labels[key] = value
        }
        return labels
    }
}

/// Labels as they are written on the command line.
enum LabelText {
    /// Reads `key=value`.
    static func pair(_ text: String) throws -> (key: String, value: String) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, LabelSyntax.isKey(parts[0]) else {
            throw NetworkProblem("“\(text)” is no label", advice: "write key=value, for example app=web")
        }
        guard LabelSyntax.isValue(parts[1]) else {
            throw NetworkProblem(
                "“\(parts[1])” cannot be the value of a label",
                advice:
                    "it has at most 63 letters, digits, hyphens, dots and underscores, a letter or digit at each end")
        }
        return (parts[0], parts[1])
    }
}

extension EndpointIdentity.Port {
    /// Reads `http=8080/tcp`, or `http=8080` for TCP.
    fileprivate init(_ text: String) throws {
        let parts = text.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
        let number = parts.last?.split(separator: "/", omittingEmptySubsequences: false).map(String.init) ?? []
        let transport = number.count == 2 ? number[1] : "tcp"
        guard parts.count == 2, LabelSyntax.isPortName(parts[0]), (1...2).contains(number.count),
            let port = UInt16(number[0]), port > 0, ["tcp", "udp", "sctp"].contains(transport)
        else {
            throw NetworkProblem(
                "“\(text)” names no port", advice: "write NAME=PORT or NAME=PORT/PROTOCOL, for example http=8080/tcp")
        }
        self.init(name: parts[0], transport: transport, number: port)
    }
}

struct NetworkLabelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "label",
        abstract: "Change the labels that policies select an endpoint by.",
        discussion: """
            KEY=VALUE sets a label, KEY- takes it away. A running agent enforces the change at once.

            Examples:
              egret network label br0 ns0 app=web tier=front
              egret network label br0 ns0 tier-
            """
    )

    @Argument(help: "The network.")
    var network: String

    @Argument(help: "The namespace: a name, pid:NUMBER, or a path.")
    var namespace: String

    @Argument(help: "KEY=VALUE, or KEY- to take it away.")
    var labels: [String]

    func run() throws {
        try asRoot(for: "changing labels") {
            let reference = try NamespaceReference.reading(namespace)
            var changes: [(key: String, value: String?)] = []
            for text in labels {
                if text.hasSuffix("-"), LabelSyntax.isKey(String(text.dropLast())) {
                    changes.append((String(text.dropLast()), nil))
                } else {
                    let (key, value) = try LabelText.pair(text)
                    changes.append((key, value))
                }
            }
            try NetworkHost.change { host in
                try host.identify(reference, of: network) { identity in
                    for (key, value) in changes { identity.labels[key] = value }
                }
            }
        }
    }
}
