// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretNftables

/// The objects that every endpoint of a host shares: the hooks, and the maps that lead packets to their endpoint.
public enum BaseProgram {
    /// The table for packets.
    public static let table = Table.egret
    /// The table for frames: one ingress chain for each endpoint's interface.
    public static let frameTable = Table.egretFrames

    /// The map from the interface a packet came in by to its endpoint's chain.
    static let senders = senderMap
    /// The name of the map from the interfaces that endpoints send by to their chains.
    public static let senderMap = "from"
    /// The map from the interface a packet leaves by to its endpoint's chain.
    static let receivers = "to"
    /// The set of interfaces on which Egret has switched forwarding on, for a family.
    ///
    /// The host was no router before. It forwards for endpoints and still for nobody else.
    public static func openedInterfaces(_ family: AddressFamily, _ indices: [UInt32]) -> Set {
        Set(
            family == .ipv4 ? "opened4" : "opened6",
            keyType: .interfaceIndex,
            contents: .elements(indices.sorted().map { SetElement(UInt128($0)) })
        )
    }

    /// What the packet table holds before the first endpoint.
    ///
    /// The filter hooks run just before the place where other tools filter (priority 0). Order does not decide:
    /// a packet leaves only if every table accepts it, so another tool's accept cannot undo a drop here.
    public static let program: TableProgram = {
        var program = TableProgram(table: table)
        program.chains = [
            Chain("forward", base: BaseChain(kind: .filter, hook: .forward, priority: -10)),
            Chain("input", base: BaseChain(kind: .filter, hook: .input, priority: -10)),
            Chain("postrouting", base: BaseChain(kind: .nat, hook: .postrouting, priority: 90)),
        ]
        program.sets = [
            Set(senders, keyType: .interfaceIndex, mapsToVerdict: true, size: 16_384),
            Set(receivers, keyType: .interfaceIndex, mapsToVerdict: true, size: 16_384),
            Set("sources4", keyType: .ipv4Address),
            Set("sources6", keyType: .ipv6Address),
            openedInterfaces(.ipv4, []),
            openedInterfaces(.ipv6, []),
        ]
        program.rules = [
            Rule(in: "forward", [.verdictMap(.inputInterface, senders)]),
            Rule(in: "forward", [.verdictMap(.outputInterface, receivers)]),
            Rule(in: "forward", [.equal(.networkProtocol, 2), .inSet(.inputInterface, "opened4"), .verdict(.drop)]),
            Rule(in: "forward", [.equal(.networkProtocol, 10), .inSet(.inputInterface, "opened6"), .verdict(.drop)]),
            Rule(in: "input", [.verdictMap(.inputInterface, senders)]),
            // Endpoints see each other's own addresses; the rest of the world sees the host's.
            Rule(
                in: "postrouting",
                [
                    .equal(.networkProtocol, 2), .inSet(.ipv4Source, "sources4"),
                    .notInSet(.ipv4Destination, "sources4"), .anonymousCounter, .masquerade,
                ]
            ),
            Rule(
                in: "postrouting",
                [
                    .equal(.networkProtocol, 10), .inSet(.ipv6Source, "sources6"),
                    .notInSet(.ipv6Destination, "sources6"), .anonymousCounter, .masquerade,
                ]
            ),
        ]
        return program
    }()
}
