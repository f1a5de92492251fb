// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDocuments
import EgretLinux
import EgretPolicy

/// Policies that were read without a mistake.
struct LoadedPolicies {
    /// The policies, those of the flags included.
    var set: PolicySet
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
        let read = PolicyFiles.read(sources, unreadable: unreadable)
        let flags = FlagPolicy.make(
            allow: allow,
            deny: deny,
            reject: reject,
            audit: audit,
            default: defaultAction,
            files: read
        )
        let diagnostics = read.diagnostics + flags.diagnostics
        let lines = DiagnosticFormatter.format(diagnostics, withSourceFrom: sources)
        guard !diagnostics.contains(where: { $0.severity == .error }) else { throw PolicyMistakes(lines: lines) }
        let policies = read.policies + (flags.policy.map { [$0] } ?? [])
        return LoadedPolicies(set: PolicySet(policies: policies, groups: read.groups), warnings: lines)
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
