// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAgentAPI
import EgretPolicy

extension EndpointInfo {
    /// Whether there are any, and the policies of all of them are in force.
    static func areEnforced(_ endpoints: [EndpointInfo]) -> Bool {
        !endpoints.isEmpty
            && endpoints.allSatisfy { endpoint in endpoint.conditions.contains { $0.kind == .enforced && $0.status } }
    }
}

extension Agent {
    /// Holds a namespace to policies that somebody else has connected. On return the kernel does.
    ///
    /// - Parameter request: Which, and who it is to policies.
    /// - Returns: The endpoints that it is now: one for each of its links. Those of the one whose network it is in, if a
    ///   hook tells of it and their policies are in force.
    /// - Throws: `APIError` if there is no such namespace, or its policies cannot be put in force. Nothing is changed then.
    public func attach(_ request: AttachRequest) throws -> [EndpointInfo] {
        for part in [request.group, request.name] where !AttachRequest.isName(part) {
            throw APIError(
                "invalid", "“\(part)” cannot be an endpoint's group or name",
                advice: "letters, digits, hyphens, dots and underscores, with a letter or a digit in front; at most 253"
            )
        }
        for (key, value) in request.labels where !LabelSyntax.isKey(key) || !LabelSyntax.isValue(value) {
            throw APIError("invalid", "“\(key)=\(value)” is no label")
        }
        try checkSelection(of: request)
        if AttachedGroups.isGroup(request.namespace) { return try attachGroup(request) }
        let target = AttachedTarget(
            group: request.group, name: request.name, kind: "Namespace", labels: request.labels, origin: "attach",
            identifier: request.container ?? request.namespace, path: request.namespace)
        let attached = try attachable()
        if source.groups?.record(target.id) != nil {
            throw APIError("conflict", "\(target.id) is another endpoint", advice: "give it another name: --name")
        }
        let former = attached.record(target.id)
        if let former, attached.follows(former), former.target.isFoundBy(target.path) {
            if request.labels.isEmpty { return endpoints(named: target.id) }
            throw APIError(
                "conflict", "\(target.id) is a container of \(former.target.origin)'s, whose labels come from there",
                advice: "start it with the label: \(former.target.origin) run --label KEY=VALUE")
        }
        let record = try attached.attach(target)
        if let problem = record.problem, record.links.isEmpty {
            _ = try attached.detach(target.id)
            if let former { try attached.restore(former) }
            // A container that begins in another's network, as those of a pod do, begins under that one's policies.
            if request.container != nil, let owner = attached.owner(of: record.cookie) {
                let held = endpoints(named: owner.target.id)
                if EndpointInfo.areEnforced(held) { return held }
            }
            throw APIError("conflict", "\(target.id) cannot be attached: \(problem)")
        }
        do {
            try refresh()
        } catch {
            _ = try attached.detach(target.id)
            if let former { try attached.restore(former) }
            throw Agent.failure(error)
        }
        log("\(target.id) is attached: \(count(record.links.count, "link"))")
        if request.container != nil, let problem = try lastingProblem(of: target.id, in: attached) {
            // It does not begin, and goes with its links, which are policed until then.
            throw APIError("conflict", "not all that \(target.id) would send is held to policies: \(problem)")
        }
        return endpoints(named: target.id)
    }

    /// Why not all that an endpoint sends is held to policies, whatever has just gone; `nil` if it is.
    private func lastingProblem(of id: String, in attached: AttachedEndpoints) throws -> String? {
        func present() -> String? { attached.record(id).flatMap { attached.problem(of: $0) } }
        if present() == nil { return nil }
        // The one whose address it has now may have gone without having been looked at since.
        try refresh()
        return present()
    }

    /// Lets go of a namespace that was attached.
    ///
    /// - Parameter name: `group/name`.
    /// - Returns: How the agent is then.
    /// - Throws: `APIError` if there is none.
    public func detach(_ name: String) throws -> AgentStatus {
        let attached = try attachable()
        if try detachGroup(name) { return status() }
        guard let record = attached.record(name) else {
            throw APIError(
                "notFound", "there is no attached endpoint \(name)", advice: "egret get endpoints shows which there are"
            )
        }
        guard !attached.follows(record) || !record.isRun else {
            throw APIError(
                "conflict", "\(name) is a container of \(record.target.origin)'s, which the agent follows",
                advice: "start the agent without --runtime \(record.target.origin)")
        }
        _ = try attached.detach(name)
        endpointsPresent.removeAll { $0.workload.id.description == name }
        try refresh()
        log("\(name) is detached")
        return status()
    }

    /// Refuses an endpoint that is to have a policy which there is not: it would be let through instead.
    private func checkSelection(of request: AttachRequest) throws(APIError) {
        guard let key = request.selectedBy else { return }
        let kind = AttachedGroups.isGroup(request.namespace) ? "ControlGroup" : "Namespace"
        let id = Workload.ID(namespace: request.group, name: request.name, kind: kind)
        if reading.catalog.selects(Workload(id, labels: request.labels), by: key) { return }
        throw APIError(
            "conflict", "no policy selects \(id) by \(key)=\(request.labels[key] ?? "")",
            advice: "egret get policies shows which there are")
    }

    private func attachable() throws(APIError) -> AttachedEndpoints {
        guard let attached = source.attached else { throw APIError("failed", "this agent attaches no endpoints") }
        return attached
    }

    // MARK: - Containers

