// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNftables
import EgretPolicy

/// What the run's proxies send: connections by name, and questions, go on from this host.
///
/// Its packets bear the mark of the way that was chosen for the connection, by which the kernel has routed them already: they
/// leave by that way or not at all.
extension RouteProgram {
    static func isSentByWay(slot: Int) -> Statement {
        let (value, mask) = RouteMark.sentByWays(slot: slot)
        return .equal(.packetMark(mask: mask), UInt128(value))
    }

    static func isOn(_ way: Way) -> Statement {
        let label = RouteMark.label(way: way.number)
        return .equal(.connectionLabel(label), UInt128(1) << UInt128(label))
    }

    static func sentChain(_ way: Way) -> String { "sent-\(way.number)" }

    private static let lost = Statement.verdict(.goto("lost"))

    /// The hook, and what becomes of what is on no way: who sends it hears of it at once.
    static func departing(slot: Int) -> [Rule] {
        let strayed = Statement.counter(strayedCounter)
        return [
            Rule(in: "departure", [isSentByWay(slot: slot), .verdict(.goto("sent"))]),
            Rule(in: "lost", [.equal(.transportProtocol, 6), strayed, .rejectWithTCPReset]),
            Rule(in: "lost", [strayed, .verdict(.drop)]),
        ]
    }

    /// The rules of the chain `sent`: what proxies send by a way leaves by its interface.
    func sending(in state: State) -> [Rule] {
        var rules: [Rule] = []
        for way in ways {
            let number = UInt128(RouteMark.packet(way: way.number))
            var leaves: [Statement] = [.equal(.packetMark(mask: RouteMark.sentWayMask), number)]
            if way.way.isPath {
                guard let output = state.outputs[way.number] else { continue }
                leaves.append(.equal(.outputInterface, UInt128(output)))
            }
            rules.append(Rule(in: "sent", leaves + [.verdict(.goto(RouteProgram.sentChain(way)))]))
        }
        return rules + [Rule(in: "sent", [RouteProgram.lost])]
    }

    /// A connection is on a way from its first packet on: one that the kernel has forgotten has lost its translation.
    ///
    /// - Parameters:
    ///   - chain: The chain of what is sent by the way.
    ///   - label: The way's.
    ///   - others: The labels that a connection gets before it.
    /// - Returns: The rules for what leaves by the way's interface.
    static func beginning(in chain: String, label: UInt8, after others: [UInt8] = []) -> [Rule] {
        let hasLabel = Statement.equal(.connectionLabel(label), UInt128(1) << UInt128(label))
        let isOnWay = Rule(in: chain, [hasLabel, .verdict(.accept)])
        var rules = [
            isOnWay,
            // Only a SYN begins a connection over TCP.
            Rule(in: chain, [.equal(.transportProtocol, 6), .notEqual(.tcpFlags(mask: 0x17), 2), lost]),
            Rule(in: chain, [.connectionStatus(in: .confirmed), lost]),
        ]
        rules += (others + [label]).map { Rule(in: chain, [.addConnectionLabel($0)]) }
        rules += [isOnWay, Rule(in: chain, [lost])]
        return rules
    }
}
