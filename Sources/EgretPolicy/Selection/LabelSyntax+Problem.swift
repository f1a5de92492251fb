// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Checks keys and values of labels as Kubernetes does (documentation, "Labels and Selectors", syntax and character
/// set).
extension LabelSyntax {
    /// What is wrong with a key: `name`, or `prefix/name` with a DNS subdomain for prefix.
    static func problem(withKey key: String) -> SyntaxProblem? {
        let parts = key.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let name = parts.last else {
            return SyntaxProblem(
                DiagnosticCode.invalidName, "the label key \(quoted(key)) has more than one slash",
                suggestion: "write name or prefix/name"
            )
        }
        if parts.count == 2, let problem = problem(withPrefix: parts[0], of: key) { return problem }
        if name.isEmpty || name.utf8.count > 63 || !isName(name) {
            return SyntaxProblem(
                DiagnosticCode.invalidName, "the label key \(quoted(key)) has no well-formed name",
                suggestion: "a name has 1 to 63 \(characters)"
            )
        }
        return nil
    }

    /// What is wrong with a value, which may be empty.
    static func problem(withValue value: String) -> SyntaxProblem? {
        if value.utf8.count <= 63 && (value.isEmpty || isName(Substring(value))) { return nil }
        return SyntaxProblem(
            DiagnosticCode.invalidName, "\(quoted(value)) cannot be the value of a label",
            suggestion: "a value has at most 63 \(characters)"
        )
    }

    private static let characters =
        "letters, digits, hyphens, underscores and dots, the first and last of them a letter or digit"

    private static func problem(withPrefix prefix: Substring, of key: String) -> SyntaxProblem? {
        guard ObjectName.problem(withPolicyName: String(prefix)) != nil else { return nil }
        return SyntaxProblem(
            DiagnosticCode.invalidName, "the label key \(quoted(key)) has a prefix that is no DNS name",
            suggestion: "write for example example.org/\(key.split(separator: "/").last ?? "name")"
        )
    }
}
