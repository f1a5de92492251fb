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
                block.except.isEmpty ? ["  - \(scalar(block.prefix.description))"] : entry(block, indent: "  ")
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
        ["apiVersion: egret.dev/v1", "kind: \(kind)", "metadata:", "  name: \(scalar(name))"]
    }

    private static func rule(_ rule: EgressRule) -> [String] {
        var lines: [String] = []
        if let name = rule.name { lines.append("name: \(scalar(name))") }
        lines.append("action: \(rule.action.rawValue)")
        if !rule.destinations.isEmpty {
            lines.append("to:")
            lines += rule.destinations.flatMap(destination)
        }
        if !rule.services.isEmpty {
            lines.append("ports: [\(rule.services.map { scalar($0.description) }.joined(separator: ", "))]")
        }
        return lines.enumerated().map { $0 == 0 ? "  - \($1)" : "    \($1)" }
    }

    private static func destination(_ destination: Destination) -> [String] {
        switch destination {
        case .block(let block): entry(block, indent: "")
        case .builtIn(let group): ["- group: \(group.rawValue)"]
        case .group(let name): ["- group: \(scalar(name))"]
        }
    }

    private static func entry(_ block: AddressBlock, indent: String) -> [String] {
        let cidr = "\(indent)- cidr: \(scalar(block.prefix.description))"
        if block.except.isEmpty { return [cidr] }
        let list = block.except.map { scalar($0.description) }.joined(separator: ", ")
        return [cidr, "\(indent)  except: [\(list)]"]
    }

    /// The text plain where every reader of YAML takes it for a text, in double quotes otherwise.
    private static func scalar(_ text: String) -> String {
        isPlain(text) ? text : doubleQuoted(text)
    }

    private static func isPlain(_ text: String) -> Bool {
        guard let first = text.unicodeScalars.first, isLetter(first) || text.contains("/") || text.contains("."),
            isLetter(first) || ("0"..."9").contains(first)
        else { return false }
        let words = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"]
        // A colon between digits can read as a number in base sixty, so IPv6 addresses are quoted.
        return !words.contains(text.lowercased()) && !isNumberLike(text)
            && text.unicodeScalars.allSatisfy {
                isLetter($0) || ("0"..."9").contains($0) || "-./".unicodeScalars.contains($0)
            }
    }

    private static func isNumberLike(_ text: String) -> Bool {
        !text.contains("/") && Double(text) != nil
    }

    private static func isLetter(_ scalar: Unicode.Scalar) -> Bool {
        ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar)
    }

    private static func doubleQuoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case _
            where scalar.value < 0x20 || (0x7f..<0xa0).contains(scalar.value) || scalar.value == 0x2028
                || scalar.value == 0x2029 || scalar.value == 0xfeff:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
