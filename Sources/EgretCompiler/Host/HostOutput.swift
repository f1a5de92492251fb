// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNftables

/// The hook for processes of the host's own network: which control group a packet's socket was made in says whose it is.
///
/// Each level below the root has a map, because a rule asks for the ancestor of the socket's group at one level. Processes
/// in a group below another that has policies obey both: each lets a packet go on by returning.
public enum HostOutput {
    /// So many levels below the root a control group may be.
    public static let deepest: UInt8 = 8
    /// The name of the chain.
    public static let chain = "output"

    /// The map from the control groups of a level to what decides about them.
    static func map(_ level: UInt8) -> String { "cgroups\(level)" }

    /// The hook, with maps that are empty. It is in the table of ``HostBase``, which must be there.
    public static let program: TableProgram = {
        var program = TableProgram(table: HostBase.table)
        program.chains = [Chain(chain, base: BaseChain(kind: .filter, hook: .output, priority: -9))]
        for level in 1...deepest {
            program.sets.append(Set(map(level), keyType: .cgroup, mapsToVerdict: true))
            program.rules.append(Rule(in: chain, [.verdictMap(.socketCgroup(level: level), map(level))]))
        }
        return program
    }()
}
