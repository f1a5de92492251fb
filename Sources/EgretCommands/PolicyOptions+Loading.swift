// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDocuments
import EgretLinux
import EgretNetworks
import EgretPolicy
import EgretResolution
import EgretSources

/// Policies that were read without a mistake.
struct LoadedPolicies {
    /// Those that decide about the command, with addresses and numbers only.
    var set: PolicySet
    /// Every policy and group as written, those of the flags included.
    var written: PolicyReader.Result
    /// Warnings, ready to be printed.
    var warnings: [String]
}

/// The policies cannot be used: every mistake in them, ready to be printed.
struct PolicyMistakes: Error {
    var lines: [String]
}

extension PolicyOptions {
    /// Reads the files and flags.
    ///
    /// - Parameter user: Whose rights the files are read with; `nil` for the caller's.
    /// - Returns: The policies of all.
    /// - Throws: ``PolicyMistakes`` with every mistake at once, files that cannot be read included.
    func load(as user: UserIdentity? = nil) throws -> LoadedPolicies {
        var sources: [(name: String, bytes: [UInt8])] = []
        var unreadable: [Diagnostic] = []
        for file in files {
            do {
                sources.append((file, try PolicyOptions.read(file, as: user)))
            } catch {
                unreadable.append(PolicyOptions.diagnostic(error, about: file))
            }
        }
        let zones = SystemTimeZones.database { try PolicyOptions.read($0, as: user) }
        var read = PolicyFiles.read(sources, unreadable: unreadable, timeZones: zones)
        let feeds = FeedFiles.load(read.groups) { try PolicyOptions.read($0, as: user) }
        read.groups = feeds.groups
        let command = try self.command()
        let inventory = Inventory(workloads: [command])
        let applying = read.policies.filter { $0.selects?.matches(command, in: inventory) ?? true }
        let flags = FlagPolicy.make(
            allow: allow,
            deny: deny,
            reject: reject,
            audit: audit,
            limits: limits.values,
            budgets: budgets,
            default: defaultAction,
            files: read,
            applying: applying
        )
        let diagnostics = read.diagnostics + feeds.diagnostics + flags.diagnostics
        let lines = DiagnosticFormatter.format(diagnostics, withSourceFrom: sources)
        guard !diagnostics.contains(where: { $0.severity == .error }) else { throw PolicyMistakes(lines: lines) }
        var written = read
        written.policies += flags.policy.map { [$0] } ?? []
        let catalog = PolicyCatalog(egressPolicies: written.policies, groups: read.groups)
        var resolver = PolicyResolver(catalog, inventory: inventory)
        let set = resolver.policies(of: 0, .egress)
        let warnings = PolicyOptions.warnings(about: written, applying: set, to: command)
        return LoadedPolicies(set: set, written: written, warnings: lines + warnings)
    }

    /// The command as policies see it: a workload without a name, in the namespace `default`.
    private func command() throws -> Workload {
        var pairs: [String: String] = [:]
        for text in labels {
            do {
                let (key, value) = try LabelText.pair(text)
                if let other = pairs[key], other != value {
                    throw PolicyMistakes(lines: ["--label \(text): the label \(key) is \(other) already"])
                }
                pairs[key] = value
            } catch let problem as NetworkProblem {
                throw PolicyMistakes(lines: ["--label \(text): \(problem)"])
            }
        }
        return Workload(Workload.ID(name: "", kind: "Command"), labels: pairs)
    }

    /// What a reader of the policies may not expect of them here.
    private static func warnings(
        about written: PolicyReader.Result, applying set: PolicySet, to command: Workload
    ) -> [String] {
        let labels = LabelSelector(matchLabels: command.labels)
        let has = command.labels.isEmpty ? "the command has no labels" : "the command has \(labels)"
        var lines: [String] = []
        let names = Set(set.policies.map(\.name))
        for policy in written.policies where !names.contains(policy.name) {
            let selects = policy.selects ?? .everything
            lines.append(
                "egret: the policy \(policy.name) does not apply: it selects \(selects), and \(has); give it labels with --label"
            )
        }
        for policy in written.policies
        where names.contains(policy.name) && policy.rules.contains(where: { !$0.isResolved }) {
            lines.append(
                "egret: the policy \(policy.name) has rules about workloads, and no others are known here: those rules match "
                    + "nothing")
        }
        if !set.policies.isEmpty, set.policies.allSatisfy({ $0.mode == .audit }) {
            lines.append(
                "egret: every policy that applies is in audit mode, and enforces nothing: the default decides, which is to deny; "
                    + "--default allow lets the rest out")
        }
        for group in written.groups where !group.isLoaded {
            lines.append(
                "egret: the list of the group \(group.name) is not here (\(group.feed?.source.description ?? "")): rules that "
                    + "let traffic out match nothing by it, others everything")
        }
        return lines.map(\.withVisibleControls)
    }

    private static func read(_ file: String, as user: UserIdentity?) throws -> [UInt8] {
        let limit = 1 << 28
        if file == "-" { return try Descriptor.standardInput.readToEnd(limit: limit) }
        guard let user else { return try File.read(file, limit: limit) }
        return try user.openingForCommand { try File.read(file, limit: limit) }
    }

    private static func diagnostic(_ error: any Error, about file: String) -> Diagnostic {
        let failure = error as? RunFailure
        return Diagnostic(
            .error, code: DiagnosticCode.unreadable, at: SourceLocation(file: file, line: 0, column: 1),
            failure?.message ?? "\(error)",
            suggestion: failure?.advice ?? "give a file that can be read, or - for standard input"
        )
    }
}
