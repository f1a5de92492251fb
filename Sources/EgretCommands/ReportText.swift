// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
import EgretFlows
import EgretNames
import EgretPolicy

/// The report of a run, for people.
struct ReportText {
    private let report: RunReport
    private let names: NameReport
    private let budgets: [RunBudgets.Use]
    private let policies: PolicySet
    private let clauses: ClauseText
    private let style: Style

    /// The most lines of each kind; the rest is counted in one line. JSON has them all.
    private static let lineLimit = 40
    /// The most flags that are suggested.
    private static let suggestionLimit = 12

    init(
        _ report: RunReport, names: NameReport? = nil, budgets: [RunBudgets.Use] = [], policies: PolicySet, style: Style
    ) {
        self.budgets = budgets
        self.report = report
        self.names = names ?? NameReport()
        self.policies = policies
        self.style = style
        clauses = ClauseText(policies)
    }

    /// - Parameter ending: How the command ended, as a sentence without a full stop.
    /// - Returns: The report, a line each.
    func lines(ending: String) -> [String] {
        var lines = [style.bold("egret: ") + ending]
        lines += reachedLines + refusedLines + nameLines + budgetLines + doubtLines
        if isEmpty { lines.append("  no traffic left or tried to") }
        return lines + suggestionLines
    }

    private var isEmpty: Bool {
        report.reached.isEmpty && report.refusedTotals.isEmpty && report.refused.isEmpty && !report.lostConnections
            && nameLines.isEmpty && names.resolvedNames.isEmpty
    }

    private var nameLines: [String] {
        NameReportText(names, lineLimit: ReportText.lineLimit, style: style).lines
    }

    private var budgetLines: [String] {
        budgets.isEmpty ? [] : [style.bold("budgets")] + budgets.map { "  \($0.line)" }
    }

    private var reachedLines: [String] {
        if report.reached.isEmpty { return [] }
        var table = TextTable(
            header: ["DESTINATION", "PORT", "RULE", "CONNS", "SENT", "", "RECEIVED", ""],
            alignments: [.left, .left, .left, .right, .right, .right, .right, .right]
        )
        for line in report.reached.prefix(ReportText.lineLimit) {
            table.append([
                (line.name.map { "\($0) (\(line.key.destination))" } ?? line.key.destination.description)
                    .withVisibleControls,
                line.key.serviceText,
                (line.clause.map(clauses.short) ?? "unknown").withVisibleControls
                    + (line.isAudited ? " (audited)" : ""),
                "\(line.connections)",
                ReportText.packets(line.sent),
                formatted(bytes: line.sent.bytes),
                ReportText.packets(line.received),
                formatted(bytes: line.received.bytes),
            ])
        }
        return [style.green("reached")] + table.lines + more(than: report.reached.count)
    }

    /// The digits of `1 pkt` stand below those of `2 pkts`.
    private static func packets(_ traffic: Traffic) -> String {
        traffic.packets == 1 ? "1 pkt " : "\(traffic.packets) pkts"
    }

    private var refusedLines: [String] {
        if report.refusedTotals.isEmpty && report.refused.isEmpty { return [] }
        var table = TextTable(
            header: ["DESTINATION", "PORT", "RULE", "VERDICT", "PACKETS", "BYTES"],
            alignments: [.left, .left, .left, .left, .right, .right]
        )
        for line in report.refused.prefix(ReportText.lineLimit) {
            let (rule, verdict) = words(for: line.reason)
            table.append([
                line.key.destination.description, line.key.serviceText, rule, verdict,
                "\(line.logged.packets)", formatted(bytes: line.logged.bytes),
            ])
        }
        return [style.red("refused")] + table.lines + more(than: report.refused.count)
    }

    private func more(than count: Int) -> [String] {
        count > ReportText.lineLimit
            ? ["  … and \(count - ReportText.lineLimit) more; --report json has them all"] : []
    }

    /// What the report cannot tell, said plainly.
    private var doubtLines: [String] {
        var lines: [String] = []
        for (reason, count) in report.unlogged.sorted(by: { words(for: $0.key) < words(for: $1.key) }) {
            lines.append(
                "  \(count) more \(count == 1 ? "packet was" : "packets were") refused (\(words(for: reason).0)) and counted,"
                    + " but no record of \(count == 1 ? "it" : "them") came: the log is limited"
            )
        }
        if report.omittedDestinations > 0 {
            lines.append(
                "  \(report.omittedDestinations) connections or packets to further destinations are not listed")
        }
        if report.unloggedAudits > 0 {
            lines.append("  \(report.unloggedAudits) audited packets left no line in the log: it is limited")
        }
        if report.lostConnections {
            lines.append(
                "  the kernel could not deliver the account of some ended connections: their bytes are missing above")
        }
        return lines.map { style.yellow($0) }
    }

    private var suggestionLines: [String] {
        let suggestions = Suggestions(report, names: names, policies: policies)
        var lines: [String] = []
        let flags = suggestions.flags.prefix(ReportText.suggestionLimit)
        if !flags.isEmpty {
            lines.append("to let " + (flags.count == 1 ? "it" : "these") + " through, add:")
            lines.append("  " + flags.joined(separator: " "))
        }
        let rest = suggestions.flags.count - flags.count
        if rest > 0 {
            lines.append(
                "  … and \(rest) more \(rest == 1 ? "flag" : "flags"); --report json has them all, and a block or a "
                    + "group may say them shorter")
        }
        return lines + suggestions.obstacles.map { style.dim("  " + obstacleLine($0)) }
    }

