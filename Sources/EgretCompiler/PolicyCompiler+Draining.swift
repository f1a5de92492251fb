// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNftables
import EgretPolicy

/// Connections between two endpoints of a host that a rule with `onClose: drain` has let through.
///
/// The mark of a connection has room for one generation, and two programs judge such a connection. So each program has a set of
/// the numbers of those that it has let through by a rule that may refuse them one day: what is in it is not judged again, by
/// this program, as long as the program is there. With the next generation there is another set, and all are judged anew.
extension PolicyCompiler {
    /// Where connections go that are to be noted.
    var drainChain: String { "\(prefix)-drain" }

    private var drainedSet: String { "\(prefix)-drained" }

    /// Whether any rule lets connections between endpoints drain.
    private var drains: Bool {
        use.isOfEndpoints && rules.schedules.contains { $0.schedule.onClose == .drain }
    }

    /// Packets of connections, as tracking knows them in every kernel; errors about them may be anybody's.
    private static let tracked: [Statement] = [
        .connectionState(in: [.established, .new]),
        .notEqual(.transportProtocol, UInt128(IPProtocol.dccp.rawValue)),
        .notEqual(.transportProtocol, UInt128(IPProtocol.udplite.rawValue)),
    ]

    /// The set, and the rules that ask it before all others.
    ///
    /// A number may be a new connection's by now, with the addresses and ports of the old one: its first packet, which always goes
    /// the way of the connection, takes the number out and is judged. What is refused is never confirmed; what another rule lets
    /// out is not taken for what this one has let out; what drains as well is noted anew.
    mutating func addDrained() {
        guard drains else { return }
        var set = Set(drainedSet, keyType: .mark)
        (set.hasTimeouts, set.isDynamic) = (true, true)
        output.program.sets.append(set)
        for chain in [output.egressChain, output.replyChain] {
            output.program.rules.append(
                Rule(
                    in: chain,
                    PolicyCompiler.tracked + [
                        .connectionStatus(in: .confirmed), .inSet(.connectionID, drainedSet),
                        .keepInSet(.connectionID, drainedSet), .verdict(.return),
                    ]))
        }
        output.program.rules.append(
            Rule(
                in: output.egressChain,
                [.notConnectionStatus(in: .confirmed), .removeFromSet(.connectionID, drainedSet)]))
    }

    /// The chain that notes connections between endpoints. Where the set has no room, they are judged packet by packet.
    ///
    /// - Parameter areBetweenEndpoints: What such packets are known by; any one suffices.
    mutating func addDraining(_ areBetweenEndpoints: [[Statement]]) {
        guard drains else { return }
        output.program.chains.append(Chain(drainChain))
        output.program.rules += areBetweenEndpoints.map { conditions in
            Rule(in: drainChain, conditions + PolicyCompiler.tracked + [.keepInSet(.connectionID, drainedSet)])
        }
        output.program.rules.append(Rule(in: drainChain, [.verdict(.goto(passageChain))]))
    }
}
