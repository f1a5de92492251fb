// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
public import EgretNftables

/// One endpoint's own objects: the checks on its frames, its chains, and its place in the maps.
public struct EndpointProgram: Hashable, Sendable {
    /// The endpoint's part of the packet table.
    public var packets: TableProgram
    /// The endpoint's part of the frame table.
    public var frames: TableProgram
    /// The counters of what was refused before the policy was asked.
    public var counters: Counters

    /// Names of counters, which are also the prefixes of log records.
    public struct Counters: Hashable, Sendable {
        /// Frames whose source is not the endpoint's: hardware address, address, ARP sender or ND target.
        public var spoofed: String
        /// Packets that connection tracking does not understand.
        public var invalid: String
        /// New connections from elsewhere to the endpoint.
        public var inbound: String
        /// What the kernel at the endpoint's end says by itself to find routers and multicast listeners; it is
        /// dropped without a log record.
        public var housekeeping: String
    }

    /// The name of the chain in `frames`.
    public let frameChain: String

    /// Makes the objects for an endpoint that obeys a policy program.
    ///
    /// - Parameters:
    ///   - endpoint: The endpoint.
    ///   - policy: The policy that it obeys.
    ///   - logGroup: The nfnetlink_log group that refused packets go to.
    public init(_ endpoint: Endpoint, obeying policy: PolicyProgram, logGroup: UInt16) {
        let name = endpoint.interface.rawValue
        counters = Counters(
            spoofed: "\(name)-spoofed",
            invalid: "\(name)-invalid",
            inbound: "\(name)-inbound",
            housekeeping: "\(name)-housekeeping"
        )
        frameChain = name
        packets = EndpointProgram.packets(endpoint, obeying: policy, counters: counters, logGroup: logGroup)
        frames = FrameChecks(
            table: BaseProgram.frameTable, chain: name, device: name, hardwareAddress: endpoint.hardwareAddress,
            addresses: endpoint.addresses, isOfRun: true, queueIndex: endpoint.queueIndex
        ).program(logGroup: logGroup)
    }

    /// The steps that move an endpoint from one policy to another without a packet in between.
    ///
    /// The new policy's objects must be in the table since an earlier transaction, and the old one's stay until a
    /// later one, or packets on their way miss elements of either. Connections that the old policy admitted carry
    /// its generation and are judged anew, in both directions, from the first packet after the transaction.
    public static func switching(_ endpoint: Endpoint, to policy: PolicyProgram, logGroup: UInt16) -> [Operation] {
        let program = EndpointProgram(endpoint, obeying: policy, logGroup: logGroup).packets
        return program.chains.map { .flushChain($0.name) } + program.rules.map { .addRule($0) }
    }

    private static func packets(
        _ endpoint: Endpoint,
        obeying policy: PolicyProgram,
        counters: Counters,
        logGroup: UInt16
    ) -> TableProgram {
        let from = "from-\(endpoint.interface)"
        let to = "to-\(endpoint.interface)"
        let index = UInt128(endpoint.interfaceIndex)
        var program = TableProgram(table: BaseProgram.table)
        program.counters = [Counter(counters.invalid), Counter(counters.inbound)]
        program.limits = [RateLimit("\(endpoint.interface)-log", packetsPerSecond: 50, burst: 100)]
        program.chains = [Chain(from), Chain(to)]
        program.rules = admitted(by: policy.generation, in: from) + answers(in: from)
        program.rules += refusal(
            in: from,
            when: [.connectionState(in: [.invalid, .untracked])],
            counters.invalid,
            limit: "\(endpoint.interface)-log",
            logGroup: logGroup
        )
        // Nobody begins a connection to an endpoint: the other one's chain refuses it, and its report says so.
        program.rules.append(
            Rule(in: from, [Direction.original.statement, .verdictMap(.outputInterface, BaseProgram.receivers)]))
        program.rules.append(Rule(in: from, [.verdict(.goto(policy.egressChain))]))
        program.rules += admitted(by: policy.generation, in: to)
        program.rules.append(
            Rule(
                in: to,
                [
                    Direction.reply.statement, .connectionState(in: .established),
                    .verdict(.goto(policy.replyChain)),
                ]
            )
        )
        program.rules += refusal(
            in: to,
            when: [],
            counters.inbound,
            limit: "\(endpoint.interface)-log",
            logGroup: logGroup
        )
        program.memberships = [
            Set(
                BaseProgram.senders,
                keyType: .interfaceIndex,
                mapsToVerdict: true,
                contents: .elements([SetElement(index, verdict: .goto(from))])
            ),
            Set(
                BaseProgram.receivers,
                keyType: .interfaceIndex,
                mapsToVerdict: true,
                contents: .elements([SetElement(index, verdict: .goto(to))])
            ),
        ]
        if let address = endpoint.ipv4 {
            program.memberships.append(
                Set("sources4", keyType: .ipv4Address, contents: .elements([SetElement(.v4(address))]))
            )
        }
        if let address = endpoint.ipv6 {
            program.memberships.append(
                Set("sources6", keyType: .ipv6Address, contents: .elements([SetElement(.v6(address))]))
            )
        }
        return program
    }

    /// Packets of connections that the current policy has admitted, and ICMP errors about those.
    ///
    /// A connection that a helper announced (`related`, not ICMP) inherits the mark of its parent. It is not
    /// what the policy admitted and is judged as new.
    ///
    /// DCCP and UDP-Lite are judged packet by packet: a kernel without tracking for them knows their connections
    /// without ports, so that one admitted port would admit all.
    private static func admitted(by generation: Generation, in chain: String) -> [Rule] {
        let isAdmitted = Statement.equal(.connectionMark(mask: Generation.mask), UInt128(generation.mark))
        let hasTrackedPorts = [IPProtocol.dccp, .udplite].map {
            Statement.notEqual(.transportProtocol, UInt128($0.rawValue))
        }
        let isOfConnection: [Statement] = [isAdmitted, .connectionState(in: [.established, .new])]
        return [Rule(in: chain, isOfConnection + hasTrackedPorts + [.verdict(.accept)])]
            + [IPProtocol.icmp, .icmpv6].map { number in
                Rule(
                    in: chain,
                    [
                        isAdmitted, .connectionState(in: .related),
                        .equal(.transportProtocol, UInt128(number.rawValue)), .verdict(.accept),
                    ]
                )
            }
    }

    /// What an endpoint sends in answer to connections that others began.
    ///
    /// Towards another endpoint, that one's policy decides whether it still wants the answer.
    private static func answers(in chain: String) -> [Rule] {
        [
            Rule(in: chain, [Direction.reply.statement, .verdictMap(.outputInterface, BaseProgram.receivers)]),
            Rule(
                in: chain,
                [Direction.reply.statement, .connectionState(in: .established), .verdict(.accept)]
            ),
        ]
            + [IPProtocol.icmp, .icmpv6].map { number in
                Rule(
                    in: chain,
                    [
                        Direction.reply.statement, .connectionState(in: .related),
                        .equal(.transportProtocol, UInt128(number.rawValue)), .verdict(.accept),
                    ]
                )
            }
    }

    /// Counts, logs under a limit, and drops.
    static func refusal(
        in chain: String,
        when condition: [Statement],
        _ counter: String,
        limit: String,
        logGroup: UInt16
    ) -> [Rule] {
        [
            Rule(in: chain, condition + [.counter(counter)]),
            Rule(
                in: chain,
                condition + [
                    .limit(limit), .log(group: logGroup, prefix: counter, snapLength: 128, queueThreshold: 1),
                ]
            ),
            Rule(in: chain, condition + [.verdict(.drop)]),
        ]
    }
}
