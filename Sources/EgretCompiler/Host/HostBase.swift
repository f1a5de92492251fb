// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
public import EgretNftables

/// The objects that all policed endpoints of networks share: the hooks, and the maps that lead packets to what decides.
///
/// They are in tables of their own, so that runs and networks, which come and go in `inet egret`, need not know of them:
/// a packet passes a hook only if the chains of every table let it.
public enum HostBase {
    /// The table for packets.
    public static let table = Table(family: .inet, name: "egret-policy")
    /// The table for frames: one ingress chain for each endpoint's interface.
    public static let frameTable = Table(family: .netdev, name: "egret-policy")
    /// The table that keeps endpoints of one bridge from reaching each other behind the host's back.
    public static let bridgeTable = Table(family: .bridge, name: "egret-policy")

    /// The map from the interface that a packet came in by to what decides about its sender.
    static let senders = "from"
    /// The map from the interface that a packet leaves by to what decides about its receiver.
    static let receivers = "to"
    /// Where the map of senders leads a bridge's packets: the second look-up, by address.
    static let bridgeSenders = "bridge-from"
    /// Where the map of receivers leads a bridge's packets.
    static let bridgeReceivers = "bridge-to"
    /// What connection tracking does not understand.
    public static let invalid = "invalid"
    /// The limit on log records of what was refused before any policy was asked.
    static let limit = "log-limit"
    /// The set of bridges' ports that lead to policed endpoints.
    static let ports = "ports"

    /// The map from bridge and source address.
    static func senders(_ family: AddressFamily) -> String { family == .ipv4 ? "from4" : "from6" }
    /// The map from bridge and destination address.
    static func receivers(_ family: AddressFamily) -> String { family == .ipv4 ? "to4" : "to6" }
    /// The set of all policed endpoints' addresses.
    static func members(_ family: AddressFamily) -> String { family == .ipv4 ? "members4" : "members6" }
    /// The set of pairs of addresses of one endpoint: what it sends to itself by way of the host.
    static func selves(_ family: AddressFamily) -> String { family == .ipv4 ? "self4" : "self6" }

    /// What the packet table holds before the first endpoint.
    ///
    /// The hooks run just behind those of runs and networks (priority -10) and before the place where other tools filter.
    ///
    /// - Parameter logGroup: The nfnetlink_log group that refused packets go to.
    /// - Returns: The chains, and the maps that endpoints' elements go to, empty.
    public static func program(logGroup: UInt16) -> TableProgram {
        var program = TableProgram(table: table)
        program.counters = [Counter(invalid)]
        program.limits = [RateLimit(limit, packetsPerSecond: 50, burst: 100)]
        program.chains = [
            Chain("forward", base: BaseChain(kind: .filter, hook: .forward, priority: -9)),
            Chain("input", base: BaseChain(kind: .filter, hook: .input, priority: -9)),
            Chain(bridgeSenders), Chain(bridgeReceivers), Chain(invalid),
        ]
        program.sets = [senders, receivers].map { map in
            Set(map, keyType: .interfaceIndex, mapsToVerdict: true, size: 65_536)
        }
        for family in AddressFamily.allCases {
            program.sets += [senders(family), receivers(family)].map { map in
                Set(map, concatenating: .interfaceIndex, [family.dataType])
            }
            program.sets += [Set(members(family), keyType: family.dataType), family.selves(of: [])]
        }
        // Each lets a packet go on by returning: the receiver is asked after the sender.
        program.rules = [
            Rule(in: "forward", [.verdictMap(.inputInterface, senders)]),
            Rule(in: "forward", [.verdictMap(.outputInterface, receivers)]),
            Rule(in: "input", [.verdictMap(.inputInterface, senders)]),
        ]
        for family in AddressFamily.allCases {
            program.rules += [
                Rule(
                    in: bridgeSenders,
                    [family.isPackets, .concatenatedVerdictMap([.inputInterface, family.source], senders(family))]),
                Rule(
                    in: bridgeReceivers,
                    [
                        family.isPackets,
                        .concatenatedVerdictMap([.outputInterface, family.destination], receivers(family)),
                    ]),
            ]
        }
        // Link-local addresses are for the host's ears only, and no policy is about them.
        program.rules.append(
            Rule(
                in: bridgeSenders,
                [
                    AddressFamily.ipv6.isPackets, .inPrefix(.ipv6Source, FrameChecks.linkLocal),
                    .notEqual(.outputInterface, 0), .verdict(.drop),
                ]))
        program.rules += [bridgeSenders, bridgeReceivers].map { Rule(in: $0, [.verdict(.return)]) }
        program.rules += [
            Rule(in: invalid, [.counter(invalid)]),
            Rule(
                in: invalid,
                [.limit(limit), .log(group: logGroup, prefix: invalid, snapLength: 128, queueThreshold: 1)]),
            Rule(in: invalid, [.verdict(.drop)]),
        ]
        return program
    }

    /// What the bridge table holds: no frame goes from port to port where one of the two is a policed endpoint's.
    public static let bridgeProgram: TableProgram = {
        var program = TableProgram(table: bridgeTable)
        program.chains = [Chain("forward", base: BaseChain(kind: .filter, hook: .forward, priority: -200))]
        program.sets = [Set(ports, keyType: .interfaceIndex)]
        program.rules = [
            Rule(in: "forward", [.inSet(.inputInterface, ports), .verdict(.drop)]),
            Rule(in: "forward", [.inSet(.outputInterface, ports), .verdict(.drop)]),
        ]
        return program
    }()
}

extension AddressFamily {
    /// The set of pairs of an endpoint's addresses, with the elements of one endpoint.
    func selves(of addresses: [IPAddress]) -> EgretNftables.Set {
        let own = addresses.filter { $0.family == self }
        let pairs = own.flatMap { source in own.map { SetElement(source.rawValue, [$0.rawValue]) } }
        var set = Set(HostBase.selves(self), keyType: dataType, contents: .elements(pairs))
        set.furtherKeyTypes = [dataType]
        return set
    }
}
