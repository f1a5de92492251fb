// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Checks names of documents.
enum ObjectName {
    /// What is wrong with the name of a policy: an RFC 1123 subdomain, as Kubernetes names objects.
    static func problem(withPolicyName name: String) -> SyntaxProblem? {
        problem(with: name, mayHaveDots: true, limit: 253)
    }

    /// What is wrong with the name of a group: an RFC 1123 label, so that `--allow NAME:443` cannot be mistaken
    /// for a domain name or an address.
    static func problem(withGroupName name: String) -> SyntaxProblem? {
        if let problem = problem(with: name, mayHaveDots: false, limit: 63) { return problem }
        if name.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) {
            return SyntaxProblem(
                DiagnosticCode.invalidName, "the name \(quoted(name)) reads as a number",
                suggestion: "begin with a letter: group-\(name)"
            )
        }
        return nil
    }

    /// What is wrong with the name of a Kubernetes namespace: an RFC 1123 label.
    static func problem(withNamespace name: String) -> SyntaxProblem? {
        problem(with: name, mayHaveDots: false, limit: 63)
    }

    private static func problem(with name: String, mayHaveDots: Bool, limit: Int) -> SyntaxProblem? {
        let charset =
            mayHaveDots ? "lower-case letters, digits, hyphens and dots" : "lower-case letters, digits and hyphens"
        if name.isEmpty {
            return SyntaxProblem(
                DiagnosticCode.invalidName, "the name is empty", suggestion: "write a name of \(charset)")
        }
        if name.utf8.count > limit {
            return SyntaxProblem(
                DiagnosticCode.invalidName, "the name is \(name.utf8.count) bytes long",
                suggestion: "use at most \(limit)"
            )
        }
        let labels = mayHaveDots ? name.split(separator: ".", omittingEmptySubsequences: false) : [Substring(name)]
        if labels.allSatisfy(isLabel) { return nil }
        let proposal = repaired(name, mayHaveDots: mayHaveDots)
        return SyntaxProblem(
            DiagnosticCode.invalidName,
            "the name \(quoted(name)) is not made of \(charset), beginning and ending with a letter or digit",
            suggestion: proposal.isEmpty ? "write for example build-jobs" : "write for example \(proposal)"
        )
    }

    private static func isLabel(_ label: Substring) -> Bool {
        guard let first = label.utf8.first, let last = label.utf8.last else { return false }
        return isAlphanumeric(first) && isAlphanumeric(last)
            && label.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: false
        }
    }

    private static func repaired(_ name: String, mayHaveDots: Bool) -> String {
        let words = name.lowercased().split { character in
            guard let byte = character.utf8.first, character.utf8.count == 1 else { return true }
            return !isAlphanumeric(byte) && !(mayHaveDots && byte == UInt8(ascii: "."))
        }
        let text = words.joined(separator: "-")
        let labels = text.split(separator: ".").map { $0.trimmingHyphens() }.filter { !$0.isEmpty }
        return labels.joined(separator: ".")
    }
}

extension Substring {
    fileprivate func trimmingHyphens() -> Substring {
        var rest = drop { $0 == "-" }
        while rest.last == "-" { rest = rest.dropLast() }
        return rest
    }
}
