// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNftables

/// Bridges that let nothing pass but what policed endpoints send and are sent.
///
/// A container's interface is there before anybody can say whose it is. On such a bridge that does no harm: what has no policy
/// has no way out either, whether the agent is late, restarts, or does not run. Bridges are known by their names: the
/// rules wait for a bridge that is made later.
///
/// Frames between two ports of one bridge that are both unknown stay on that bridge, and are not held back.
enum Quarantine {
    /// What was to pass a quarantined bridge.
    static let counter = "quarantined"
    /// The chain for packets from a quarantined bridge.
    static let from = "quarantine-from"
    /// The chain for packets to a quarantined bridge.
    static let to = "quarantine-to"
    /// Where frames come in at a bridge's port.
    static let arriving = "arriving"
    /// The set of all policed endpoints' hardware addresses.
    static let hardware = "hardware"

    /// The set of pairs of a bridge and an address of an endpoint on it.
    static func known(_ family: AddressFamily) -> String { family == .ipv4 ? "known4" : "known6" }

    /// Adds to the packet table: what comes from such a bridge, or goes to it, must be a known endpoint's there.
    static func quarantine(_ bridges: [BridgePattern], in program: inout TableProgram) {
        if bridges.isEmpty { return }
        program.counters.append(Counter(counter))
        program.chains += [Chain(from), Chain(to)]
        var rules: [Rule] = []
        for pattern in Swift.Set(bridges).sorted() {
            for hook in ["forward", "input"] {
                rules.append(
                    Rule(in: hook, [.equal(.inputName(length: pattern.length), pattern.value), .verdict(.jump(from))]))
            }
            rules.append(
                Rule(in: "forward", [.equal(.outputName(length: pattern.length), pattern.value), .verdict(.jump(to))]))
        }
        for family in AddressFamily.allCases {
            var set = Set(known(family), keyType: .interfaceIndex)
            set.furtherKeyTypes = [family.dataType]
            program.sets.append(set)
            rules += [
                Rule(
                    in: from,
                    [
                        family.isPackets, .inConcatenatedSet([.inputInterface, family.source], known(family)),
                        .verdict(.return),
                    ]),
                Rule(
                    in: to,
                    [
                        family.isPackets, .inConcatenatedSet([.outputInterface, family.destination], known(family)),
                        .verdict(.return),
                    ]),
            ]
        }
        // Who probes whether the host is still there speaks from its link-local address (RFC 4861 section 7.2.2). The
        // frames of endpoints are checked; of anybody else's the host learns nothing but that address.
        rules.append(
            Rule(
                in: from,
                [
                    AddressFamily.ipv6.isPackets, .inPrefix(.ipv6Source, FrameChecks.linkLocal),
                    .equal(.transportProtocol, 58), .equal(.icmpv6Type, 135), .equal(.outputInterface, 0),
                    .verdict(.return),
                ]))
        rules += [from, to].map { Rule(in: $0, [.counter(counter), .verdict(.drop)]) }
        program.rules = rules + program.rules
    }

    /// Adds to the bridge table: a port that is nobody's must not speak for a known endpoint.
    static func guarding(_ bridges: [BridgePattern], in program: inout TableProgram) {
        if bridges.isEmpty { return }
        program.chains.append(
            Chain(arriving, base: BaseChain(kind: .filter, hook: .prerouting, priority: -300)))
        program.sets += AddressFamily.allCases.map { Set(HostBase.members($0), keyType: $0.dataType) }
        program.sets.append(Set(hardware, keyType: .etherAddress))
        let strange = Statement.notInSet(.inputInterface, HostBase.ports)
        let (four, six) = (HostBase.members(.ipv4), HostBase.members(.ipv6))
        program.rules += [
            // The bridge would send there what is the endpoint's.
            [strange, .inSet(.etherSource, hardware)],
            // The kernel takes off as many tags of VLAN 0 as there are; the type is what stands behind the first.
            [strange, .equal(.etherType, 0x8100)],
            [strange, .equal(.etherType, 0x88a8)],
            [strange, .equal(.etherType, 0x0800), .inSet(.ipv4Source, four)],
            [strange, .equal(.etherType, 0x0806), .inSet(.arpSenderIPv4, four)],
            [strange, .equal(.etherType, 0x86dd), .inSet(.ipv6Source, six)],
            [
                strange, .equal(.etherType, 0x86dd), .equal(.transportProtocol, 58), .equal(.icmpv6Type, 136),
                .inSet(.neighbourTarget, six),
            ],
        ].map { Rule(in: arriving, $0 + [.verdict(.drop)]) }
    }

    /// What makes an endpoint known.
    static func memberships(of endpoint: HostEndpoint) -> [Membership] {
        guard let bridge = endpoint.bridgeIndex else { return [] }
        let own = Set(
            hardware, keyType: .etherAddress,
            contents: .elements([SetElement(UInt128(endpoint.hardwareAddress.rawValue))]))
        return [Membership(own, in: HostBase.bridgeTable)]
            + AddressFamily.allCases.flatMap { family -> [Membership] in
                let own = endpoint.addresses.filter { $0.family == family }
                if own.isEmpty { return [] }
                var known = Set(
                    known(family), keyType: .interfaceIndex,
                    contents: .elements(own.map { SetElement(UInt128(bridge), [$0.rawValue]) }))
                known.furtherKeyTypes = [family.dataType]
                let members = Set(
                    HostBase.members(family), keyType: family.dataType, contents: .elements(own.map { SetElement($0) }))
                return [Membership(known), Membership(members, in: HostBase.bridgeTable)]
            }
    }
}
