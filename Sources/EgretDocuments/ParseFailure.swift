// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy

/// A mistake after which the rest of a document cannot be read.
struct ParseFailure: Error {
    /// What to tell the user.
    var diagnostic: Diagnostic

    init(
        _ location: SourceLocation, _ message: String, _ suggestion: String,
        code: Diagnostic.Code = DiagnosticCode.syntax
    ) {
        diagnostic = DocumentReader.problem(code, at: location, message, suggestion)
    }
}
