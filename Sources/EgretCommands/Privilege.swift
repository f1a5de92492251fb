// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretPolicy

/// What Egret itself must be allowed to do.
enum Privilege {
    /// What commands that make namespaces and links must be allowed to do.
    static let needed: CapabilitySet = [.networkAdministration, .systemAdministration, .setUser, .setGroup]

    /// What the agent must be allowed to do: it changes rules and switches of its own network namespace, and enters no other;
    /// which that is, and so which networks are its, it tells from the first process's.
    static let ofAgent: CapabilitySet = [.networkAdministration, .trace]

    /// Fails with advice where the kernel would refuse step after step.
    static func require(
        _ needed: CapabilitySet = needed, for purpose: String, advice: String = Privilege.advice()
    ) throws {
        guard try CapabilitySet.effective().isSuperset(of: needed) else {
            throw RunFailure(message: "\(purpose) takes root's privileges", advice: advice)
        }
    }

    /// How this command is run as root: with the arguments that it has been given.
    static func advice(_ arguments: [String] = Array(CommandLine.arguments.dropFirst())) -> String {
        (["run it as: sudo egret"] + arguments.map(shellWord)).joined(separator: " ")
    }

    /// What means nothing else to a shell.
    private static let plain = Swift.Set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=,@%+".utf8)

    /// An argument as a shell reads it, with nothing in it that a terminal obeys.
    private static func shellWord(_ text: String) -> String {
        if !text.isEmpty, text.utf8.allSatisfy(plain.contains) { return text }
        return "'\(text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''"))'"
            .withVisibleControls
    }
}
