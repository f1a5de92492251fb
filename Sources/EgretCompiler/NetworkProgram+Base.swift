// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
public import EgretNftables

extension NetworkProgram {
    /// The table for translated addresses and published ports.
    public static let table = Table(family: .inet, name: "egret-nat")

    /// What the table holds before the first network.
    ///
    /// The nat hooks run just before the place where other tools translate (priorities -100 and 100): the first one
    /// that translates a connection decides.
    public static let base: TableProgram = {
        var program = TableProgram(table: table)
        program.chains = [
            Chain("guard", base: BaseChain(kind: .filter, hook: .prerouting, priority: -300)),
            Chain(sources),
            Chain("published"),
            Chain("prerouting", base: BaseChain(kind: .nat, hook: .prerouting, priority: -110)),
            Chain("output", base: BaseChain(kind: .nat, hook: .output, priority: -110)),
            Chain("postrouting", base: BaseChain(kind: .nat, hook: .postrouting, priority: 90)),
        ]
        program.sets = [links, endpointLinks].map { Set($0, keyType: .interfaceIndex) }
        for family in AddressFamily.allCases {
            program.sets += [
                Set(family.published, concatenating: .inetProtocol, [.inetService]),
                Set(family.publishedAt, concatenating: family.dataType, [.inetProtocol, .inetService]),
                Set(family.endpointSources, keyType: family.dataType, mapsToVerdict: true),
                Set(family.sources, keyType: family.dataType, hasIntervals: true, mapsToVerdict: true),
            ]
        }
        program.rules = loopbackGuard + sourceGuard + lookUps
        program.rules += ["prerouting", "output"].map { Rule(in: $0, [.verdict(.jump("published"))]) }
        program.rules +=
            [hairpin]
            + AddressFamily.allCases.map { family in
                Rule(in: "postrouting", [family.isPackets, .verdictMap(family.source, family.sources)])
            }
        return program
    }()

    /// The interfaces that lead to networks.
    static let links = "links"
    /// Those of them that lead to one endpoint each.
    static let endpointLinks = "endpoint-links"
    /// The chain for the sources of what comes in by these.
    static let sources = "sources"

    /// Networks' interfaces let packets to 127.0.0.0/8 through to the routing decision (`route_localnet`), so that
    /// the host reaches published ports by 127.0.0.1. What arrives there from or for those addresses is dropped as
    /// the kernel would have done: before tracking puts the addresses of answers back.
    private static let loopbackGuard: [Rule] = [Selector.ipv4Source, .ipv4Destination].map { selector in
        Rule(
            in: "guard",
            [
                .inSet(.inputInterface, links), AddressFamily.ipv4.isPackets,
                .inPrefix(selector, loopback), .anonymousCounter, .verdict(.drop),
            ]
        )
    }

    /// What `rp_filter` does for IPv4: who speaks from an address that the host would answer elsewhere is not heard. Neighbour
    /// discovery stays on the link, and its addresses are link-local, none at all (RFC 4862, section 5.4.2) or the sender's.
    ///
    /// Not at bridges: there the hook may also see what goes from port to port (`br_netfilter`), of which the host knows no way.
    private static let sourceGuard: [Rule] =
        [
            Rule(
                in: "guard",
                [.inSet(.inputInterface, endpointLinks), AddressFamily.ipv6.isPackets, .verdict(.jump(sources))])
        ]
        + [
            [.inPrefix(.ipv6Source, FrameChecks.linkLocal), .verdict(.return)],
            [.equal(.ipv6Source, 0), .verdict(.return)],
            [.equal(.transportProtocol, 58), .equal(.icmpv6Type, 135), .verdict(.return)],
            [.equal(.transportProtocol, 58), .equal(.icmpv6Type, 136), .verdict(.return)],
            [.equal(.answeringInterface, 0), .anonymousCounter, .verdict(.drop)],
        ].map { Rule(in: sources, $0) }

    /// A port that is published at one address goes before the same one published at all addresses.
    ///
    /// ::1 leads to the host itself only: the kernel sends nothing from ::1 by another interface, whatever the
    /// switches, and a client of `localhost` that is refused there at once goes on to 127.0.0.1.
    private static let lookUps: [Rule] =
        [
            Rule(
                in: "published",
                [
                    AddressFamily.ipv6.isPackets, .equal(.ipv6Destination, PublishedPort.unreachableHost.rawValue),
                    .verdict(.return),
                ]
            )
        ]
        + AddressFamily.allCases.map { family in
            Rule(
                in: "published",
                [
                    family.isPackets,
                    .concatenatedVerdictMap(
                        [family.destination, .transportProtocol, .destinationPort], family.publishedAt),
                ]
            )
        }
        + AddressFamily.allCases.map { family in
            Rule(
                in: "published",
                [
                    family.isPackets, .equal(.destinationAddressType, AddressType.local.rawValue),
                    .concatenatedVerdictMap([.transportProtocol, .destinationPort], family.published),
                ]
            )
        }

    /// Answers to a loopback address would not find their way back.
    private static let hairpin = Rule(
        in: "postrouting",
        [
            .connectionStatus(in: .destinationTranslated), AddressFamily.ipv4.isPackets,
            .inSet(.outputInterface, links), .inPrefix(.ipv4Source, loopback), .anonymousCounter, .masquerade,
        ]
    )

    /// 127.0.0.0/8: the addresses by which the host reaches itself.
    static let loopback =
        IPPrefix(.v4(IPv4Address(rawValue: 0x7f00_0000)), length: 8)
        ?? IPPrefix(.v4(IPv4Address(rawValue: 0x7f00_0001)))
}

extension AddressFamily {
    /// Goes on only with packets of the family (`NFPROTO_*`).
    var isPackets: Statement { .equal(.networkProtocol, self == .ipv4 ? 2 : 10) }

    var source: Selector { self == .ipv4 ? .ipv4Source : .ipv6Source }

    var destination: Selector { self == .ipv4 ? .ipv4Destination : .ipv6Destination }

    /// The selector of the address that a packet's connection was going to, before any translation.
    var originalDestination: Selector { self == .ipv4 ? .originalIPv4Destination : .originalIPv6Destination }

    var dataType: DataType { self == .ipv4 ? .ipv4Address : .ipv6Address }

    /// The map from the protocols and ports that are published at all of the host's addresses.
    var published: String { self == .ipv4 ? "published4" : "published6" }

    /// The map from an address of the host, a protocol and a port.
    var publishedAt: String { self == .ipv4 ? "published-at4" : "published-at6" }

    /// The map from endpoints with source addresses of their own.
    var endpointSources: String { self == .ipv4 ? "endpoint4" : "endpoint6" }

    /// The map from networks' addresses.
    var sources: String { self == .ipv4 ? "source4" : "source6" }
}
