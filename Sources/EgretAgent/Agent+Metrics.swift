// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretCompiler
import EgretNetlink
import EgretNetworks
import EgretPolicy
import EgretShaping

extension Agent {
    /// Figures for monitoring, in the Prometheus text format, version 0.0.4. docs/agent.md lists them.
    public func metrics() -> String {
        var text = MetricsText()
        text.add("egret_agent_revision", "gauge", "The revision in force.", revision?.number ?? 0)
        text.add("egret_agent_documents", "gauge", "Documents of the revision in force.", documents.count)
        text.add("egret_agent_policies", "gauge", "Policies in force.", status().policies)
        text.add("egret_agent_endpoints", "gauge", "Endpoints of this host's networks.", endpointsPresent.count)
        text.add(
            "egret_agent_policed_endpoints", "gauge", "Endpoints that some policy is about.",
            enforced.count { !$0.generations.isEmpty })
        text.add("egret_agent_enforced", "gauge", "1 if the kernel is where it should be.", problem == nil ? 1 : 0)
        text.add(
            "egret_agent_unconfirmed", "gauge", "1 if the revision in force waits for its confirmation.",
            revision?.confirmBy == nil ? 0 : 1)
        text.add(
            "egret_agent_changes_total", "counter", "Changes that came into force since the agent's start.", changes)
        text.add(
            "egret_agent_failed_changes_total", "counter",
            "Changes that were refused or failed since the agent's start.", failures)
        text.add(
            "egret_agent_drifts_total", "counter",
            "How often the kernel was found otherwise than it should be since the agent's start.", drifts)
        text.add(
            "egret_agent_repairs_total", "counter",
            "How often others' changes of the kernel were mended since the agent's start.", repairs)
        text.add(
            "egret_agent_killed_containers_total", "counter",
            "Containers that were killed since the agent's start because they are not to run.", killed)
        if let refused = try? NetworkConnections(NetlinkConnection.netfilter()).refusedInsertions() {
            text.add(
                "egret_agent_conntrack_insert_failed_total", "counter",
                "Connections that connection tracking refused, most often because no port was left of a source address.",
                refused)
        }
        latency.write(
            "egret_agent_apply_duration_seconds", "How long changes took, from the request to their being in force.",
            to: &text)
        addFeeds(&text)
        addNames(&text)
        addTraffic(&text)
        addRates(&text)
        addSharedRates(&text)
        addBudgets(&text)
        return text.text
    }

    private func addFeeds(_ text: inout MetricsText) {
        let groups = reading.catalog.groups.filter { $0.feed != nil }.sorted { $0.name < $1.name }
        if groups.isEmpty { return }
        text.begin("egret_agent_feed_loaded", "gauge", "1 if the group has a list of its feed.")
        for group in groups { text.add("egret_agent_feed_loaded", [("group", group.name)], group.isLoaded ? 1 : 0) }
        text.begin("egret_agent_feed_fresh", "gauge", "1 if the latest attempt to get the feed's list succeeded.")
        for group in groups {
            let failure = group.feed.flatMap { feeds?.failure(of: $0) }
            text.add("egret_agent_feed_fresh", [("group", group.name)], failure == nil && group.isLoaded ? 1 : 0)
        }
    }

    private func addNames(_ text: inout MetricsText) {
        let figures = names?.book.figures ?? NameBook.Figures()
        text.add(
            "egret_agent_name_questions_total", "counter", "Questions about names since the agent's start.",
            figures.questions)
        text.begin("egret_agent_name_refusals_total", "counter", "Questions that were refused, by the reason.")
        for reason in ["name", "type", "server", "limit"] {
            text.add("egret_agent_name_refusals_total", [("reason", reason)], figures.refused[reason] ?? 0)
        }
        text.add(
            "egret_agent_name_commit_failures_total", "counter",
            "Answers that were kept back because the kernel did not take their addresses.", figures.failedCommits)
        text.add(
            "egret_agent_name_bad_answers_total", "counter", "Answers of servers that were not used.",
            figures.badAnswers)
        text.add(
            "egret_agent_name_timeouts_total", "counter", "Questions that servers did not answer in time.",
            figures.silentServers)
        text.add(
            "egret_agent_name_removed_addresses_total", "counter",
            "Addresses that were taken out of answers because they are not public.", figures.removedAddresses)
        text.begin("egret_agent_named_connections_total", "counter", "Connections that the name check has seen.")
        text.add(
            "egret_agent_named_connections_total", [("verdict", "allow")], figures.connections)
        text.add("egret_agent_named_connections_total", [("verdict", "deny")], figures.refusedConnections)
        text.add(
            "egret_agent_unverified_connections_total", "counter",
            "Connections that passed the name check without a name.", figures.unverified)
        text.add(
            "egret_agent_name_proxy_ends_total", "counter",
            "How often a proxy for names has ended by an error, and was started again.", figures.endedProxies)
        text.begin("egret_agent_held_names", "gauge", "Names that endpoints have resolved and may reach now.")
        let held = names?.held().values.reduce(0) { $0 + $1.held.names } ?? 0
        text.add("egret_agent_held_names", [], held)
        text.add(
            "egret_agent_held_connections", "gauge",
            "Connections to names that another process holds, and that go on when the agent ends.",
            names?.heldConnections ?? 0)
    }

