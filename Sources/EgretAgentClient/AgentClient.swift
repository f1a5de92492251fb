// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAgentAPI
import EgretLinux

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The agent's API from the other side: one connection for each call, and the call waits for the answer.
///
/// Not for event loops or the concurrency runtime's threads, which must not wait.
public struct AgentClient: Sendable {
    /// Where the agent listens.
    public var address: AgentAddress
    /// How long an answer about a change may take: it comes when the kernel enforces the change.
    public var changeTimeout: Duration = .seconds(600)
    /// How long any other answer may take.
    public var timeout: Duration = .seconds(60)

    /// Names the agent. Nothing is connected yet.
    public init(_ address: AgentAddress = AgentAddress()) {
        self.address = address
    }

    // MARK: - Calls

    /// Works out what a change would do.
    public func plan(_ change: ApplyRequest) throws -> ChangeReport {
        try send("POST", "/v1/plan", change, within: changeTimeout)
    }

    /// Makes a change. On return the kernel enforces it.
    public func apply(_ change: ApplyRequest) throws -> ChangeReport {
        try send("POST", "/v1/apply", change, within: changeTimeout)
    }

    /// Keeps the revision that waits for it.
    public func confirm() throws -> RevisionInfo { try send("POST", "/v1/confirm", within: changeTimeout) }

    /// Puts an earlier revision's documents in force again; `nil` for what was in force before the present ones.
    public func rollback(to number: Int? = nil) throws -> ChangeReport {
        try send("POST", "/v1/rollback" + (number.map { "?to=\($0)" } ?? ""), within: changeTimeout)
    }

    /// All revisions that are kept, the latest first.
    public func history() throws -> [RevisionInfo] { try send("GET", "/v1/revisions") }

    /// The documents of a revision; `nil` for the one in force.
    public func documents(of number: Int? = nil) throws -> [SourceFile] {
        try send("GET", "/v1/revisions/\(number.map(String.init) ?? "current")/documents")
    }

    /// What the second revision has otherwise than the first.
    public func difference(from old: Int, to new: Int) throws -> RevisionDifference {
        try send("GET", "/v1/revisions/\(old)/difference/\(new)")
    }

    /// The policies and groups in force.
    public func policies() throws -> [PolicyInfo] { try send("GET", "/v1/policies") }

    /// The endpoints.
    public func endpoints() throws -> [EndpointInfo] { try send("GET", "/v1/endpoints") }

    /// The endpoints that have a name, which costs as much as there are of those. What their rates have counted is not told.
    ///
    /// - Parameter name: `group/name`, or the name alone, in any group.
    /// - Returns: One for each of their links.
    /// - Throws: `APIError` if the agent refuses; ``AgentClientError`` if there is no answer.
    public func endpoints(named name: String) throws -> [EndpointInfo] {
        try send("GET", "/v1/endpoints?name=\(QueryValue.encoded(name))")
    }

    /// The addresses of a group that its feed holds, one block in each line.
    public func list(ofGroup name: String) throws -> String {
        String(decoding: try answer("GET", "/v1/groups/\(name)/list", [], within: timeout), as: UTF8.self)
    }

    /// The flows that the kernel has told of.
    public func flows(_ query: FlowQuery = FlowQuery()) throws -> FlowList {
        var parameters: [String] = []
        if let endpoint = query.endpoint { parameters.append("endpoint=\(QueryValue.encoded(endpoint))") }
        if query.deniedOnly { parameters.append("verdict=denied") }
        if query.after > 0 { parameters.append("after=\(query.after)") }
        return try send("GET", "/v1/flows" + (parameters.isEmpty ? "" : "?") + parameters.joined(separator: "&"))
    }

    /// What is used of budgets in their present periods.
    public func budgets() throws -> [BudgetInfo] { try send("GET", "/v1/budgets") }

    /// Changes what may be used of budgets in the present period.
    public func change(_ change: BudgetChange) throws -> [BudgetInfo] { try send("POST", "/v1/budgets/change", change) }

    /// What was used, summed.
    public func usage(_ query: UsageQuery = UsageQuery()) throws -> [UsageRow] {
        let since = query.since.map { "&since=\(QueryValue.encoded($0))" } ?? ""
        let prices = query.hasPriceLists ? "&prices=true" : ""
        return try send("GET", "/v1/usage?by=\(query.keys.map(\.rawValue).joined(separator: ","))\(since)\(prices)")
    }

