// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretAnalysis
import EgretLinux
import EgretPolicy

/// `egret prove`.
struct ProveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prove",
        abstract: "Say whether claims about who reaches whom hold, or show a flow against them.",
        usage: "egret prove [-f <file or directory>] … [<assertion> …] [--assertions <file>] [-o <format>]",
        discussion: """
            Every address, protocol and port is looked at: nothing is sampled, and no privileges are needed. An assertion \
            is [no|only|every] WHO reaches WHOM [on PORTS] [at TIME], or WHO never reaches or only reaches WHOM. WHO and \
            WHOM are any, labels (app=web,tier!=x), namespace:NAME, NAMESPACE/NAME, KIND/NAMESPACE/NAME, outside, \
            group:NAME or a block of addresses. Exit code 0 if all hold, 1 if one does not, 2 if an assertion or a file has mistakes. Without -f it \
            is about what the agent enforces.

            Examples:
              egret prove -f policies/ "no app=build reaches group:metadata"
              egret prove -f policies/ "only app=web reaches app=db on 5432/tcp" "outside never reaches app=db"
              egret prove -f policies/ --assertions assertions.txt -o json
            """
    )

    @Option(name: [.customShort("f"), .customLong("file")], help: PolicyFileHelp.help)
    var files: [String] = []

    @OptionGroup var agent: AgentOptions

    @Option(
        name: .customLong("assertions"),
        help: ArgumentHelp(
            "Read assertions from a file, one a line; # begins a comment. May be given more than once.",
            valueName: "file")
    )
    var assertionFiles: [String] = []

    @Option(name: [.customShort("o"), .customLong("output")], help: OutputFormat.help)
    var output: OutputFormat = .table

    @Argument(help: ArgumentHelp("A claim, in one argument.", valueName: "assertion"))
    var assertions: [String] = []

    func validate() throws {
        if assertions.isEmpty && assertionFiles.isEmpty {
            throw ValidationError("nothing to prove: give an assertion, or --assertions and a file of them")
        }
    }

    func run() throws {
        try asking(failure: 2) {
            let policies = try AnalyzedPolicies(files, or: agent.client)
            let assertions = try read(policies)
            var prover = Prover(policies.catalog, inventory: policies.inventory, from: WallTime.now.seconds)
            let proofs = assertions.map { ProofText(prover.prove($0), prover.map.inventory) }
            Console.output(try text(of: proofs))
            if proofs.contains(where: { !$0.proof.holds }) { throw ExitCode(1) }
        }
    }

    private func text(of proofs: [ProofText]) throws -> String {
        switch output {
        case .table: proofs.map { $0.text(Console.outputStyle) }.joined()
        case .wide: ProofText.table(proofs)
        case .json, .yaml: try output.text(of: proofs.map(\.document)) ?? ""
        }
    }

    /// The assertions of arguments and files; every mistake at once.
    private func read(_ policies: AnalyzedPolicies) throws(PolicyMistakes) -> [Assertion] {
        let reader = AssertionReader(policies.catalog, inventory: policies.inventory)
        var found: [Assertion] = []
        var diagnostics: [Diagnostic] = []
        var sources: [(name: String, bytes: [UInt8])] = []
        for (index, text) in assertions.enumerated() {
            let name = assertions.count == 1 ? "assertion" : "assertion \(index + 1)"
            sources.append((name, Array(text.utf8)))
            let (assertion, diagnostic) = reader.read(text, at: SourceLocation(file: name, line: 1, column: 1))
            if let assertion { found.append(assertion) }
            if let diagnostic { diagnostics.append(diagnostic) }
        }
        for file in assertionFiles {
            do {
                let bytes =
                    file == "-"
                    ? try Descriptor.standardInput.readToEnd(limit: 1 << 24) : try File.read(file, limit: 1 << 24)
                sources.append((file, bytes))
                let read = reader.read(file: file, text: String(decoding: bytes, as: UTF8.self))
                found += read.assertions
                diagnostics += read.diagnostics
            } catch {
                diagnostics.append(
                    Diagnostic(
                        .error, code: DiagnosticCode.unreadable, at: SourceLocation(file: file, line: 0, column: 1),
                        "\(error)", suggestion: "give a file that can be read"))
            }
        }
        if found.isEmpty && diagnostics.isEmpty {
            diagnostics.append(
                Diagnostic(
                    .error, code: DiagnosticCode.assertion,
                    at: SourceLocation(file: assertionFiles.first ?? "", line: 0, column: 1),
                    "there is no assertion to prove", suggestion: "write one a line"))
        }
        if diagnostics.isEmpty { return found }
        throw PolicyMistakes(lines: DiagnosticFormatter.format(diagnostics, withSourceFrom: sources))
    }
}
