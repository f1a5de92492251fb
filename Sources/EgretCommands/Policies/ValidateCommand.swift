// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretAnalysis
import EgretLinux
import EgretPolicy

/// `egret validate`.
struct ValidateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate",
        abstract: "Read policies and manifests, and say every mistake in them.",
        usage: "egret validate -f <file or directory> … [-o <format>]",
        discussion: """
            Reads Egret's own kinds, Kubernetes' NetworkPolicy, ClusterNetworkPolicy, AdminNetworkPolicy and \
            BaselineAdminNetworkPolicy, and the pods, workloads, services, namespaces and nodes that they choose from. \
            Nothing is applied, and no privileges are needed. Exit code 0 if everything is right, 2 if anything is wrong.

            Examples:
              egret validate -f policies/
              kubectl get netpol,pods,ns -A -o yaml | egret validate -f -
              egret validate -f policies/ -f cluster.yaml -o wide
            """
    )

    @OptionGroup var input: ManifestFileOptions

    @Option(name: [.customShort("o"), .customLong("output")], help: OutputFormat.help)
    var output: OutputFormat = .table

    func run() throws {
        let files = ManifestFiles(input.files)
        var result = try files.result()
        if !result.hasErrors {
            result.diagnostics += PolicyLints.find(
                result.catalog, inventory: result.inventory, from: WallTime.now.seconds, besides: result.diagnostics)
        }
        Console.error(files.lines(result.diagnostics))
        let report = ValidateReport(result, fileCount: files.sources.count)
        Console.output(try output.text(of: report.document) ?? report.text(isWide: output == .wide))
        if result.hasErrors { throw ExitCode(2) }
    }
}
