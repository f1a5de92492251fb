// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNftables

/// The checks at the host's end of an endpoint's wire, before anything else sees a frame: own hardware address, own
/// addresses, address resolution and neighbour discovery about these, and nothing else.
struct FrameChecks {
    let table: Table
    /// The name of the chain, and the beginning of its counters' names.
    let chain: String
    let device: String
    let hardwareAddress: MACAddress
    let addresses: [IPAddress]
    /// Whether the endpoint is a run's, whose interface has no addresses of its own making.
    let isOfRun: Bool
    /// The index of the interface that what passes waits in, where its rate is limited.
    var queueIndex: UInt32?

    private var hardware: UInt128 { UInt128(hardwareAddress.rawValue) }
    private var spoofed: String { "\(chain)-spoofed" }
    private var housekeeping: String { "\(chain)-housekeeping" }

    func program(logGroup: UInt16) -> TableProgram {
        var program = TableProgram(table: table)
        program.counters = [Counter(spoofed), Counter(housekeeping)]
        program.limits = [RateLimit("\(chain)-log", packetsPerSecond: 50, burst: 100)]
        program.chains = [
            Chain(
                chain,
                base: BaseChain(kind: .filter, hook: .ingress, priority: -500, device: device, policy: .drop)
            )
        ]
        program.rules =
            packets + neighbourDiscovery + addressResolution
            + EndpointProgram.refusal(in: chain, when: [], spoofed, limit: "\(chain)-log", logGroup: logGroup)
        return program
    }

    /// What a queue holds comes back to this interface when its time has come, and past this hook.
    private var passing: Statement { queueIndex.map { .forward(toInterface: $0) } ?? .verdict(.accept) }

    private func own(_ family: AddressFamily) -> [UInt128] {
        addresses.filter { $0.family == family }.map(\.rawValue)
    }

    /// The frames of every connection come first: own hardware address and own address.
    ///
    /// Their two look-ups are what every packet pays; nft lists the first, hardware address and type in one, as bytes.
    private var packets: [Rule] {
        func isOwnFrame(_ type: EtherType) -> Statement {
            .equal(.etherSourceAndType, hardware << 16 | type.rawValue)
        }
        let isOrdinary = Statement.notEqual(.transportProtocol, UInt128(IPProtocol.icmpv6.rawValue))
        return own(.ipv4).map { address in
            Rule(in: chain, [isOwnFrame(.ipv4), .equal(.ipv4Source, address), passing])
        }
            + own(.ipv6).map { address in
                Rule(in: chain, [isOwnFrame(.ipv6), .equal(.ipv6Source, address), isOrdinary, passing])
            }
    }

    /// ARP (RFC 826): requests and replies that name the endpoint as their sender.
    private var addressResolution: [Rule] {
        own(.ipv4).flatMap { address in
            [UInt128(1), 2].map { operation in
                Rule(
                    in: chain,
                    [
                        .equal(.etherSource, hardware), .equal(.etherType, EtherType.arp.rawValue),
                        .equal(.arpOperation, operation), .equal(.arpSenderEther, hardware),
                        .equal(.arpSenderIPv4, address), .verdict(.accept),
                    ]
                )
            }
        }
    }

    /// Neighbour discovery (RFC 4861): no router may announce itself or redirect, and an advertisement must be
    /// about an address of the endpoint's own.
    private var neighbourDiscovery: [Rule] {
        let addresses = own(.ipv6)
        if addresses.isEmpty { return [] }
        func drop(_ type: UInt128, _ rest: [Statement], _ counter: String) -> Rule {
            Rule(in: chain, isMessage(type) + rest + [.counter(counter), .verdict(.drop)])
        }
        var rules = NeighbourMessage.housekeeping.map { drop($0, [], housekeeping) }
        rules += NeighbourMessage.refused.map { drop($0, [], spoofed) }
        if !isOfRun {
            // Whether an address is free, nobody is asked: the answer would be the host's, on behalf of its owner.
            rules.append(drop(NeighbourMessage.solicitation, [.equal(.ipv6Source, 0)], housekeeping))
            rules.append(
                Rule(
                    in: chain,
                    isMessage(NeighbourMessage.solicitation) + [
                        .equal(.etherSource, hardware), .inPrefix(.ipv6Source, FrameChecks.linkLocal),
                        .verdict(.accept),
                    ]))
        }
        if addresses.count == 1 {
            rules.append(
                drop(NeighbourMessage.advertisement, [.notEqual(.neighbourTarget, addresses[0])], spoofed))
        } else {
            rules += addresses.flatMap { source in addresses.map { (source, $0) } }.map { source, target in
                Rule(
                    in: chain,
                    isMessage(NeighbourMessage.advertisement) + [
                        .equal(.etherSource, hardware), .equal(.ipv6Source, source), .equal(.neighbourTarget, target),
                        .verdict(.accept),
                    ])
            }
            rules.append(drop(NeighbourMessage.advertisement, [], spoofed))
        }
        return rules
            + addresses.map { address in
                Rule(
                    in: chain,
                    [
                        .equal(.etherSource, hardware), .equal(.etherType, EtherType.ipv6.rawValue),
                        .equal(.ipv6Source, address), passing,
                    ]
                )
            }
    }

    private func isMessage(_ type: UInt128) -> [Statement] {
        [
            .equal(.etherType, EtherType.ipv6.rawValue),
            .equal(.transportProtocol, UInt128(IPProtocol.icmpv6.rawValue)), .equal(.icmpv6Type, type),
        ]
    }

    /// fe80::/10 (RFC 4291 section 2.5.6).
    static let linkLocal =
        IPPrefix(IPAddress(family: .ipv6, rawValue: 0xfe80 << 112), length: 10)
        ?? IPPrefix(IPAddress(family: .ipv6, rawValue: 0xfe80 << 112))
}

/// `ETH_P_*` in `linux/if_ether.h`.
private enum EtherType: UInt128 {
    case ipv4 = 0x0800
    case arp = 0x0806
    case ipv6 = 0x86dd
}

/// Types of ICMPv6 messages (RFC 4861 section 4, RFC 3810 section 5).
private enum NeighbourMessage {
    static let solicitation: UInt128 = 135
    static let advertisement: UInt128 = 136
    /// Router solicitation and multicast listener reports: the kernel sends them when an interface comes up.
    static let housekeeping: [UInt128] = [131, 132, 133, 143]
    /// Router advertisement and redirect: only a router sends them.
    static let refused: [UInt128] = [134, 137]
}
