// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension PolicyReader {
    private static let specSchema = DocumentFields.Schema(
        name: "spec",
        fields: ["tier", "priority", "mode", "selects", "default", "egress", "limits", "budgets", "routes", "dns"],
        foreign: [
            "rules": "the rules are under egress",
            "policyTypes": "remove it: an EgressPolicy is about egress",
            "podSelector": "write selects", "selector": "write selects", "endpointSelector": "write selects",
            "ingress": "remove it: an EgressPolicy is about egress",
            "defaultAction": "write default", "nameservers": "write dns", "resolvers": "write dns",
        ]
    )

    /// Reads an `EgressPolicy`.
    mutating func readPolicy(_ document: DocumentFields) {
        let name = readMetadata(document, of: "the policy")
        if let name { checkPolicyName(name.name, at: name.location) }
        guard
            let node = required(
                "spec", in: document, of: "the policy",
                suggestion: "write spec: { default: deny } for a policy that lets nothing out"
            ),
            let spec = fields(node, PolicyReader.specSchema)
        else { return }
        let tier = spec["tier"].map { word($0, "tier", as: EgressPolicy.Tier.self) } ?? .workload
        let priority = spec["priority"].map { readPriority($0) } ?? 100
        let mode = spec["mode"].map { word($0, "mode", as: EgressPolicy.Mode.self) } ?? .enforce
        let selects = spec["selects"].flatMap {
            readWorkloadSelector($0, "selects", everything: "leave selects out: the policy is then for every workload")
        }
        let defaultAction = readDefault(spec, tier: tier)
        let rules = spec["egress"].map { readRules($0) } ?? []
        let limits = spec["limits"].map { readLimits($0) } ?? []
        let budgets = spec["budgets"].map { readBudgets($0) } ?? []
        let routes = spec["routes"].map { readRoutes($0) } ?? []
        let nameServers = spec["dns"].map { readNameServers($0) } ?? []
        guard let name, let tier, let priority, let mode else { return }
        result.policies.append(
            EgressPolicy(
                name: name.name, selects: selects, mode: mode, tier: tier, priority: priority,
                defaultAction: defaultAction, rules: rules, limits: limits, budgets: budgets, routes: routes,
                nameServers: nameServers, location: document.node.location
            ))
    }

    private mutating func checkPolicyName(_ name: String, at location: SourceLocation) {
        if let problem = ObjectName.problem(withPolicyName: name) {
            result.diagnostics.append(problem.diagnostic(at: location))
            return
        }
        if let first = policyNames[name] {
            error(
                DiagnosticCode.duplicateName, at: location,
                "a policy named \(quoted(name)) is defined already at \(first)",
                "give one of the two another name"
            )
            return
        }
        policyNames[name] = location
    }

    mutating func readPriority(_ node: DocumentNode) -> Int? {
        guard case .integer(let number) = node.content else {
            error(
                DiagnosticCode.wrongType, at: node.location, "priority is a whole number, and here is \(node.found)",
                "write a number from 0 to 1000, without quotes"
            )
            return nil
        }
        guard (0...1000).contains(number) else {
            error(
                DiagnosticCode.outOfRange, at: node.location, "the priority \(number) is out of range",
                "write a number from 0 (asked first) to 1000"
            )
            return nil
        }
        return number
    }

    private mutating func readDefault(_ spec: DocumentFields, tier: EgressPolicy.Tier?) -> DefaultAction? {
        guard let node = spec["default"] else { return tier == .workload ? .deny : nil }
        let action = word(
            node, "default", as: DefaultAction.self,
            others: ["drop": "deny", "block": "deny", "accept": "allow", "log": "audit"]
        )
        guard let tier, tier != .workload else { return action }
        error(
            DiagnosticCode.contradiction, at: spec.location(of: "default"),
            "default belongs to the workload tier, and this policy is in the tier \(tier.rawValue)",
            "remove default; a last rule without to and ports decides what no other rule matched"
        )
        return nil
    }
}
