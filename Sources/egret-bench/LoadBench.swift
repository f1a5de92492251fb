// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretCompiler
import EgretDataplane
import EgretDocuments
import EgretLinux
import EgretNetlink
import EgretNftables
import EgretPolicy

/// `egret-bench load`: a policy of many blocks, from values or from a file into the kernel.
struct LoadBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "Compile a policy and put it into the kernel of this network namespace."
    )

    @Option(help: "Blocks of addresses.") var entries = 1_000
    @Option(help: "Rules that share them.") var rules = 1
    @Option(help: "Read the policy from this file instead.") var file: String?
    @Flag(help: "Compile only.") var compileOnly = false

    func run() throws {
        let (reading, policies) = try Measurement.seconds { try input() }
        let held = Measurement.peakMemory()
        let (compiling, compiled) = Measurement.seconds {
            PolicyCompiler.compile(policies, generation: Workload.generation(1), logGroup: 1)
        }
        let afterCompiling = Measurement.peakMemory()
        let committing = compileOnly ? 0 : try commit(compiled)
        Measurement.report([
            "read": reading, "compile": compiling, "commit": committing, "inputKiB": Double(held),
            "compileKiB": Double(afterCompiling), "peakKiB": Double(Measurement.peakMemory()),
            "kernel": Measurement.kernelSeconds(),
        ])
    }

    private func commit(_ compiled: consuming PolicyProgram) throws -> Double {
        let dataplane = Dataplane(try NetlinkConnection.netfilter())
        return try Measurement.seconds { try dataplane.install([compiled.program], on: BaseProgram.program) }.0
    }

    private func input() throws -> PolicySet {
        guard let file else { return Workload.policies(entries: entries, rules: rules) }
        let read = PolicyFiles.read([(name: file, bytes: try File.read(file, limit: 1 << 28))])
        guard !read.hasErrors else {
            throw ValidationError("\(file) is not a policy: \(read.diagnostics.first?.message ?? "")")
        }
        return PolicySet(policies: read.policies, groups: read.groups)
    }
}

/// `egret-bench write`: the same policy as a file for Egret, or its blocks as a set for nft.
struct WriteInput: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "write",
        abstract: "Write a measured policy to standard output, as YAML or as an nft set."
    )

    @Option(help: "Blocks of addresses.") var entries = 1_000
    @Flag(help: "Write an nft table with one set of the blocks.") var nft = false

    func run() throws {
        var text = nft ? "table inet bench {\n set s {\n  type ipv4_addr\n  flags interval\n  elements = {\n" : header
        for index in 0..<entries {
            text += nft ? "\(Workload.prefix(index)),\n" : "  - \(Workload.prefix(index))\n"
        }
        text += nft ? "  }\n }\n}\n" : footer
        try Descriptor.standardOutput.write(text)
    }

    private var header: String {
        """
        apiVersion: egret.dev/v1
        kind: DestinationGroup
        metadata:
          name: feed
        spec:
          cidrs:

        """
    }

    private var footer: String {
        """
        ---
        apiVersion: egret.dev/v1
        kind: EgressPolicy
        metadata:
          name: bench
        spec:
          default: deny
          egress:
          - action: allow
            to: [{ group: feed }]
            ports: [443/tcp, 7001/tcp, 7001/udp]

        """
    }
}
