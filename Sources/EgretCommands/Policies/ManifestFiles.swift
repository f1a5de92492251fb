// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretAgentClient
import EgretDocuments
import EgretLinux
import EgretPolicy
import EgretSources

/// The documents of files, directories and standard input, read together.
struct ManifestFiles {
    /// The files with their contents, in the order of the arguments, and of their paths within a directory.
    private(set) var sources: [(name: String, bytes: [UInt8])] = []
    /// A mistake for each that could not be read.
    private(set) var unreadable: [Diagnostic] = []

    /// What an agent holds, where nothing was named.
    private var inForce: PoliciesInForce?

    /// What happens where no policy decides: what the agent was told by `--default`. `nil` for what the documents say.
    var networkDefault: DefaultAction? { inForce?.networkDefault }

    /// What the agent tells of the links of its endpoints.
    var links: [Workload.ID: [EndpointLink]] { inForce?.links ?? [:] }

    /// Reads what the arguments name, or asks an agent if they name nothing.
    init(_ paths: [String], or agent: AgentClient) throws {
        self.init(paths)
        guard paths.isEmpty else { return }
        let inForce = try PoliciesInForce(agent)
        sources = inForce.files.map { ($0.name, Array($0.text.utf8)) }
        self.inForce = inForce
    }

    /// Reads what the arguments name: a file, `-`, or a directory with everything below it.
    init(_ paths: [String]) {
        for path in paths { read(path, isNamed: true, depth: 0) }
    }

    /// What was read, with the mistakes of all files, those of feeds included.
    func result() throws -> PolicyReader.Result {
        var result = PolicyFiles.read(
            sources, unreadable: unreadable, scope: .manifests, timeZones: SystemTimeZones.database())
        if let inForce {
            try inForce.complete(&result)
            return result
        }
        let feeds = FeedFiles.load(result.groups) { try File.read($0, limit: 1 << 28) }
        result.groups = feeds.groups
        result.diagnostics += feeds.diagnostics
        return result
    }

    /// The diagnostics as they are printed, with the lines that they are about.
    func lines(_ diagnostics: [Diagnostic]) -> [String] {
        DiagnosticFormatter.format(diagnostics, withSourceFrom: sources)
    }

    private mutating func read(_ path: String, isNamed: Bool, depth: Int) {
        do {
            if path == "-" {
                sources.append((path, try Descriptor.standardInput.readToEnd(limit: 1 << 28)))
                return
            }
            if try File.status(path).kind == .directory {
                try readDirectory(path, isNamed: isNamed, depth: depth)
            } else {
                sources.append((path, try File.read(path, limit: 1 << 28)))
            }
        } catch {
            complain(about: path, "\(error)", "give a file or directory that can be read, or - for standard input")
        }
    }

    private mutating func readDirectory(_ path: String, isNamed: Bool, depth: Int) throws {
        if depth > PolicyFolder.depth {
            complain(
                about: path, "directories are read to a depth of \(PolicyFolder.depth)",
                "look for a link that leads back to where it stands")
            return
        }
        let count = sources.count + unreadable.count
        let prefix = path.hasSuffix("/") ? path : path + "/"
        for name in try Directory.names(in: path) where !PolicyFolder.isHidden(name) {
            let isFolder = try File.status(prefix + name).kind == .directory
            if isFolder || PolicyFolder.isRead(name) { read(prefix + name, isNamed: false, depth: depth + 1) }
        }
        if isNamed, count == sources.count + unreadable.count {
            complain(
                about: path, "the directory holds no .yaml, .yml or .json file", "give another directory, or a file")
        }
    }

    private mutating func complain(about path: String, _ message: String, _ suggestion: String) {
        unreadable.append(
            Diagnostic(
                .error, code: DiagnosticCode.unreadable, at: SourceLocation(file: path, line: 0, column: 1), message,
                suggestion: suggestion
            ))
    }
}
