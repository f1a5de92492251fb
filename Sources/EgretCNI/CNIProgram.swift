// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretAgentClient
import EgretLinux

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// `egret-cni`, from its start to its end.
public enum CNIProgram {
    /// A configuration is at most so many bytes.
    private static let inputLimit = 1 << 24

    /// Does what the environment and the standard input ask for.
    ///
    /// - Returns: The exit code.
    public static func run() -> Int32 {
        let environment = Environment.current
        var version = CNIRequest.latestVersion
        do {
            let input = try Descriptor.standardInput.readToEnd(limit: inputLimit)
            let plugin = try CNIPlugin(environment: { environment[$0] }, input: input)
            version = plugin.version
            let path = plugin.socketPath ?? environment[AgentAPI.socketVariable]
            let address = AgentAddress(chosen: path)
            // Without an agent's directory there is nobody to ask either, which the call itself says better.
            let turn = plugin.takesTurns ? try? FileLock.acquire(address.socketPath + ".cni.lock") : nil
            defer { withExtendedLifetime(turn) {} }
            try Descriptor.standardOutput.write(plugin.run(AgentClient(address)))
            return 0
        } catch {
            var failure = error as? CNIError ?? CNIError(.inputOutput, "\(error)")
            failure.cniVersion = failure.cniVersion ?? version
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            if let bytes = try? encoder.encode(failure) { try? Descriptor.standardOutput.write(Array(bytes) + [10]) }
            return 1
        }
    }
}