    /// What endpoints' own rates have held back; nothing where there are none.
    private func addRates(_ text: inout MetricsText) {
        let rates = rates()
        var found: [String: [RateInfo]] = [:]
        for endpoint in endpointsPresent {
            found[endpoint.workload.id.description, default: []] += rates[endpoint.interfaceIndex] ?? []
        }
        let known = found.filter { !$0.value.isEmpty }.sorted { $0.key < $1.key }.map { endpoint, rates in
            (endpoint, Agent.sums(of: rates))
        }
        if known.isEmpty { return }
        func add(_ name: String, _ kind: String, _ help: String, _ value: (RateInfo) -> UInt64) {
            text.begin(name, kind, help)
            for (endpoint, rates) in known {
                for rate in rates {
                    text.add(name, [("endpoint", endpoint), ("direction", rate.direction)], value(rate))
                }
            }
        }
        add(
            "egret_rate_dropped_packets_total", "counter",
            "Packets that an endpoint's own rate has dropped because so many waited already."
        ) { $0.dropped }
        add("egret_rate_passed_bytes_total", "counter", "Bytes that have passed an endpoint's own rate.") { $0.bytes }
        add("egret_rate_waiting_bytes", "gauge", "Bytes that wait for an endpoint's own rate.") { $0.waiting }
    }

    /// What rates that endpoints share have held back, by whose they are; nothing where there are none. Whose packets these were
    /// nobody knows.
    private func addSharedRates(_ text: inout MetricsText) {
        let rates = Dictionary(grouping: sharedRates()) { rate -> [String] in
            let limit = rate.share.limit
            let direction = rate.counts.direction.rawValue
            return [limit.policy ?? "", limit.name ?? limit.summary, rate.share.network ?? "", direction]
        }
        if rates.isEmpty { return }
        let known = rates.sorted { $0.key.lexicographicallyPrecedes($1.key) }
        func add(_ name: String, _ kind: String, _ help: String, _ value: (SharedCounts) -> UInt64) {
            text.begin(name, kind, help)
            for (key, rates) in known {
                let labels = Array(zip(["policy", "limit", "network", "direction"], key))
                text.add(name, labels, rates.reduce(UInt64(0)) { $0.addingClamped(value($1.counts)) })
            }
        }
        add(
            "egret_shared_rate_dropped_packets_total", "counter",
            "Packets that a rate which endpoints share has dropped because so many waited already."
        ) { $0.dropped }
        add("egret_shared_rate_passed_bytes_total", "counter", "Bytes that have passed a rate which endpoints share.") {
            $0.bytes
        }
        add("egret_shared_rate_waiting_bytes", "gauge", "Bytes that wait for a rate which endpoints share.") {
            $0.waitingBytes
        }
    }

    /// What rates have counted by direction: those of an endpoint's links, which may have rates of their own, are one series.
    private static func sums(of rates: [RateInfo]) -> [RateInfo] {
        Dictionary(grouping: rates, by: \.direction).sorted { $0.key < $1.key }.map { direction, rates in
            var sum = RateInfo(direction: direction, packets: 0, bytes: 0, dropped: 0, waiting: 0)
            for rate in rates {
                sum.packets = sum.packets.addingClamped(rate.packets)
                sum.bytes = sum.bytes.addingClamped(rate.bytes)
                sum.dropped = sum.dropped.addingClamped(rate.dropped)
                sum.waiting = sum.waiting.addingClamped(rate.waiting)
            }
            return sum
        }
    }

    private func addTraffic(_ text: inout MetricsText) {
        let clauses = clauseTraffic().sorted { $0.key < $1.key }.flatMap { policy, clauses in
            clauses.map { clause in
                (
                    [
                        ("policy", policy), ("rule", clause.rule), ("direction", clause.direction),
                        ("verdict", clause.verdict),
                    ], clause
                )
            }
        }
        text.begin(
            "egret_agent_packets_total", "counter",
            "Packets that a rule refused, or that began connections which it let through; over restarts of the agent.")
        for (labels, clause) in clauses { text.add("egret_agent_packets_total", labels, clause.packets) }
        text.begin("egret_agent_bytes_total", "counter", "Bytes of those packets.")
        for (labels, clause) in clauses { text.add("egret_agent_bytes_total", labels, clause.bytes) }
        let flows = traffic.with { state in
            (state.lost, state.refused.accounts.count, state.allowed.accounts.count)
        }
        text.add(
            "egret_agent_lost_records_total", "counter", "Log records that the kernel could not deliver.", flows.0)
        text.begin("egret_agent_flows", "gauge", "Flows that egret flows lists.")
        text.add("egret_agent_flows", [("verdict", "refused")], flows.1)
        text.add("egret_agent_flows", [("verdict", "allowed")], flows.2)
    }
}
