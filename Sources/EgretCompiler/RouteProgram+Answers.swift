// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNftables

extension RouteProgram {
    /// What the host itself answers to packets of which it knows no connection: TCP resets, and ICMP errors.
    ///
    /// Such packets come when the kernel has forgotten a run's connection and the far end has not. The source of the
    /// answer is the way's address, and the main table would send it wherever its default route leads.
    static var answering: [Rule] {
        let kinds: [[Statement]] = [
            // RST.
            [.equal(.transportProtocol, 6), .equal(.tcpFlags(mask: 4), 4)],
            // Destination unreachable.
            [.equal(.transportProtocol, 1), .equal(.icmpType, 3)],
            [.equal(.transportProtocol, 58), .equal(.icmpv6Type, 1)],
        ]
        return kinds.map { Rule(in: "output", $0 + [.verdict(.jump("answers"))]) }
    }

    /// The rules of the chain `answers`: from an address of a way, and about to leave by another interface.
    func answers(in state: State) -> [Rule] {
        ways.flatMap { way -> [Rule] in
            guard let output = state.outputs[way.number] else { return [] }
            return (state.addresses[way.number] ?? []).map { address in
                let source: [Statement]
                switch address {
                case .v4: source = [.equal(.networkProtocol, 2), .equal(.ipv4Source, address.rawValue)]
                case .v6: source = [.equal(.networkProtocol, 10), .equal(.ipv6Source, address.rawValue)]
                }
                let mark = RouteMark.answer(way: way.number, slot: slot)
                return Rule(
                    in: "answers",
                    source + [
                        .notEqual(.outputInterface, UInt128(output)), .counter(RouteProgram.answeredCounter),
                        .setPacketMark(mask: RouteMark.answerMask, value: mark), .verdict(.accept),
                    ])
            }
        }
    }
}
