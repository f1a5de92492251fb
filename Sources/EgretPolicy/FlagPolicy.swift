// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Builds the policy that the flags of a command say.
public enum FlagPolicy {
    /// The name of the policy.
    public static let name = "command-line"

    /// Builds the policy named `command-line`, in the workload tier with priority 0.
    ///
    /// Deny rules come first, then reject, audit and allow, each in the order given: `--allow 198.51.100.0/24
    /// --deny 198.51.100.66` means the block without the address, whichever flag stands first.
    ///
    /// Its default is `default` if given, else the strictest default of the files' workload policies that apply and enforce, else
    /// deny.
    ///
    /// - Parameters:
    ///   - allow: The values of `--allow`.
    ///   - deny: The values of `--deny`.
    ///   - reject: The values of `--reject`.
    ///   - audit: The values of `--audit`.
    ///   - limitValues: The values of the flags for limits.
    ///   - budgets: The values of `--budget`.
    ///   - default: The value of `--default`.
    ///   - files: What the files given with `--policy` say; their diagnostics are not repeated.
    ///   - applying: The policies of the files that select the command; `nil` for all of them.
    /// - Returns: `nil` for the policy if files are given and no flag is, or if there are errors.
    public static func make(
        allow: [String] = [], deny: [String] = [], reject: [String] = [], audit: [String] = [],
        limits limitValues: [(FlagLimit, [String])] = [], budgets: [String] = [], default: DefaultAction? = nil,
        files: PolicyReader.Result = PolicyReader.Result(), applying: [EgressPolicy]? = nil
    ) -> (policy: EgressPolicy?, diagnostics: [Diagnostic]) {
        let hasFiles =
            !files.policies.isEmpty || !files.groups.isEmpty || !files.diagnostics.isEmpty
            || files.isIncomplete
        let hasFlags =
            `default` != nil || !(allow + deny + reject + audit + limitValues.flatMap(\.1) + budgets).isEmpty
        if hasFiles && !hasFlags { return (nil, []) }
        let groups = files.faultyGroupNames.union(files.groups.map(\.name))
        var rules: [EgressRule] = []
        var diagnostics: [Diagnostic] = []
        for (action, flag, values) in [
            (RuleAction.deny, "--deny", deny), (.reject, "--reject", reject), (.audit, "--audit", audit),
            (.allow, "--allow", allow),
        ] {
            for value in values {
                let (rule, found) = FlagRule.parse(
                    value, action: action, flag: flag, groups: groups, groupsMayBeMissing: files.isIncomplete)
                diagnostics += found
                if let rule { rules.append(rule) }
            }
        }
        var limits: [TrafficLimit] = []
        for (flag, values) in limitValues {
            for value in values {
                let (limit, found) = flag.parse(value, groups: groups, groupsMayBeMissing: files.isIncomplete)
                diagnostics += found
                if let limit { limits.append(limit) }
            }
        }
        var amounts: [TrafficBudget] = []
        for (index, value) in budgets.enumerated() {
            let location = SourceLocation(file: "--budget \(value)", line: 0, column: 1)
            do throws(SyntaxProblem) {
                amounts.append(try BudgetSyntax.budget(value, named: "budget \(index + 1)", at: location))
            } catch {
                diagnostics.append(error.diagnostic(at: location))
            }
        }
        if let taken = files.policies.first(where: { $0.name == name }) {
            diagnostics.append(
                Diagnostic(
                    .error, code: DiagnosticCode.reservedName, at: taken.location,
                    "the flags make a policy named \(quoted(name)), and this policy has the same name",
                    suggestion: "give this policy another name"
                ))
        }
        let inherited = PolicySet(policies: applying ?? files.policies).workloadDefault?.action
        let policy = EgressPolicy(
            name: name, tier: .workload, priority: 0, defaultAction: `default` ?? inherited ?? .deny, rules: rules,
            limits: limits, budgets: amounts, location: SourceLocation(file: "the command line", line: 0, column: 1)
        )
        diagnostics += NameRuleProblems.find(in: [policy], groups: files.groups)
        guard !diagnostics.contains(where: { $0.severity == .error }) else { return (nil, diagnostics) }
        return (policy, diagnostics + RuleDoubts.find(in: policy))
    }
}
