// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension PolicyReader {
    private static let budgetSchema = DocumentFields.Schema(
        name: "a budget",
        fields: [
            "name", "to", "ports", "applications", "direction", "amount", "per", "timezone", "when", "scope",
            "onExhausted", "alertAt", "price",
        ],
        foreign: [
            "bytes": "write amount: 100GB", "packets": "write amount: 1000000 packets",
            "connections": "write amount: 5000 connections", "quota": "write amount: 100GB",
            "limit": "write amount: 100GB", "period": "write per: month", "timeZone": "write timezone",
            "tz": "write timezone", "schedule": "write when", "time": "write when",
            "action": "write onExhausted", "onExceeded": "write onExhausted", "alerts": "write alertAt: [50%, 80%]",
            "cost": "write price: 0.09 USD/GB",
        ]
    )

    private static let periods: [String: BudgetPeriod.Length] = [
        "hour": .hour, "day": .day, "week": .week, "month": .month, "total": .total,
    ]

    /// Reads the entries of `budgets`.
    mutating func readBudgets(_ node: DocumentNode) -> [TrafficBudget] {
        guard
            let items = items(
                node, "budgets", emptyMessage: "budgets is empty, and an empty list counts nothing",
                emptySuggestion: "remove it, or write an entry: { amount: 100GB, per: month }")
        else { return [] }
        var names: [String: SourceLocation] = [:]
        return items.enumerated().compactMap { index, item in
            guard let budget = readBudget(item, index) else { return nil }
            if let first = names.updateValue(item.location, forKey: budget.name) {
                error(
                    DiagnosticCode.duplicateName, at: item.location,
                    "a budget named \(quoted(budget.name)) is in the policy already, at \(first)",
                    "give one of the two another name: what is used is counted by it")
            }
            return budget
        }
    }

    private mutating func readBudget(_ node: DocumentNode, _ index: Int) -> TrafficBudget? {
        let mistakes = result.diagnostics.count
        guard let fields = fields(node, PolicyReader.budgetSchema) else { return nil }
        var budget = TrafficBudget(name: "budget \(index + 1)", location: node.location)
        if let name = fields["name"].flatMap({ string($0, "name", expected: "a name") }) { budget.name = name }
        let peers = fields["to"].map { readCountedPeers($0, "a budget") } ?? Peers()
        (budget.destinations, budget.domains) = (peers.destinations, peers.domains)
        budget.services = readPortsAndApplications(fields, of: "a budget")
        if let direction = fields["direction"] {
            budget.direction = word(direction, "direction", as: TrafficBudget.Direction.self) ?? .egress
        }
        budget.amount = fields["amount"].flatMap { readAmount($0) }
        if let per = fields["per"].flatMap({ readPeriod($0) }) { budget.period.length = per }
        if let zone = fields["timezone"].flatMap({ readTimeZone($0) }) { budget.period.zone = zone }
        budget.schedule = fields["when"].flatMap { readSchedule($0, of: "budget") }
        if let scope = fields["scope"].flatMap({ readScope($0) }) { budget.scope = scope }
        if let action = fields["onExhausted"].flatMap({ readExhaustion($0) }) { budget.onExhausted = action }
        budget.alertAt = fields["alertAt"].map { readAlerts($0) } ?? []
        budget.price = fields["price"].flatMap { readPrice($0) }
        checkBudget(fields)
        checkUnit(budget, fields)
        return result.diagnostics.count == mistakes ? budget : nil
    }

    /// What says nothing without an amount, and an entry that says nothing at all.
    private mutating func checkBudget(_ fields: DocumentFields) {
        if fields.has("amount") { return }
        for field in ["onExhausted", "alertAt"] where fields.has(field) {
            error(
                DiagnosticCode.missingField, at: fields.location(of: field),
                "\(field) is about an amount, and the budget has none", "write for example amount: 100GB")
        }
        if !fields.has("name") && !fields.has("price") {
            _ = required(
                "amount", in: fields, of: "the budget",
                suggestion: "write for example amount: 100GB; what is only to be counted has a name or a price")
        }
    }

    /// What goes with bytes alone, and what cannot be said of connections.
    private mutating func checkUnit(_ budget: TrafficBudget, _ fields: DocumentFields) {
        if budget.unit != .bytes, fields.has("price") {
            error(
                DiagnosticCode.contradiction, at: fields.location(of: "price"),
                "a price is for bytes, and the budget is of \(budget.unit.rawValue)",
                "write the price in an entry of its own, without an amount or with one of bytes")
        }
        if budget.unit == .connections, budget.direction != .egress,
            let field = ["ports", "applications"].first(where: { fields.has($0) })
        {
            error(
                DiagnosticCode.contradiction, at: fields.location(of: field),
                "\(field) of a budget are the far side's, and who connects to an endpoint has any port",
                "leave \(field) out, or write direction: egress")
        }
    }

    /// Reads the far sides whose traffic is counted: those that are addresses or names.
    ///
    /// - Parameters:
    ///   - node: The entries of `to`.
    ///   - counter: What counts, for messages: `a budget`.
    /// - Returns: The far sides.
    mutating func readCountedPeers(_ node: DocumentNode, _ counter: String) -> Peers {
        let peers = readPeers(node)
        if !peers.workloads.isEmpty {
            error(
                DiagnosticCode.notSupportedYet, at: node.location, "\(counter) for workloads is not supported yet",
                "write cidr, group or domains")
        }
        if peers.destinations.contains(.builtIn(.host)) {
            error(
                DiagnosticCode.notSupportedYet, at: node.location, "\(counter) for the host is not supported yet",
                "write cidr with the host's address")
        }
        return peers
    }

    private mutating func readAmount(_ node: DocumentNode) -> BudgetAmount? {
        if let amount = BudgetAmount(node.text), amount.count > 0, amount.count <= BudgetAmount.most { return amount }
        error(
            DiagnosticCode.amount, at: node.location,
            "\(quoted(node.text)) is no amount of bytes, packets or connections",
            BudgetSyntax.likely(node.text)
                ?? "write a number and a unit, for example 500MB, 1000000 packets or 5000 connections")
        return nil
    }

    private mutating func readPeriod(_ node: DocumentNode) -> BudgetPeriod.Length? {
        let choice = "write hour, day, week, month, total, or { rolling: 24h }"
        if case .mapping = node.content {
            let schema = DocumentFields.Schema(name: "per", fields: ["rolling"])
            guard let fields = fields(node, schema),
                let rolling = required("rolling", in: fields, of: "per", suggestion: choice)
            else { return nil }
            return readWindow(rolling).map { .rolling($0) }
        }
        guard let text = string(node, "per", expected: "hour, day, week, month or total") else { return nil }
        if let length = PolicyReader.periods[text] { return length }
        let isScope = ["endpoint", "policy"].contains(text) || text.hasPrefix("label:")
        error(
            DiagnosticCode.unknownValue, at: node.location, "\(quoted(text)) is not a value of per",
            isScope ? "write scope: \(text); per is the time that the amount is for" : choice)
        return nil
    }

    private mutating func readWindow(_ node: DocumentNode) -> Int64? {
        let units: [String: UInt64] = ["m": 60, "h": 3_600, "d": 86_400]
        if let seconds = DecimalText.read(node.text, units: units).flatMap({ Int64(exactly: $0) }),
            BudgetPeriod.rollingLimits.contains(seconds), seconds % 60 == 0
        {
            return seconds
        }
        error(
            DiagnosticCode.amount, at: node.location, "\(quoted(node.text)) is no time from 1h to 366d",
            "write a number and a unit, for example 24h or 30d")
        return nil
    }

    private mutating func readScope(_ node: DocumentNode) -> TrafficBudget.Scope? {
        guard let text = string(node, "scope", expected: "endpoint, policy or label:KEY") else { return nil }
        if text == "endpoint" { return .endpoint }
        if text == "policy" { return .policy }
        if text.hasPrefix("label:"), text.utf8.count > 6 { return .label(String(text.dropFirst(6))) }
        error(
            DiagnosticCode.unknownValue, at: node.location, "\(quoted(text)) is not a value of scope",
            "write endpoint, policy, or label: and a label's key, for example label:team")
        return nil
    }

    private mutating func readExhaustion(_ node: DocumentNode) -> TrafficBudget.Exhaustion? {
        let choice = "write deny, cut, alert, or { throttle: 256kbit }"
        if case .mapping = node.content {
            let schema = DocumentFields.Schema(name: "onExhausted", fields: ["throttle"])
            guard let fields = fields(node, schema),
                let rate = required("throttle", in: fields, of: "onExhausted", suggestion: choice)
            else { return nil }
            return readRate(rate).map { .throttle($0) }
        }
        guard let text = string(node, "onExhausted", expected: "deny, cut or alert") else { return nil }
        switch text {
        case "deny": return .deny
        case "cut": return .cut
        case "alert": return .alert
        default:
            error(
                DiagnosticCode.unknownValue, at: node.location, "\(quoted(text)) is not a value of onExhausted", choice)
            return nil
        }
    }

    private mutating func readAlerts(_ node: DocumentNode) -> [Int] {
        guard
            let items = items(
                node, "alertAt", emptyMessage: "alertAt is empty", emptySuggestion: "write for example [50%, 80%]")
        else { return [] }
        return Set(
            items.compactMap { item -> Int? in
                if item.text.hasSuffix("%"), let part = Int(item.text.dropLast()), (1...100).contains(part) {
                    return part
                }
                error(
                    DiagnosticCode.amount, at: item.location, "\(quoted(item.text)) is no part of 1% to 100%",
                    "write for example 80%")
                return nil
            }
        ).sorted()
    }

    /// Reads a price.
    mutating func readPrice(_ node: DocumentNode) -> TrafficPrice? {
        guard let text = string(node, "price", expected: "a price such as 0.09 USD/GB") else { return nil }
        if let price = TrafficPrice(text) { return price }
        error(
            DiagnosticCode.amount, at: node.location, "\(quoted(text)) is no price",
            "write a number, a currency of three capital letters, and a unit of bytes: 0.09 USD/GB")
        return nil
    }
}
