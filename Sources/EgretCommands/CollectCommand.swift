// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretLinux
import EgretNetworks
import EgretRun

/// `egret gc`.
struct CollectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gc",
        abstract: "Remove what runs that were killed have left.",
        discussion: """
            The next egret run does the same first. Runs that are alive are not touched. What is kept of networks of \
            network namespaces that are gone is removed as well, and so are links that somebody was killed while making \
            for a network.
            """
    )

    @Option(name: [.customShort("o"), .customLong("output")], help: OutputFormat.help)
    var output: OutputFormat = .table

    func run() throws {
        do {
            try Privilege.require(for: "removing rules and links")
            let host = try RunHost()
            let lock = try host.state.lock()
            var removed = try host.removeDeadRuns().map(\.interface) + host.removeStrayLinks()
            let chosen = Environment.current[NetworkStore.variable]
            // Of networks that cannot be read nobody knows whose a link is.
            if let networks = try? NetworkStore(chosen: chosen).networks() {
                removed += try host.removeBegunLinks(besides: networks)
            }
            try host.restoreIfLast()
            withExtendedLifetime(lock) {}
            let reachable = try NetworkNamespace.reachable()
            let bootID = try NetworkStore.currentBootID()
            removed += try NetworkStore.collect(
                chosen: chosen, bootID: bootID, reachable: reachable.values)
            removed += try StateDirectory.collect(reachable: reachable.keys)
            let sentences = removed.isEmpty ? ["nothing to remove"] : removed.map { "removed \($0)" }
            Console.output(
                try output.text(of: ["removed": removed]) ?? sentences.map { $0 + "\n" }.joined())
        } catch let failure as RunFailure {
            Console.error(failure.lines)
            throw ExitCode(1)
        } catch {
            Console.error(["egret: \(error)"])
            throw ExitCode(1)
        }
    }
}
