// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretDocuments
import EgretLinux
import EgretNetworks
import EgretPolicy

struct NetworkApplyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply",
        abstract: "Make the networks that documents describe.",
        discussion: """
            A network that is there as described is left alone; one that is there otherwise is an error, and nothing is
            changed. Endpoints and published ports are not part of a document.

            Example:
              apiVersion: egret.dev/v1
              kind: Network
              metadata: { name: br0 }
              spec:
                mode: bridge                                  # or routed
                subnets: [192.168.0.0/16, { cidr: "fd00:9::/64", gateway: "fd00:9::ff" }]
                sourceAddresses: [192.0.2.7-192.0.2.9]        # or masquerade: false, or neither
                sourceAddressPer: connection                  # or endpoint, which is the default
                isolated: false
                mtu: 1500
                adopt: false
                allowThrough: [docker]                        # its rules get one of ours; firewalld, ufw, iptables
            """
    )

    @Option(
        name: [.customShort("f"), .customLong("file")], help: "YAML or JSON; - for standard input. May be repeated.")
    var file: [String]

    func run() throws {
        try asRoot(for: "making networks") {
            let specs = try read()
            try NetworkHost.change { host in
                let new = try specs.filter { spec in
                    guard let present = host.networks.first(where: { $0.name == spec.name }) else { return true }
                    if present.spec == spec { return false }
                    throw NetworkProblem(
                        "the network \(spec.name) is there and is another one",
                        advice: "egret network inspect \(spec.name) shows it; remove it first")
                }
                try host.create(new)
                for spec in specs {
                    Console.output("\(spec.name) \(new.contains(spec) ? "created" : "unchanged")\n")
                }
                for spec in new { try host.warn(of: spec.name) }
            }
        }
    }

    private func read() throws -> [NetworkSpec] {
        var reader = NetworkReader()
        var diagnostics: [Diagnostic] = []
        var sources: [(name: String, bytes: [UInt8])] = []
        for name in file {
            let bytes = try name == "-" ? Descriptor.standardInput.readToEnd(limit: 1 << 24) : File.read(name)
            sources.append((name, bytes))
            let read = DocumentReader.read(text: bytes, file: name)
            diagnostics += read.diagnostics
            for document in read.documents { reader.read(document) }
        }
        diagnostics += reader.diagnostics
        if diagnostics.allSatisfy({ $0.code == DiagnosticCode.noDocument }) {
            let notes = diagnostics.compactMap { $0.location.map { DocumentReader.nothing(in: $0.file, .warning) } }
            Console.error(DiagnosticFormatter.format(notes, withSourceFrom: []))
            return reader.specs
        }
        Console.error(DiagnosticFormatter.format(diagnostics, withSourceFrom: sources))
        throw ExitCode(1)
    }
}

extension NetworkHost {
    /// Makes several networks, all or none.
    func create(_ specs: [NetworkSpec]) throws {
        var made: [String] = []
        do {
            for spec in specs {
                try create(spec)
                made.append(spec.name)
            }
        } catch {
            for name in made.reversed() { try? unmake(networks[place(of: name)]) }
            throw error
        }
    }
}