    /// Notes all containers that an engine runs. On return the kernel holds them to their policies.
    ///
    /// - Parameters:
    ///   - runtime: The engine.
    ///   - targets: Its containers.
    ///   - unknown: The numbers of those that it runs and did not tell about: they stay as they are.
    /// - Returns: The numbers of those that could not be attached, and are to be told of again.
    /// - Throws: An error of the records' or the kernel's.
    func containers(
        of runtime: String, are targets: [AttachedTarget], besides unknown: [String] = []
    ) throws -> [String] {
        guard let attached = source.attached else { return [] }
        let present = Swift.Set(targets.map(\.identifier) + unknown)
        for record in attached.all where record.target.origin == runtime && !present.contains(record.target.identifier)
        {
            try attached.end(record)
        }
        attached.forgetRefused { $0.origin == runtime && !present.contains($0.identifier) }
        let refused = targets.filter { !note($0, in: attached) }.map(\.identifier)
        try refreshIfTaken()
        return refused
    }

    /// The numbers of an engine's containers that are attached, but for those that are only expected.
    func attachedContainers(of runtime: String) -> Swift.Set<String> {
        Swift.Set(containers(of: runtime).map(\.target.identifier))
    }

    /// Notes a container that an engine runs, or that it has connected otherwise.
    ///
    /// - Returns: Whether it is attached. If not, it is to be told of again.
    /// - Throws: An error of the records' or the kernel's.
    func container(_ target: AttachedTarget) throws -> Bool {
        guard let attached = source.attached else { return true }
        let isAttached = note(target, in: attached)
        try refreshIfTaken()
        return isAttached
    }

    /// Notes a container that an engine is about to start, if its link is there already.
    func expectContainer(_ target: AttachedTarget, bridge: String) throws {
        if try source.attached?.expect(target, bridge: bridge) ?? false { try refreshIfTaken() }
    }

    /// Notes that a container runs no longer. It is forgotten with its links.
    func containerIsGone(_ identifier: String, of runtime: String) throws {
        guard let attached = source.attached else { return }
        for record in attached.all where record.target.origin == runtime && record.target.identifier == identifier {
            try attached.end(record)
        }
        attached.forgetRefused { $0.origin == runtime && $0.identifier == identifier }
        try refreshIfTaken()
    }

    // MARK: - Containers that are not to run

    /// Why a container is not to run; `nil` if it may, or the agent itself is in it. One that could not be attached is judged as
    /// the others are.
    ///
    /// - Parameters:
    ///   - identifier: The container's number.
    ///   - runtime: Its engine.
    ///   - refusals: Which containers are not to run.
    /// - Returns: The ways that it has, in words.
    func refusal(of identifier: String, of runtime: String, by refusals: ContainerRefusals) -> String? {
        guard let attached = source.attached else { return nil }
        let judged = attached.judged(of: runtime).filter { $0.target.identifier == identifier }
        for container in judged {
            if let reason = refusal(of: container.target, for: container.bypasses, by: refusals) { return reason }
        }
        for container in judged { _ = attached.noteRemaining(container.target, nil) }
        return nil
    }

    /// The numbers of an engine's containers that are not to run and are still there.
    func refusedContainers(of runtime: String, by refusals: ContainerRefusals) -> [String] {
        (source.attached?.judged(of: runtime) ?? [])
            .filter { refusal(of: $0.target, for: $0.bypasses, by: refusals) != nil }
            .map { $0.target.identifier }
    }

    /// Notes that a container is dead because it was not to run.
    func containerIsKilled(_ target: AttachedTarget, because reason: String) {
        killed += 1
        log("\(target.id) is killed: \(reason)")
    }

    /// Notes that a container which is not to run could not be killed.
    func containerRemains(_ target: AttachedTarget, _ problem: String) {
        guard let attached = source.attached else { return }
        let text = "it is not to run, and \(target.origin) does not kill it: \(problem)"
        if attached.noteRemaining(target, text) { log("\(target.id): \(text)") }
    }

    private func refusal(
        of target: AttachedTarget, for bypasses: [ContainerBypass: String], by refusals: ContainerRefusals
    ) -> String? {
        guard let reason = refusals.reason(against: target, bypasses), !target.isAgents else { return nil }
        return reason
    }

    /// An engine's containers that are attached, but for those that are only expected and those that have ended.
    private func containers(of runtime: String) -> [AttachedRecord] {
        (source.attached?.all ?? []).filter { $0.target.origin == runtime && $0.isRun }
    }

    // MARK: - What is not attached

    private func note(_ target: AttachedTarget, in attached: AttachedEndpoints) -> Bool {
        do {
            let former = attached.record(target.id)
            let record = try attached.attach(target)
            if let problem = record.problem, problem != former?.problem { log("\(target.id): \(problem)") }
            return true
        } catch {
            if attached.refuse(target, "\(error)") { log("\(target.id) is not held to policies: \(error)") }
            return false
        }
    }

    private func refreshIfTaken() throws { if hasTaken { try refresh() } }

    /// Attached endpoints that no policy can be in force for, with the reason.
    var unpoliced: [EndpointInfo] {
        let present = Swift.Set(endpointsPresent.map(\.workload.id.description))
        guard let attached = source.attached else { return [] }
        let without = attached.all.filter { !present.contains($0.target.id) }.map { record in
            (record.target, attached.problem(of: record) ?? "it has no link to this host yet")
        }
        return (without + attached.unattached.map { ($0.target, $0.problem) }).map { target, reason in
            EndpointInfo(
                name: target.id, network: "-", namespace: target.path, addresses: [], labels: target.labels, egress: [],
                ingress: [], generations: [], conditions: [Condition(.enforced, false, reason: reason)])
        }
    }
}
