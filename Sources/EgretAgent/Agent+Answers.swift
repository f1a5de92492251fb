// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
public import EgretAgentAPI
import EgretLinux
import EgretPolicy

extension Agent: AgentService {
    /// All revisions that are kept, the latest first.
    public func history() throws -> [RevisionInfo] {
        try store.history().map { revision in
            guard revision.confirmBy != nil, deadline != nil else { return revision }
            // As the calendar stands now: it may have been set since.
            var revision = revision
            revision.confirmBy = Int(now()) + remaining(revision)
            return revision
        }
    }

    /// What the second revision has otherwise than the first.
    public func difference(from old: Int, to new: Int) throws -> RevisionDifference {
        let (before, after) = (try known(old), try known(new))
        let changes = Agent.changes(from: before, to: after)
        var text: [String] = []
        for change in changes {
            let part = { (documents: [StoredDocument]) -> [String] in
                let document = documents.first { $0.objects.contains(change.object) }
                return document?.text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(
                    String.init)
                    ?? []
            }
            text += ["--- \(change.object) (revision \(old))", "+++ \(change.object) (revision \(new))"]
            text += LineDifference(from: part(before), to: part(after)).lines
        }
        return RevisionDifference(objects: changes, text: text.map { $0 + "\n" }.joined())
    }

    private func known(_ number: Int) throws -> [StoredDocument] {
        guard try store.revision(number) != nil else {
            throw APIError(
                "notFound", "there is no revision \(number)", advice: "egret history shows which there are")
        }
        return try store.documents(of: number)
    }

    /// The documents of a revision as they were written; `nil` for the revision in force.
    public func documents(of revision: Int?) throws -> [SourceFile] {
        let documents = try revision.map { try known($0) } ?? self.documents
        return documents.placed.map { SourceFile(name: $0.name, text: String(decoding: $0.bytes, as: UTF8.self)) }
    }

    /// The policies and groups in force.
    public func policies() -> [PolicyInfo] {
        var users: [String: Int] = [:]
        for endpoint in enforced {
            for name in Swift.Set(endpoint.egress + endpoint.ingress) { users[name, default: 0] += 1 }
        }
        let conditions = [
            Condition(.lastChange, lastFailure == nil, reason: lastFailure), Condition(.accepted, true),
            Condition(.enforced, problem == nil, reason: problem),
        ]
        let egress = Dictionary(
            reading.catalog.egressPolicies.map { ("EgressPolicy/\($0.name)", $0) },
            uniquingKeysWith: { first, _ in first })
        let cluster = Dictionary(
            reading.catalog.clusterPolicies.map { ($0.reference, $0) }, uniquingKeysWith: { first, _ in first })
        let traffic = clauseTraffic()
        return documents.flatMap { document in
            document.objects.map { object in
                let policy = egress[object]
                let isPolicy = DocumentIndex.isPolicy(object)
                return PolicyInfo(
                    object: object,
                    tier: policy?.tier.rawValue ?? cluster[object]?.tier.rawValue
                        ?? (object.hasPrefix("NetworkPolicy/") ? EgressPolicy.Tier.workload.rawValue : nil),
                    mode: isPolicy ? (policy?.mode ?? .enforce).rawValue : nil,
                    source: "\(document.file):\(document.line)",
                    endpoints: isPolicy ? users[policy?.name ?? object] ?? 0 : nil,
                    traffic: isPolicy ? traffic[object] ?? [] : nil,
                    conditions: (policy.map(feedConditions(ofPolicy:)) ?? [])
                        + (policy.map(Agent.sourceConditions(of:)) ?? []) + conditions + feedConditions(of: object))
            }
        }
    }

    /// The endpoints.
    public func endpoints() -> [EndpointInfo] {
        information(on: endpointsPresent, rates: rates()) + unpoliced + idleGroups
    }

    /// The endpoints; with a name, those that have it by group and name or in any group, one for each of their links. These are
    /// without what their rates have counted: the kernel lists the queues of all links or of none, and who attaches one endpoint
    /// is not to wait for those of the others.
    public func endpoints(named name: String?) -> [EndpointInfo] {
        guard let name else { return endpoints() }
        return information(
            on: endpointsPresent.filter { $0.workload.id.description == name || $0.workload.id.name == name })
            + (unpoliced + idleGroups).filter { $0.name == name || $0.name.hasSuffix("/\(name)") }
    }

    private func information(
        on endpoints: [AgentEndpoint], rates: [UInt32: [RateInfo]] = [:]
    ) -> [EndpointInfo] {
        let wanted = Swift.Set(endpoints.map(\.workload.id))
        let known = Dictionary(
            enforced.lazy.filter { wanted.contains($0.endpoint.workload.id) }.map { ($0.endpoint.workload.id, $0) },
            uniquingKeysWith: { first, _ in first })
        let problems = Dictionary(
            (source.attached?.all ?? []).compactMap { record in
                source.attached?.problem(of: record).map { (record.target.id, $0) }
            },
            uniquingKeysWith: { first, _ in first })
        let others = Dictionary(
            (source.attached?.all ?? []).map { ($0.target.id, source.attached?.conditions(of: $0) ?? []) },
            uniquingKeysWith: { first, _ in first })
        let refusals = traffic.refusals()
        let held = names?.held() ?? [:]
        return endpoints.map { endpoint in
            let names = held[endpoint.linkKey]
            let name = endpoint.workload.id.description
            let state = known[endpoint.workload.id]
            let problem =
                problem ?? problems[name] ?? state.flatMap { endpoint.obstacle($0) }
            return EndpointInfo(
                name: name, network: endpoint.network, namespace: endpoint.namespace,
                addresses: endpoint.addresses.map(\.description),
                subnets: endpoint.subnets.isEmpty ? nil : endpoint.subnets.map(\.description),
                leads: endpoint.leads.map { $0.map(\.rawValue).sorted() }, labels: endpoint.workload.labels,
                ports: endpoint.workload.namedPorts.map { "\($0.name)=\($0.number)/\($0.protocol)" },
                egress: state?.egress ?? [],
                networkDefault: state?.egress.isEmpty ?? false ? defaultAction.rawValue : nil,
                ingress: state?.ingress ?? [],
                routes: state?.routes.map { enforcement.choices(of: $0).map(\.words) },
                limits: state.flatMap { TrafficLimit.words($0.limits) }, rates: rates[endpoint.interfaceIndex],
                names: names?.held,
                generations: state?.generations ?? [],
                refused: refusals[name] ?? 0,
                conditions: (names?.problem.map { [Condition(.namesResolved, false, reason: $0)] } ?? [])
                    + (others[name] ?? []) + [Condition(.enforced, problem == nil && state != nil, reason: problem)])
        }
    }

    /// How the agent is.
    public func status() -> AgentStatus {
        AgentStatus(
            process: Int(CurrentProcess.identifier), networkNamespace: networkNamespace,
            revision: revision?.number ?? 0,
            policies: documents.flatMap(\.objects).count(where: DocumentIndex.isPolicy),
            endpoints: endpointsPresent.count, repairs: repairs, problem: problem ?? budgetTrouble,
            networkDefault: defaultAction.rawValue, heldConnections: names?.heldConnections ?? 0)
    }

    /// Reads the endpoints of networks again; on return the kernel enforces the policies for all of them.
    public func synchronize() throws -> AgentStatus {
        let before = enforcement.commits
        do {
            try refresh()
        } catch {
            problem = "\(error)"
            throw APIError("failed", "the policies are not in force: \(error)")
        }
        var status = status()
        if let before, let now = enforcement.commits { status.rulesetChanges = now - before }
        return status
    }
}
