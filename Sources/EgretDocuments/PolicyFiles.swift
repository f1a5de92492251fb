// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretPolicy

/// Reads policy files: bytes to documents to policies, in one step.
public enum PolicyFiles {
    /// Reads several files together, so that groups of one serve policies of another.
    ///
    /// - Parameters:
    ///   - files: Names, for places, and contents. An empty list gives an empty result.
    ///   - unreadable: A diagnostic for each further file that could not be read.
    ///   - scope: Which kinds of documents are read. Of manifests, a file without any is a warning.
    ///   - timeZones: Where rules' time zones are looked up.
    /// - Returns: Everything that was read, with the mistakes of all files. Nothing is usable if it
    ///   `hasErrors`.
    public static func read(
        _ files: [(name: String, bytes: [UInt8])], unreadable: [Diagnostic] = [],
        scope: PolicyReader.Scope = .own, timeZones: TimeZoneDatabase = .utcOnly
    ) -> PolicyReader.Result {
        var documents: [DocumentNode] = []
        var diagnostics = unreadable
        for file in files {
            let read = DocumentReader.read(
                text: file.bytes, file: file.name, amongManifests: scope == .manifests)
            documents += read.documents
            diagnostics += read.diagnostics.map { diagnostic in
                scope == .manifests && diagnostic.code == DiagnosticCode.noDocument
                    ? DocumentReader.nothing(in: file.name, .warning) : diagnostic
            }
        }
        var result = PolicyReader.read(
            documents, isIncomplete: diagnostics.contains { $0.severity == .error }, scope: scope, timeZones: timeZones)
        guard !diagnostics.isEmpty else { return result }
        // Both lists are in order. What could not be read comes first, and within a file the position decides.
        var ranks = Dictionary(unreadable.compactMap { $0.location.map { ($0.file, -1) } }) { first, _ in first }
        for file in files where ranks[file.name] == nil { ranks[file.name] = ranks.count }
        let all = (diagnostics + result.diagnostics).enumerated()
        result.diagnostics = all.sorted { left, right in
            key(left.element, left.offset, ranks) < key(right.element, right.offset, ranks)
        }.map(\.element)
        return result
    }

    private static func key(_ diagnostic: Diagnostic, _ offset: Int, _ ranks: [String: Int]) -> (Int, Int, Int, Int) {
        let location = diagnostic.location
        return (location.flatMap { ranks[$0.file] } ?? .max, location?.line ?? 0, location?.column ?? 0, offset)
    }
}
