// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgent
import EgretAgentAPI
import EgretNetworks

extension NetworkHost {
    /// Has the policies of endpoints in force: those of the agent, or those of the files that networks name.
    ///
    /// - Throws: An error that says why they are not. What comes must not be without its policies.
    func enforcePolicies() throws {
        enforcedEndpoints = nil
        if networks.contains(where: { $0.policyFile != nil }) {
            try enforceFiles()
        } else {
            try counting { try AgentNotice.enforce(host.dataplane, store, agent) }
        }
        enforcedEndpoints = presentEndpoints
    }

    /// Notes how many transactions whoever enforces policies has made; whoever fails has made nobody knows how many.
    private func counting(_ enforce: () throws -> Int?) rethrows {
        let former = policyCommits
        policyCommits = nil
        if let commits = try enforce(), let former { policyCommits = former + commits }
    }

    /// The endpoints of all networks: how far they have come makes no difference to policies.
    private var presentEndpoints: [NetworkRecord.Endpoint] {
        networks.flatMap(\.endpoints).map { endpoint in
            var endpoint = endpoint
            endpoint.stage = .ready
            return endpoint
        }
    }

    /// Has the policies of the files in force that networks name; of none, if none names one.
    func enforceFiles() throws {
        do {
            try counting { try FilePolicies.enforce(Set(networks.compactMap(\.policyFile))) }
        } catch let error as APIError {
            let mistakes = (error.diagnostics ?? []).map { "\n\($0)" }.joined()
            throw RunFailure(
                message: "the endpoint's policies cannot be put in force: \(error.message)\(mistakes)",
                advice: error.advice ?? "correct them; the kernel is as it was")
        }
    }

    /// Lets whoever enforces policies know of what has gone, or is otherwise than before.
    func tellOfEndpoints() {
        if enforcedEndpoints == presentEndpoints { return }
        do {
            try enforcePolicies()
        } catch let failure as RunFailure {
            Console.error(failure.lines.map { $0.replacing("egret: ", with: "egret: warning: ") })
        } catch {
            Console.error(["egret: warning: \(error)"])
        }
    }
}
