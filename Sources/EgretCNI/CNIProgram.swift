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
            try Descriptor.standardOutput.write(plugin.run(AgentClient(AgentAddress(chosen: path))))
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
