// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDocuments
import EgretPolicy

/// What one document says, read by itself and once: unless it changes, whatever happens to others.
final class DocumentReading: Sendable {
    /// What was read, without its diagnostics and the numbers of documents: they are kept for as long as the document is.
    let result: PolicyReader.Result
    /// The warnings in words.
    let warnings: [String]
    /// The labels of the namespaces that it defines.
    let namespaces: [String: [String: String]]
    /// Whether nothing is wrong with it that can be seen without the others.
    let isSound: Bool

    /// Reads a document.
    ///
    /// - Parameters:
    ///   - document: The document.
    ///   - timeZones: Where rules' time zones are looked up.
    init(_ document: StoredDocument, timeZones: TimeZoneDatabase) {
        let bytes = Array(document.text.utf8)
        let read = DocumentReader.read(
            text: bytes, file: document.file, firstLine: document.line, amongManifests: true)
        // Groups may be defined by other documents.
        let result = PolicyReader.read(read.documents, isIncomplete: true, scope: .manifests, timeZones: timeZones)
        let diagnostics = read.diagnostics + result.diagnostics
        let areErrors = diagnostics.contains { $0.severity == .error }
        // What runs something is told apart only with all documents at hand.
        isSound = !areErrors && result.kinds.keys.allSatisfy(DocumentIndex.kinds.contains)
        namespaces = result.inventory.namespaces
        var kept = result
        (kept.kinds, kept.passedOver, kept.diagnostics) = ([:], [:], [])
        self.result = kept
        if diagnostics.isEmpty {
            warnings = []
        } else {
            let padding = [UInt8](repeating: UInt8(ascii: "\n"), count: max(0, document.line - 1))
            warnings = DiagnosticFormatter.format(diagnostics, withSourceFrom: [(document.file, padding + bytes)])
        }
    }
}
