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
        return escapingControls(line + suggestion)
    }

    /// The line of ``format(_:)``, the source line and a caret below the place.
    ///
    /// - Parameters:
    ///   - diagnostic: The diagnostic.
    ///   - source: The text of the file that it is about. Long lines are cut to the part around the place.
    /// - Returns: Three lines, or one if the place is not in the source.
    public static func formatWithSource(_ diagnostic: Diagnostic, source: String) -> String {
        let text = format(diagnostic)
        guard let location = diagnostic.location, location.line > 0,
            let line = sourceLine(location.line, of: source)
        else { return text }
        let scalars = Array(line.unicodeScalars)
        let offset = min(max(location.column - 1, 0), scalars.count)
        let start = max(0, offset - 70)
        let shown = scalars[start..<min(scalars.count, start + 110)]
        let before = scalars[start..<offset]
        return """
            \(text)
                \(printable(shown))
                \(String(repeating: " ", count: printable(before).unicodeScalars.count))^
            """
    }

    private static func sourceLine(_ number: Int, of source: String) -> String? {
        var current = 1
        var line = ""
        for scalar in source.unicodeScalars {
            if scalar == "\n" {
                if current == number { return line }
                current += 1
            } else if current == number {
                line.unicodeScalars.append(scalar)
            }
        }
        return current == number ? line : nil
    }

    private static func printable(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
        var text = ""
        for scalar in scalars where scalar != "\r" {
            text.unicodeScalars.append(scalar == "\t" || isUnsafe(scalar) ? " " : scalar)
        }
        return text
    }

    private static func escapingControls(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isUnsafe) else { return text }
        return text.unicodeScalars.reduce(into: "") { result, scalar in
            if isUnsafe(scalar) {
                result += "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
    }

    /// Controls, line separators and the marks that reorder text.
    private static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7f..<0xa0, 0x200e, 0x200f, 0x2028...0x202e, 0x2066...0x2069: true
        default: false
        }
    }
}
