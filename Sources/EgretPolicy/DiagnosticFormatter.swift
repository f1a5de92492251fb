// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Prints diagnostics for people.
public enum DiagnosticFormatter {
    /// One line: `policy.yaml:9:5: error EGR0012: unknown field "prority"; write "priority"`.
    ///
    /// Control characters that came with the input are escaped, so that a file cannot write to a terminal.
    public static func format(_ diagnostic: Diagnostic) -> String {
        let place = diagnostic.location.map { "\($0): " } ?? ""
        let suggestion = diagnostic.suggestion.map { "; \($0)" } ?? ""
        let line = "\(place)\(diagnostic.severity.rawValue) \(diagnostic.code.rawValue): \(diagnostic.message)"
        return (line + suggestion).withVisibleControls
    }

    /// The lines of ``format(_:)``, each with the source line and a caret below the place.
    ///
    /// - Parameters:
    ///   - diagnostics: The diagnostics; in the order of their places, this is fastest.
    ///   - files: The files that they are about. Long lines are cut to the part around the place.
    /// - Returns: For each diagnostic three lines, or one if its place is not in the files.
    /// - Complexity: O(*n* + *m*) in the bytes of the files and the number of diagnostics.
    public static func format(
        _ diagnostics: [Diagnostic], withSourceFrom files: [(name: String, bytes: [UInt8])]
    ) -> [String] {
        if diagnostics.isEmpty { return [] }
        var sources: [String: SourceExcerpts] = [:]
        for file in files where sources[file.name] == nil { sources[file.name] = SourceExcerpts(file.bytes) }
        return diagnostics.map { diagnostic in
            let text = format(diagnostic)
            guard let location = diagnostic.location,
                let excerpt = sources[location.file]?.excerpt(at: location)
            else { return text }
            let before = printable(excerpt.scalars.prefix(excerpt.offset))
            return """
                \(text)
                    \(printable(excerpt.scalars[...]))
                    \(String(repeating: " ", count: before.unicodeScalars.count))^
                """
        }
    }

    private static func printable(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
        var text = ""
        for scalar in scalars where scalar != "\r" {
            text.unicodeScalars.append(scalar.isControl ? " " : scalar)
        }
        return text
    }
}