    private func obstacleLine(_ clause: DecidingClause) -> String {
        let name = clauses.short(clause).withVisibleControls
        guard let location = clauses.location(clause) else { return "refused by \(name): no flag overrides it" }
        if location.line == 0 { return "refused by your own \(name): no other flag overrides it" }
        return "refused by \(name) (\(location)): no flag overrides it".withVisibleControls
    }

    private func words(for reason: RefusalReason) -> (String, String) {
        switch reason {
        case .clause(let clause, let rejected):
            (clauses.short(clause).withVisibleControls, rejected ? "reject" : "deny")
        case .spoofed: ("source is not its own", "deny")
        case .invalid: ("not a valid packet", "deny")
        case .inbound: ("new connection from outside", "deny")
        case .limit(let words): ("limit \(words)".withVisibleControls, "deny")
        }
    }
}

/// The flags that would have let refused traffic through.
///
/// Each is tried on the evaluator first: a flag that another rule would override is not suggested.
struct Suggestions {
    /// Flags with their values, quoted for a shell, each once, in the report's order.
    private(set) var flags: [String] = []
    /// Clauses that would refuse the traffic all the same.
    private(set) var obstacles: [DecidingClause] = []

    init(_ report: RunReport, names: NameReport? = nil, policies: PolicySet) {
        let evaluator = PolicyEvaluator(policies: Suggestions.openedWide(policies))
        var known: Set<String> = []
        if let names { add(names, policies, &known) }
        for line in report.refused {
            guard case .clause(let clause, _) = line.reason else { continue }
            let flow = Flow(
                to: line.key.destination,
                isHost: line.destinationIsHost,
                protocol: line.key.protocol,
                port: line.key.port,
                icmpType: line.key.icmpType
            )
            if evaluator.decide(flow).verdict == .allow {
                // What the command has resolved is let out by its name: the address may be another's tomorrow.
                let name = names?.namesOfAddresses[line.key.destination]?.map(\.text).min()
                // QUIC: clients have gone on over TCP.
                if name != nil && line.key.protocol == .udp { continue }
                let flag = "--allow " + quotedForShell(line.key.flagText(naming: name))
                if known.insert(flag).inserted { flags.append(flag) }
            } else if !obstacles.contains(clause) {
                obstacles.append(clause)
            }
        }
    }

    /// What would let refused names and connections to them through.
    private mutating func add(_ names: NameReport, _ policies: PolicySet, _ known: inout Set<String>) {
        let evaluator = PolicyEvaluator(policies: policies)
        // Other than by a new rule it was refused for the address, which another name has given it.
        func isAllowed(_ name: DomainName, _ refused: NameJournal.Connection) -> Bool {
            [ApplicationProtocol.tls, .http].allSatisfy { application in
                let flow = Flow(
                    to: refused.address, protocol: .tcp, port: refused.port, names: [name],
                    speech: .name(name, application))
                return evaluator.decide(flow).verdict == .allow
            }
        }
        var wanted = names.deniedNames.map { ($0.key, UInt16?.none) }
        for refused in names.refusedConnections where refused.key.reason == .name {
            guard let text = refused.key.name else { continue }
            if let name = DomainName(ascii: text), isAllowed(name, refused.key) { continue }
            wanted.append((text, refused.key.port))
        }
        for (text, port) in wanted {
            guard let name = DomainName(ascii: text), (try? DomainPattern.parse(name.text)) != nil else { continue }
            switch evaluator.decide(name: name) {
            case .denied(let clause): if !obstacles.contains(clause) { obstacles.append(clause) }
            // What is allowed on another port, or was asked for at another name's address, is allowed by resolving it.
            case .allowed where port == nil: continue
            case .allowed, .unnamed:
                let flag = "--allow " + quotedForShell(name.text + (port.map { ":\($0)" } ?? ""))
                if known.insert(flag).inserted { flags.append(flag) }
            }
        }
    }

    /// The policies with one more `--allow`, for everything: what it lets out, the flag for that alone would as well.
    private static func openedWide(_ policies: PolicySet) -> PolicySet {
        let rule = EgressRule(action: .allow, destinations: [], services: [])
        var all = policies.policies
        if let index = all.firstIndex(where: { $0.name == FlagPolicy.name }) {
            all[index].rules.append(rule)
        } else {
            all.append(EgressPolicy(name: FlagPolicy.name, priority: 0, defaultAction: nil, rules: [rule]))
        }
        return PolicySet(
            policies: all,
            groups: Array(policies.groups.values),
            networkDefault: policies.networkDefault
        )
    }
}

/// The text as one word of a POSIX shell.
func quotedForShell(_ text: String) -> String {
    let plain = text.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "._-/:,@%+=".utf8.contains(byte)
        }
    }
    return plain && !text.isEmpty
        ? text
        : "'"
            + text.split(separator: "'", omittingEmptySubsequences: false)
            .joined(separator: "'\\''") + "'"
}
