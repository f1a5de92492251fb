// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretLinux
import EgretRun

/// `egret gc`.
struct CollectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gc",
        abstract: "Remove what runs that were killed have left.",
        discussion: """
            The next egret run does the same first. Runs that are alive are not touched.
            """
    )

    @Option(name: [.customShort("o"), .customLong("output")], help: OutputFormat.help)
    var output: OutputFormat = .table

    func run() throws {
        do {
            try Privilege.require(for: "removing rules and links", advice: "run it as: sudo egret gc")
            let host = try RunHost()
            let lock = try host.state.lock()
            let removed = try host.removeDeadRuns().map(\.interface) + host.removeStrayLinks()
            try host.restoreIfLast()
            withExtendedLifetime(lock) {}
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
