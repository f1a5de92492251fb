// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretAgentClient
import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretNetworks

/// Tells the agent, where there is one, that the endpoints of networks have changed.
enum AgentNotice {
    /// Has the agent hold the endpoints to the policies. On return it does.
    ///
    /// Where no agent has been started, and the kernel holds no policies for endpoints, nobody has any for them.
    ///
    /// - Parameters:
    ///   - dataplane: The kernel that the endpoints' links are in.
    ///   - store: What is kept of their networks.
    ///   - address: Where the agent listens, if there is one.
    /// - Returns: How many transactions of the agent's have given the kernel's ruleset another number; `nil` if it does not say.
    /// - Throws: ``RunFailure`` if there is an agent and it does not answer, or cannot, or if there was one: what comes must
    ///   not be without its policies.
    static func enforce(_ dataplane: Dataplane, _ store: NetworkStore, _ address: AgentAddress) throws -> Int? {
        if File.exists(address.socketPath) {
            do {
                let status = try AgentClient(address).synchronize()
                if try status.networkNamespace == NetworkNamespace.currentCookie() { return status.rulesetChanges }
            } catch let error as APIError {
                throw failure(error.message, error.advice ?? "egret get status says how the agent is")
            } catch let error as AgentClientError {
                throw failure(error.message, error.advice)
            }
        }
        if try store.hasPolicies || dataplane.allTables().contains(where: HostPlan.tables.contains) {
            throw failure("there are policies for endpoints, and no agent runs here", nil)
        }
        return 0
    }

    private static func failure(_ message: String, _ advice: String?) -> RunFailure {
        RunFailure(
            message: "the endpoint's policies cannot be put in force: \(message)",
            advice: advice ?? "start the agent: systemctl start egret-agent, or egret agent")
    }
}