    /// What the present month has come to by price lists, and what it will by its end.
    public func costs() throws -> [CostInfo] { try send("GET", "/v1/costs") }

    /// How the agent is.
    public func status() throws -> AgentStatus { try send("GET", "/v1/status") }

    /// Lets the agent read the endpoints of networks again. On return the kernel enforces the policies for all of them.
    public func synchronize() throws -> AgentStatus { try send("POST", "/v1/synchronize", within: changeTimeout) }

    /// Holds a namespace to policies that somebody else has connected. On return the kernel does.
    public func attach(_ request: AttachRequest) throws -> [EndpointInfo] {
        try send("POST", "/v1/attached", request, within: changeTimeout)
    }

    /// Lets go of a namespace that was attached.
    public func detach(group: String, name: String) throws -> AgentStatus {
        try send("DELETE", "/v1/attached/\(group)/\(name)", within: changeTimeout)
    }

    /// Figures for monitoring, in the Prometheus text format.
    public func metrics() throws -> String {
        String(decoding: try answer("GET", "/metrics", [], within: timeout), as: UTF8.self)
    }

    // MARK: - Documents

    /// Sends a request and reads the document that answers it.
    ///
    /// - Parameters:
    ///   - method: `GET` or `POST`.
    ///   - target: The path with its parameters.
    ///   - document: What goes with it.
    ///   - time: How long the answer may take; by default ``timeout``.
    /// - Returns: The document.
    /// - Throws: `APIError` if the agent refuses; ``AgentClientError`` if there is no answer.
    public func send<Answer: Decodable>(
        _ method: String, _ target: String, _ document: (any Encodable)? = nil, within time: Duration? = nil
    ) throws -> Answer {
        let body = try document.map { Array(try JSONEncoder().encode($0)) } ?? []
        guard body.count <= AgentAPI.bodyLimit else {
            throw AgentClientError(
                "the documents are \(body.count) bytes of JSON, and the agent takes \(AgentAPI.bodyLimit)",
                advice: "apply them in several steps")
        }
        let bytes = try answer(method, target, body, within: time ?? timeout)
        do {
            return try JSONDecoder().decode(Answer.self, from: Data(bytes))
        } catch {
            throw AgentClientError(
                "the agent's answer to \(method) \(target) cannot be read: \(error)",
                advice: "egret and its agent may be of different versions: restart the agent")
        }
    }

    private func answer(_ method: String, _ target: String, _ body: [UInt8], within time: Duration) throws -> [UInt8] {
        let request = AgentExchange.Request(method: method, target: target, body: body)
        let response: AgentExchange.Answer
        if let remote = address.remote {
            response = try AgentExchange.run(request, by: remote, within: time)
        } else {
            response = try AgentExchange.run(request, on: try connect(), within: time)
        }
        if response.status == 200 { return response.body }
        if let refusal = try? JSONDecoder().decode(APIError.self, from: Data(response.body)) { throw refusal }
        throw AgentClientError(
            "\(address.remote.map { "\($0.host):\($0.port)" } ?? address.socketPath) answered \(method) \(target) with the status \(response.status)",
            advice: "is it egret's agent that listens there?")
    }

    private func connect() throws(AgentClientError) -> Descriptor {
        let path = address.socketPath
        let socket: Descriptor
        let peer: PeerCredentials
        do throws(LinuxError) {
            socket = try UnixSocket.connect(to: path)
            peer = try PeerCredentials(ofSocket: socket.number)
        } catch {
            throw AgentClient.problem(error, at: path)
        }
        // Whoever could put a socket of his own there would be told every policy, and believed.
        guard peer.mayAct(as: [CurrentProcess.effectiveUser], inGroup: nil) else {
            throw AgentClientError(
                "who listens at \(path) is the user \(peer.user), and not root", advice: "do not use that agent")
        }
        return socket
    }

    private static func problem(_ error: LinuxError, at path: String) -> AgentClientError {
        switch error.errno {
        case .noEntry, .connectionRefused:
            AgentClientError(
                "the agent does not run: nobody listens at \(path)",
                advice: "start it with: sudo egret agent, or: sudo systemctl start egret-agent")
        case .accessDenied, .notPermitted:
            AgentClientError(
                "the agent's socket \(path) is closed to this user",
                advice: "use sudo, or be in the group that egret agent --socket-group names")
        default: AgentClientError("\(error)")
        }
    }
}
