// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What is wrong with one piece of text, before it has a place.
struct SyntaxProblem: Error, Hashable {
    /// The stable code.
    var code: Diagnostic.Code
    /// What was found and expected.
    var message: String
    /// What to write instead.
    var suggestion: String?

    init(_ code: Diagnostic.Code, _ message: String, suggestion: String? = nil) {
        self.code = code
        self.message = message
        self.suggestion = suggestion
    }

    /// The problem as an error at a place.
    func diagnostic(at location: SourceLocation?) -> Diagnostic {
        Diagnostic(.error, code: code, at: location, message, suggestion: suggestion)
    }
}

/// The text in double quotes, cut if it is very long.
func quoted(_ text: some StringProtocol) -> String {
    guard text.unicodeScalars.count > 100 else { return "\"\(text)\"" }
    return "\"\(String(String.UnicodeScalarView(text.unicodeScalars.prefix(97))))...\""
}
