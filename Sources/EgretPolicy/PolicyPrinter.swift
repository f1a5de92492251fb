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
        var lines = header("DestinationGroup", name: group.name) + ["spec:"]
        if let feed = group.feed {
            lines.append("  feed:")
            switch feed.source {
            case .file(let path): lines.append("    file: \(YAMLScalar.text(path))")
            case .url(let url): lines.append("    url: \(YAMLScalar.text(url))")
            }
            if let sha256 = feed.sha256 { lines.append("    sha256: \"\(sha256)\"") }
            lines += ["    refresh: \(feed.refreshText)", "    format: \(feed.format.rawValue)"]
        }
        if !group.domains.isEmpty { lines.append("  domains: \(list(group.domains.map(\.description)))") }
        if group.cidrs.isEmpty { return lines }
        return lines + ["  cidrs:"]
            + group.cidrs.flatMap { block in
                block.except.isEmpty ? ["  - \(YAMLScalar.text(block.prefix.description))"] : entry(block, indent: "  ")
            }
    }

    private static func document(_ policy: EgressPolicy) -> [String] {
        var lines = header("EgressPolicy", name: policy.name)
        lines += ["spec:", "  tier: \(policy.tier.rawValue)", "  priority: \(policy.priority)"]
        if policy.mode != .enforce { lines.append("  mode: \(policy.mode.rawValue)") }
        if let selects = policy.selects { lines.append("  selects: \(selector(selects))") }
        if policy.tier == .workload, let action = policy.defaultAction {
            lines.append("  default: \(action.rawValue)")
        }
        if !policy.nameServers.isEmpty {
            lines.append("  dns: \(list(policy.nameServers.map(\.description)))")
        }
        lines.append(policy.rules.isEmpty ? "  egress: []" : "  egress:")
        lines += policy.rules.flatMap(rule)
        if !policy.limits.isEmpty { lines += ["  limits:"] + policy.limits.flatMap(limit) }
        if !policy.budgets.isEmpty { lines += ["  budgets:"] + policy.budgets.flatMap(budget) }
        if !policy.routes.isEmpty { lines.append("  routes:") }
        return lines + policy.routes.flatMap(route)
    }

    private static func header(_ kind: String, name: String) -> [String] {
        ["apiVersion: egret.dev/v1", "kind: \(kind)", "metadata:", "  name: \(YAMLScalar.text(name))"]
    }

    private static func rule(_ rule: EgressRule) -> [String] {
        var lines: [String] = []
        if let name = rule.name { lines.append("name: \(YAMLScalar.text(name))") }
        lines.append("action: \(rule.action.rawValue)")
        lines += match(
            rule.destinations, rule.workloads, rule.domains,
            rule.services.map(\.description) + rule.portNames.map(\.description))
        lines += naming(rule.naming)
        if let schedule = rule.schedule { lines.append("when: \(when(schedule))") }
        return item(lines)
    }

    private static func match(
        _ destinations: [Destination], _ workloads: [WorkloadSelector], _ domains: [DomainPattern], _ ports: [String]
    ) -> [String] {
        var lines: [String] = []
        if !destinations.isEmpty || !workloads.isEmpty || !domains.isEmpty {
            lines.append("to:")
            if !domains.isEmpty { lines.append("- domains: \(list(domains.map(\.description)))") }
            lines += destinations.flatMap(destination)
            lines += workloads.map {
                $0 == .everything ? "- group: \(PolicyReader.clusterGroup)" : "- endpoints: \(selector($0))"
            }
        }
        if !ports.isEmpty { lines.append("ports: \(list(ports))") }
        return lines
    }

    private static func naming(_ options: NameOptions) -> [String] {
        var lines: [String] = []
        if !options.applications.isEmpty { lines.append("applications: \(list(options.applications.map(\.rawValue)))") }
        if options.whenUnverified != .deny { lines.append("whenUnverified: \(options.whenUnverified.rawValue)") }
        if options.quic != .refuse { lines.append("quic: \(options.quic.rawValue)") }
        if !options.records.isEmpty { lines.append("records: \(list(options.records.map(\.description)))") }
        if !options.addresses.isEmpty { lines.append("addresses: \(list(options.addresses.map(\.description)))") }
        return lines
    }

    private static func item(_ lines: [String]) -> [String] {
        lines.enumerated().map { $0 == 0 ? "  - \($1)" : "    \($1)" }
    }

    private static func budget(_ budget: TrafficBudget) -> [String] {
        item(
            ["name: \(YAMLScalar.text(budget.name))"]
                + match(budget.destinations, [], budget.domains, budget.services.map(\.description))
                + budgetFields(budget))
    }

    private static func route(_ route: EgressRoute) -> [String] {
        let ways = route.ways.map { "- { \(way($0).joined(separator: ", ")) }" }
        return item(
            match(route.destinations, [], [], route.services.map(\.description)) + ["via:"] + ways + [
                "fallback: \(route.fallback.rawValue)"
            ])
    }

    private static func way(_ way: RouteWay) -> [String] {
        var fields: [String] = []
        if let gateway = way.gateway { fields.append("gateway: \(YAMLScalar.text(gateway.description))") }
        if let interface = way.interface { fields.append("interface: \(YAMLScalar.text(interface.rawValue))") }
        if let source = way.sourceText { fields.append("sourceAddress: \(YAMLScalar.text(source))") }
        if way.isSourcePerConnection { fields.append("sourceAddressPer: connection") }
        if let check = way.check { fields.append("check: { \(self.check(check).joined(separator: ", ")) }") }
        return fields
    }

    private static func check(_ check: RouteCheck) -> [String] {
        let probe =
            switch check.probe {
            case .icmp(let address): "icmp: \(YAMLScalar.text(address.description))"
            case .tcp(.v4(let address), let port): "tcp: \(YAMLScalar.text("\(address):\(port)"))"
            case .tcp(.v6(let address), let port): "tcp: \(YAMLScalar.text("[\(address)]:\(port)"))"
            case .http(.v4(let address), let port, let path):
                "http: \(YAMLScalar.text("http://\(address):\(port)\(path)"))"
            case .http(.v6(let address), let port, let path):
                "http: \(YAMLScalar.text("http://[\(address)]:\(port)\(path)"))"
            }
        return [
            probe, "interval: \(check.interval)ms", "timeout: \(check.timeout)ms", "failures: \(check.failures)",
            "successes: \(check.successes)",
        ]
    }

    private static func list(_ texts: [String]) -> String {
        "[\(texts.map { YAMLScalar.text($0) }.joined(separator: ", "))]"
    }

    private static func mapping(_ fields: [(String, String)]) -> String {
        "{ \(fields.map { "\($0): \($1)" }.joined(separator: ", ")) }"
    }

    private static func selector(_ selector: WorkloadSelector) -> String {
        var fields = labels(selector.labels)
        if !selector.names.isEmpty { fields.append(("names", list(selector.names))) }
        if !selector.namespaces.isEmpty { fields.append(("namespaces", list(selector.namespaces))) }
        if selector.namespaceLabels != .everything {
            fields.append(("namespaceSelector", mapping(labels(selector.namespaceLabels))))
        }
        return mapping(fields)
    }

    /// Everything as `matchExpressions`: they keep their order, and may ask twice about a key.
    private static func labels(_ selector: LabelSelector) -> [(String, String)] {
        let requirements = selector.requirements
        let pairs = requirements.prefix { $0.operation == .isIn && $0.values.count == 1 }
        let keys = pairs.map(\.key)
        let areSorted = zip(keys, keys.dropFirst()).allSatisfy { $0 < $1 }
        let labels = areSorted ? pairs : []
        var fields: [(String, String)] = []
        if !labels.isEmpty {
            fields.append(
                ("matchLabels", mapping(labels.map { (YAMLScalar.text($0.key), YAMLScalar.text($0.values[0])) })))
        }
        let rest = requirements.dropFirst(labels.count).map { requirement in
            var fields = [("key", YAMLScalar.text(requirement.key)), ("operator", requirement.operation.rawValue)]
            if !requirement.values.isEmpty { fields.append(("values", list(requirement.values))) }
            return mapping(fields)
        }
        if !rest.isEmpty { fields.append(("matchExpressions", "[\(rest.joined(separator: ", "))]")) }
        return fields
    }

    /// A schedule as the value of `when`; only that of a rule closes anything.
    static func when(_ schedule: Schedule, hasClosing: Bool = true) -> String {
        var fields: [(String, String)] = []
        if !schedule.days.isEmpty { fields.append(("days", list(schedule.dayWords))) }
        if !schedule.hours.isEmpty {
            fields.append(("hours", "[\(schedule.hours.map { "\"\($0)\"" }.joined(separator: ", "))]"))
        }
        if let from = schedule.from { fields.append(("from", "\"\(from)\"")) }
        if let until = schedule.until { fields.append(("until", "\"\(until)\"")) }
        fields.append(("timezone", YAMLScalar.text(schedule.zone.name)))
        if hasClosing { fields.append(("onClose", schedule.onClose.rawValue)) }
        return mapping(fields)
    }

    private static func limit(_ limit: TrafficLimit) -> [String] {
        let fields = [
            limit.name.map { "name: \(YAMLScalar.text($0))" }, limit.direction.map { "direction: \($0.rawValue)" },
            limit.scope == .endpoint ? nil : "per: \(limit.scope.rawValue)", limit.rate.map { "rate: \($0)" },
            limit.burst.map { "burst: \($0)" }, limit.guarantee.map { "guarantee: \($0)" },
            limit.weight.map { "weight: \($0)" }, limit.priority.map { "priority: \($0)" },
            limit.connections.map { "connections: \($0)" }, limit.newConnections.map { "newConnections: \($0)" },
            limit.packets.map { "packets: \($0)" }, limit.dscp.map { "dscp: \($0)" },
            limit.schedule.map { "when: \(when($0, hasClosing: false))" },
        ]
        .compactMap(\.self)
        if limit.isForEverything { return ["  - { \(fields.joined(separator: ", ")) }"] }
        return item(fields + match(limit.destinations, [], limit.domains, limit.services.map(\.description)))
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
