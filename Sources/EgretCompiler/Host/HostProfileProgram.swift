// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNftables

/// The two chains that endpoints with the same pair of programs share.
struct HostProfileProgram {
    let number: Int
    let egress: PolicyProgram?
    let ingress: PolicyProgram?
    /// Whether there is a chain for what the endpoints' names need.
    var hasNames = false

    var fromChain: String { HostProfileProgram.fromChain(number) }
    var toChain: String { HostProfileProgram.toChain(number) }

    static func fromChain(_ number: Int) -> String { "from-\(number)" }
    static func toChain(_ number: Int) -> String { "to-\(number)" }
    static func namesChain(_ number: Int) -> String { "names-\(number)" }

    var chains: [String] { [fromChain, toChain] + (hasNames ? [HostProfileProgram.namesChain(number)] : []) }

    /// What leads a packet through the chains.
    var rules: [Rule] { departures + arrivals + (hasNames ? naming : []) }

    /// What leads the endpoints' questions, and their connections to names, to the proxies.
    private var naming: [Rule] {
        let verdict = egress?.leadingChain.map { Verdict.goto($0) } ?? .return
        return [Rule(in: HostProfileProgram.namesChain(number), [.verdict(verdict)])]
    }

    /// What the endpoints send: packets of connections that they began meet the egress program, and answers to
    /// connections that others began the ingress program.
    private var departures: [Rule] {
        if egress == nil && ingress == nil { return [Rule(in: fromChain, [.verdict(.return)])] }
        var rules = admitted(in: fromChain, original: egress, reply: ingress)
        rules += [
            // The host's own connections to its endpoints pass.
            Rule(in: fromChain, [Direction.reply.statement, .equal(.outputInterface, 0), .verdict(.return)])
        ]
        rules += neighbourDiscovery
        rules += judgement(in: fromChain, original: egress?.egressChain, reply: ingress?.replyChain)
        return rules
    }

    /// What the endpoints are sent.
    private var arrivals: [Rule] {
        if egress == nil && ingress == nil { return [Rule(in: toChain, [.verdict(.return)])] }
        return admitted(in: toChain, original: ingress, reply: egress) + related(original: ingress, reply: egress)
            + judgement(in: toChain, original: ingress?.egressChain, reply: egress?.replyChain)
    }

    /// Packets of connections that the current program has admitted.
    ///
    /// DCCP and UDP-Lite are judged packet by packet: a kernel without tracking for them knows their connections without
    /// ports, so that one admitted port would admit all.
    private func admitted(in chain: String, original: PolicyProgram?, reply: PolicyProgram?) -> [Rule] {
        let hasTrackedPorts = [IPProtocol.dccp, .udplite].map {
            Statement.notEqual(.transportProtocol, UInt128($0.rawValue))
        }
        return [(original, Direction.original), (reply, .reply)].compactMap { program, direction in
            program.map { program in
                Rule(
                    in: chain,
                    [
                        program.generation.isOnConnection, direction.statement,
                        .connectionState(in: [.established, .new]),
                    ] + hasTrackedPorts + [.verdict(.return)])
            }
        }
    }

    /// Errors about admitted connections: any router on the way sends them, so their source says nothing.
    private func related(original: PolicyProgram?, reply: PolicyProgram?) -> [Rule] {
        [(original, Direction.original), (reply, .reply)].flatMap { program, direction -> [Rule] in
            guard let program else { return [] }
            return [IPProtocol.icmp, .icmpv6].map { number in
                Rule(
                    in: toChain,
                    [
                        program.generation.isOnConnection, direction.statement, .connectionState(in: .related),
                        .equal(.transportProtocol, UInt128(number.rawValue)), .verdict(.return),
                    ])
            }
        }
    }

    /// Neighbour solicitations and advertisements to the host, which connection tracking leaves alone. What they may
    /// say has been checked at the interface.
    private var neighbourDiscovery: [Rule] {
        [UInt128(135), 136].map { type in
            Rule(
                in: fromChain,
                [
                    .equal(.outputInterface, 0), .connectionState(in: .untracked),
                    .equal(.transportProtocol, UInt128(IPProtocol.icmpv6.rawValue)), .equal(.icmpv6Type, type),
                    .verdict(.return),
                ])
        }
    }

    /// A packet of neither direction belongs to no connection, and has been dropped before.
    private func judgement(in chain: String, original: String?, reply: String?) -> [Rule] {
        [Rule(in: chain, [.connectionState(in: [.invalid, .untracked]), .verdict(.goto(HostBase.invalid))])]
            + AddressFamily.allCases.map { family in
                // What an endpoint sends to itself, by a published port, nobody judges. Without one it needs no way
                // over the host: then the address was its own once, and is somebody else's.
                Rule(
                    in: chain,
                    [
                        family.isPackets, .connectionStatus(in: .destinationTranslated),
                        .inConcatenatedSet([family.source, family.destination], HostBase.selves(family)),
                        .verdict(.return),
                    ])
            }
            + [
                Rule(in: chain, [Direction.original.statement, .verdict(original.map { .goto($0) } ?? .return)]),
                Rule(in: chain, [Direction.reply.statement, .verdict(reply.map { .goto($0) } ?? .return)]),
                Rule(in: chain, [.verdict(.drop)]),
            ]
    }
}

extension Generation {
    /// Goes on only if the packet's connection carries the generation.
    var isOnConnection: Statement { .equal(.connectionMark(mask: Generation.mask), UInt128(mark)) }
}
