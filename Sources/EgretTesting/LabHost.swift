// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// A machine of the test internet: a network namespace with a name, addresses and services.
///
/// The addresses are from the ranges kept for documentation (RFC 5737, RFC 3849), so that nothing here can ever
/// be mistaken for a machine of the real internet.
public struct LabHost: Hashable, Sendable {
    /// Short name: `web1`. The namespace is called after the lab and the host: `lab-web1`.
    public var name: String
    /// Its IPv4 address.
    public var ipv4: IPv4Address
    /// Its global IPv6 address.
    public var ipv6: IPv6Address
    /// The names the lab's DNS server has for it.
    public var domainNames: [String]
    /// What it answers on.
    public var services: [LabService]

    /// Both addresses, IPv4 first.
    public var addresses: [IPAddress] { [.v4(ipv4), .v6(ipv6)] }
}

extension LabHost {
    /// The machine where Egret runs: the user's own, with one uplink and with forwarding switched off.
    public static let home = LabHost(
        name: "home",
        ipv4: IPv4Address(192, 0, 2, 2),
        ipv6: IPv6Address(rawValue: 0x2001_0db8_ffff_0000_0000_0000_0000_0002),
        domainNames: [],
        services: []
    )

    /// The provider's router, between ``home`` and everything else.
    public static let isp = LabHost(
        name: "isp",
        ipv4: IPv4Address(192, 0, 2, 1),
        ipv6: IPv6Address(rawValue: 0x2001_0db8_ffff_0000_0000_0000_0000_0001),
        domainNames: [],
        services: []
    )

    /// A web server, `www.example.test`.
    public static let web1 = LabHost(
        name: "web1",
        ipv4: IPv4Address(203, 0, 113, 10),
        ipv6: IPv6Address(rawValue: 0x2001_0db8_0113_0000_0000_0000_0000_0010),
        domainNames: ["www.example.test", "web1.example.test", "example.test"],
        services: friendlyServices
    )

    /// Another web server, `files.example.test`, in the same network as ``web1``.
    public static let web2 = LabHost(
        name: "web2",
        ipv4: IPv4Address(203, 0, 113, 11),
        ipv6: IPv6Address(rawValue: 0x2001_0db8_0113_0000_0000_0000_0000_0011),
        domainNames: ["files.example.test", "web2.example.test"],
        services: friendlyServices
    )

    /// The resolver, which knows `example.test` and nothing else.
    public static let dns = LabHost(
        name: "dns",
        ipv4: IPv4Address(203, 0, 113, 53),
        ipv6: IPv6Address(rawValue: 0x2001_0db8_0113_0000_0000_0000_0000_0053),
        domainNames: ["dns.example.test"],
        services: [LabService(.dns, 53)]
    )

    /// The machine that must hear nothing: it listens on many ports and writes down what arrives.
    public static let attacker = LabHost(
        name: "attacker",
        ipv4: IPv4Address(198, 51, 100, 66),
        ipv6: IPv6Address(rawValue: 0x2001_0db8_0051_0000_0000_0000_0000_0066),
        domainNames: ["attacker.example.test"],
        services: [22, 25, 53, 80, 443, 853, 4444, 8080, 8443].map { LabService(.sink, $0) }
            + [53, 123, 443, 853, 4444, 5353].map { LabService(.udpSink, $0) }
            + [LabService(.echo, 7), LabService(.udpEcho, 7), LabService(.udpEcho, 9999), LabService(.push, 9001)]
    )

    /// A harmless neighbour of ``attacker``, in the same network.
    public static let friend = LabHost(
        name: "friend",
        ipv4: IPv4Address(198, 51, 100, 20),
        ipv6: IPv6Address(rawValue: 0x2001_0db8_0051_0000_0000_0000_0000_0020),
        domainNames: ["friend.example.test"],
        services: friendlyServices
    )

    /// Every machine, in the order in which they are built.
    public static let all = [isp, home, web1, web2, dns, attacker, friend]

    /// The machine with the short name `name`, if there is one.
    public init?(named name: String) {
        guard let host = LabHost.all.first(where: { $0.name == name }) else { return nil }
        self = host
    }

    private static let friendlyServices = [
        LabService(.http, 80), LabService(.http, 8080), LabService(.https, 443), LabService(.https, 8443),
        LabService(.echo, 7), LabService(.udpEcho, 7), LabService(.udpEcho, 9999), LabService(.push, 9001),
    ]
}
