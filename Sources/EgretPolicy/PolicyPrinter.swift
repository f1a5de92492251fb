// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

/// Prints policies and groups as documents.
public enum PolicyPrinter {
    /// YAML that ``PolicyReader`` reads back to equal values, places aside; empty if there is nothing to print.
    public static func yaml(policies: [EgressPolicy], groups: [DestinationGroup] = []) -> String {
        (groups.map(document) + policies.map(document)).map { $0.joined(separator: "\n") + "\n" }
            .joined(separator: "---\n")
    }

    private static func document(_ group: DestinationGroup) -> [String] {
        header("DestinationGroup", name: group.name) + ["spec:", "  cidrs:"]
            + group.blocks.flatMap { block in
                block.except.isEmpty ? ["  - \(YAMLScalar.text(block.prefix.description))"] : entry(block, indent: "  ")
            }
    }

    private static func document(_ policy: EgressPolicy) -> [String] {
        var lines = header("EgressPolicy", name: policy.name)
        lines += ["spec:", "  tier: \(policy.tier.rawValue)", "  priority: \(policy.priority)"]
        if policy.tier == .workload, let action = policy.defaultAction {
            lines.append("  default: \(action.rawValue)")
        }
        lines.append(policy.rules.isEmpty ? "  egress: []" : "  egress:")
        return lines + policy.rules.flatMap(rule)
    }

    private static func header(_ kind: String, name: String) -> [String] {
        ["apiVersion: egret.dev/v1", "kind: \(kind)", "metadata:", "  name: \(YAMLScalar.text(name))"]
    }

    private static func rule(_ rule: EgressRule) -> [String] {
        var lines: [String] = []
        if let name = rule.name { lines.append("name: \(YAMLScalar.text(name))") }
        lines.append("action: \(rule.action.rawValue)")
        if !rule.destinations.isEmpty {
            lines.append("to:")
            lines += rule.destinations.flatMap(destination)
        }
        if !rule.services.isEmpty {
            lines.append("ports: [\(rule.services.map { YAMLScalar.text($0.description) }.joined(separator: ", "))]")
        }
        return lines.enumerated().map { $0 == 0 ? "  - \($1)" : "    \($1)" }
    }

    private static func destination(_ destination: Destination) -> [String] {
        switch destination {
        case .block(let block): entry(block, indent: "")
        case .builtIn(let group): ["- group: \(group.rawValue)"]
        case .group(let name): ["- group: \(YAMLScalar.text(name))"]
        }
    }

    private static func entry(_ block: AddressBlock, indent: String) -> [String] {
        let cidr = "\(indent)- cidr: \(YAMLScalar.text(block.prefix.description))"
        if block.except.isEmpty { return [cidr] }
        let list = block.except.map { YAMLScalar.text($0.description) }.joined(separator: ", ")
        return [cidr, "\(indent)  except: [\(list)]"]
    }
}
