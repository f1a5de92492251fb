// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The grammar of `--budget`.
enum BudgetSyntax {
    /// Reads `5GB`, `ingress=5GB`, `both=5GB` or `1000 packets`: a total, after which nothing passes.
    static func budget(
        _ text: String, named name: String, at location: SourceLocation
    ) throws(SyntaxProblem) -> TrafficBudget {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let amount = parts[parts.count - 1]
        guard let count = BudgetAmount(amount), count.count > 0, count.count <= BudgetAmount.most else {
            throw SyntaxProblem(
                DiagnosticCode.amount, "\(quoted(amount)) is no amount of bytes, packets or connections",
                suggestion: likely(amount) ?? "write a number and a unit, for example --budget 500MB")
        }
        guard let direction = parts.count == 1 ? .egress : TrafficBudget.Direction(rawValue: parts[0]) else {
            throw SyntaxProblem(
                DiagnosticCode.amount, "\(quoted(parts[0])) is no direction",
                suggestion: "write --budget egress=\(amount), --budget ingress=\(amount) or --budget both=\(amount)")
        }
        return TrafficBudget(
            name: name, direction: direction, amount: count, onExhausted: .cut, location: location)
    }

    /// What is meant by `5G`, or by `5GB/day`.
    static func likely(_ text: String) -> String? {
        if text.last?.isLetter == true, BudgetAmount(text + "B") != nil { return "did you mean \(text)B?" }
        let parts = text.split(separator: "/", maxSplits: 1).map(String.init)
        guard parts.count == 2, BudgetAmount(parts[0]) != nil else { return nil }
        return "write \(parts[0]); in a policy, per: \(parts[1]) says the period; a run's budget is for all of the run"
    }
}
