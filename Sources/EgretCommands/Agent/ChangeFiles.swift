// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretLinux
import EgretPolicy

/// Files as they are sent to the agent: by absolute paths, so that the history and `--prune` mean the same from everywhere.
struct ChangeFiles {
    /// The files.
    private(set) var files: [SourceFile] = []
    /// The directories that were named.
    private(set) var directories: [String] = []
    private var names: [(sent: String, given: String)] = []

    /// Reads what the arguments name: a file, `-`, or a directory with everything below it.
    ///
    /// - Throws: ``PolicyMistakes`` with every file that cannot be read.
    init(_ paths: [String]) throws {
        let read = ManifestFiles(paths)
        var mistakes = read.unreadable
        let start = try CurrentProcess.workingDirectory().bytes.prefix { $0 != 0 }
        let workingDirectory = String(decoding: start, as: UTF8.self)
        func absolute(_ path: String) -> String { ChangeFiles.absolute(path, in: workingDirectory) }
        for path in paths where path != "-" && (try? File.status(path).kind) == .directory {
            directories.append(absolute(path))
        }
        for source in read.sources {
            let name = source.name == "-" ? "-" : absolute(source.name)
            if name != source.name { names.append((name, source.name)) }
            guard let text = String(validating: source.bytes, as: UTF8.self) else {
                mistakes.append(ChangeFiles.notText(source.name))
                continue
            }
            files.append(SourceFile(name: name, text: text))
        }
        guard mistakes.isEmpty else { throw PolicyMistakes(lines: read.lines(mistakes)) }
    }

    /// The change that the files ask for.
    ///
    /// - Parameter prune: Whether objects go that came from them, or from below their directories, and are in none now.
    /// - Returns: The request.
    func request(prune: Bool) -> ApplyRequest {
        ApplyRequest(
            files: files, prune: prune ? true : nil, directories: directories.isEmpty ? nil : directories)
    }

    /// Has the agent do something with the files. What it says of them has the names that were typed.
    func sending<Answer>(_ body: () throws -> Answer) throws -> Answer {
        do {
            return try body()
        } catch var refusal as APIError {
            refusal.diagnostics = refusal.diagnostics?.map(withGivenNames)
            throw refusal
        }
    }

    /// A text of the agent's with the names that were typed.
    func withGivenNames(_ text: String) -> String {
        names.reduce(text) { $0.replacing($1.sent + ":", with: $1.given + ":") }
    }

    /// A path without `.`, `..` and double slashes. Links are not followed: what they point to may change.
    static func absolute(_ path: String, in workingDirectory: String) -> String {
        var parts: [Substring] = []
        for part in (path.hasPrefix("/") ? path : workingDirectory + "/" + path).split(separator: "/") where part != "."
        {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        return "/" + parts.joined(separator: "/")
    }

    private static func notText(_ name: String) -> Diagnostic {
        Diagnostic(
            .error, code: DiagnosticCode.unreadable, at: SourceLocation(file: name, line: 0, column: 1),
            "the file is not UTF-8", suggestion: "write it as UTF-8")
    }
}
