// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAgentAPI
import EgretAgentClient
import EgretDocuments

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What the plugin needs of the agent.
public protocol CNIAgent {
    /// Holds a namespace to policies. On return the kernel does.
    func attach(_ request: AttachRequest) throws -> [EndpointInfo]
    /// The endpoints that have a name: `group/name`, or a name alone, in any group.
    func endpoints(named name: String) throws -> [EndpointInfo]
    /// How the agent is.
    func status() throws -> AgentStatus
}

extension AgentClient: CNIAgent {}

/// A CNI plugin: what it, or other plugins before it, have connected is held to policies before the container begins.
///
/// Specification: CNI 1.1.0. `ADD` answers when the kernel enforces the container's policies. Behind other plugins, `DEL`
/// takes nothing away: an endpoint is policed until its links are gone, which the plugin that has made them sees to.
public struct CNIPlugin {
    private let request: CNIRequest

    /// Reads what a runtime asks for.
    ///
    /// - Parameters:
    ///   - environment: The variables.
    ///   - input: What stands on the standard input.
    /// - Throws: ``CNIError``.
    public init(environment: (String) -> String?, input: [UInt8]) throws(CNIError) {
        request = try CNIRequest(environment: environment, input: input)
    }

    /// The version that an answer is to be in.
    public var version: String { request.version }

    /// The path of the agent's socket, if the configuration names one.
    public var socketPath: String? { request.socketPath }

    /// Whether others of its kind have to wait for it: a runtime may add one container to several networks at the same time,
    /// whose labels come together in one endpoint.
    public var takesTurns: Bool { request.command == .add && !request.makesInterfaces }

    /// Does what is asked for.
    ///
    /// - Parameter agent: The agent.
    /// - Returns: What goes to the standard output; nothing if empty.
    /// - Throws: ``CNIError``.
    public func run(_ agent: some CNIAgent) throws(CNIError) -> [UInt8] {
        switch request.command {
        case .delete:
            // A link of another plugin's is still there, and stays policed until it is gone: the agent sees that by itself. An
            // earlier configuration may have had one made here.
            try CNIMainPlugin.delete(request)
        case .collect: try CNIMainPlugin.collect(request)
        case .version:
            return try CNIPlugin.bytes(
                .object([
                    "cniVersion": .string(request.configuration["cniVersion"]?.text ?? CNIRequest.latestVersion),
                    "supportedVersions": .array(CNIRequest.versions.map { .string($0) }),
                ]))
        case _ where request.makesInterfaces: return try CNIMainPlugin(request).run(agent)
        case .status:
            let status = try CNIPlugin.ask(.notAvailable) { try agent.status() }
            if let problem = status.problem {
                throw CNIError(.notAvailable, "the agent is in trouble", details: problem)
            }
        case .add: return try add(agent)
        case .check: try check(agent)
        }
        return []
    }

    private func add(_ agent: some CNIAgent) throws(CNIError) -> [UInt8] {
        guard case .object(var result)? = request.configuration["prevResult"] else {
            throw CNIError(
                .invalidConfiguration, "there is no prevResult",
                details:
                    "list egret-cni behind a plugin that makes interfaces, or give it subnets and have it make them")
        }
        try request.validateOwnFields()
        let asked = CNICapabilities(request)
        try asked.validateBehindOthers()
        if let dns = try asked.dns() { result["dns"] = dns }
        let wanted = try request.endpoint()
        let named = try CNIPlugin.ask(.tryAgainLater) { try agent.endpoints(named: wanted.name) }
        let present = named.first { isSame($0, wanted) }
        let endpoints = try CNIPlugin.ask(.tryAgainLater) { try agent.attach(joining(wanted, to: present)) }
        guard !endpoints.isEmpty else {
            throw CNIError(.notEnforced, "the container's policies are not in force", details: "it is no endpoint")
        }
        if let problem = endpoints.flatMap(\.conditions).first(where: { $0.kind == .enforced && !$0.status }) {
            throw CNIError(.notEnforced, "the container's policies are not in force", details: problem.reason)
        }
        result["cniVersion"] = .string(version)
        return try CNIPlugin.bytes(.object(result))
    }

    private func check(_ agent: some CNIAgent) throws(CNIError) {
        let wanted = try request.endpoint()
        let name = "\(wanted.group)/\(wanted.name)"
        let found = try CNIPlugin.ask(.tryAgainLater) { try agent.endpoints(named: wanted.name) }.filter {
            // A name may have been another container's before.
            $0.namespace == wanted.namespace && isSame($0, wanted)
        }
        guard !found.isEmpty else { throw CNIError(.notEnforced, "\(name) is no endpoint") }
        if let problem = found.flatMap(\.conditions).first(where: { $0.kind == .enforced && !$0.status }) {
            throw CNIError(.notEnforced, "the policies of \(name) are not in force", details: problem.reason)
        }
    }

    /// Whether an endpoint is the container: another network's `ADD` may have named its group.
    private func isSame(_ endpoint: EndpointInfo, _ wanted: AttachRequest) -> Bool {
        endpoint.namespace == wanted.namespace && endpoint.name.hasSuffix("/\(wanted.name)")
            || endpoint.name == "\(wanted.group)/\(wanted.name)"
    }

    /// A container of several networks is one endpoint: it keeps the name and the labels that the first has given.
    private func joining(_ wanted: AttachRequest, to present: EndpointInfo?) -> AttachRequest {
        guard let present, present.namespace == wanted.namespace else { return wanted }
        var request = wanted
        request.group = present.name.split(separator: "/").first.map(String.init) ?? wanted.group
        request.labels.merge(present.labels.filter { !$0.key.hasPrefix("egret.dev/") }) { own, _ in own }
        return request
    }

    static func ask<Answer>(_ code: CNIError.Code, _ body: () throws -> Answer) throws(CNIError) -> Answer {
        do {
            return try body()
        } catch let error as CNIError {
            throw error
        } catch let error as APIError {
            let details = (error.diagnostics ?? []) + [error.advice].compactMap(\.self)
            throw CNIError(
                error.code == "conflict" ? .tryAgainLater : .notEnforced, error.message,
                details: details.isEmpty ? nil : details.joined(separator: "\n"))
        } catch let error as AgentClientError {
            throw CNIError(code, error.message, details: error.advice)
        } catch {
            throw CNIError(code, "\(error)")
        }
    }

    static func bytes(_ value: DataValue) throws(CNIError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        do {
            return Array(try encoder.encode(value)) + [UInt8(ascii: "\n")]
        } catch {
            throw CNIError(.inputOutput, "the result cannot be written: \(error)")
        }
    }
}
