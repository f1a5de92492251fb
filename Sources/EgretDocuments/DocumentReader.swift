// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretPolicy

/// Reads YAML and JSON into document trees with the place of everything.
///
/// This is a strict subset of YAML 1.2 that contains JSON. What it reads, it reads as other parsers do; where
/// they differ, it refuses: two programs that read one text differently are a way round a policy. Refused are
/// tags, merge keys (`<<`), keys that are not texts, keys that stand twice, `? ` keys, directives and tabs as
/// indentation. Plain scalars are read by the core schema: `null` and `~`, `true` and `false`, decimal whole
/// numbers; anything else, `on` and `0x10` and `1.5` included, is a text.
///
/// No bytes make it trap, and its time and memory are bounded by ``Limits``.
public enum DocumentReader {
    /// How much is read.
    public enum Limits {
        /// The size of a file, in bytes: 64 MiB.
        public static let bytes = 64 << 20
        /// Values in a file, with aliases expanded: four million.
        public static let nodes = 4_000_000
        /// Lists and mappings inside each other.
        public static let depth = 64
    }

    /// Reads the documents of one file.
    ///
    /// After a syntax error, reading goes on at the next `---`, so that every document is heard. Empty documents
    /// are skipped; a file without any document is an error, which who reads a set of files may take for a warning.
    ///
    /// - Parameters:
    ///   - bytes: The whole file: UTF-8, with or without a byte order mark.
    ///   - file: Its name, for places.
    ///   - firstLine: The line of the file that the text begins in, from 1, where it is a part of it.
    ///   - amongManifests: Whether documents of kinds that say nothing here may be written in what is not read: they get a
    ///     warning each, and no mistake.
    /// - Returns: The documents that could be read, and the mistakes.
    /// - Complexity: O(*n*) in the number of bytes.
    public static func read(
        text bytes: [UInt8], file: String, firstLine: Int = 1, amongManifests: Bool = false
    ) -> (documents: [DocumentNode], diagnostics: [Diagnostic]) {
        let start = SourceLocation(file: file, line: 1, column: 1)
        guard bytes.count <= Limits.bytes else {
            let size = "the file has \(bytes.count) bytes, and at most \(Limits.bytes) (64 MiB) are read"
            return ([], [problem(DiagnosticCode.tooLarge, at: start, size, "split it into several files")])
        }
        if let diagnostic = TextCheck.problem(in: bytes, file: file) { return ([], [diagnostic]) }
        var parser = DocumentParser(bytes, file: file)
        parser.line = firstLine
        parser.parseStream()
        if parser.documents.isEmpty && parser.diagnostics.isEmpty {
            return ([], [nothing(in: file)])
        }
        if amongManifests && !parser.diagnostics.isEmpty {
            let text = PassedOverText(bytes, firstLine: firstLine)
            return (parser.documents, text.excused(parser.diagnostics))
        }
        return (parser.documents, parser.diagnostics)
    }

    /// What is said of a file without any document.
    ///
    /// - Parameters:
    ///   - file: Its name.
    ///   - severity: A mistake where the file is all there is; a warning where it is one of a set, which it adds nothing to.
    /// - Returns: The diagnostic.
    public static func nothing(in file: String, _ severity: Diagnostic.Severity = .error) -> Diagnostic {
        Diagnostic(
            severity, code: DiagnosticCode.noDocument, at: SourceLocation(file: file, line: 1, column: 1),
            "the file holds no document",
            suggestion: severity == .error
                ? "write a policy, beginning with apiVersion: egret.dev/v1" : "it is passed over")
    }

    static func problem(
        _ code: Diagnostic.Code, at location: SourceLocation, _ message: String, _ suggestion: String
    ) -> Diagnostic {
        Diagnostic(.error, code: code, at: location, message, suggestion: suggestion)
    }
}
