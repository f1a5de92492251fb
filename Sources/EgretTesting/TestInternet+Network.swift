// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

extension TestInternet {
    /// Makes namespaces, links, addresses and routes.
    ///
    /// The links are made inside the namespaces, never in the caller's.
    func buildNetwork() throws(LabError) {
        try batch(LabHost.all.map { "netns add \(namespaceName(of: $0))" })
        for host in LabHost.all {
            // An inherited setting would hide a mistake: home must not forward until Egret switches it on.
            let forwards = host == .isp ? 1 : 0
            let settings = [
                "net.ipv4.ip_forward=\(forwards)", "net.ipv6.conf.all.forwarding=\(forwards)",
                "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0",
                "net.ipv6.conf.all.accept_ra=0", "net.ipv6.conf.default.accept_ra=0",
            ]
            try perform("setting up \(host.name)", ["sysctl", "-qw"] + settings, in: host)
        }
        try batch(LabHost.all.filter { $0 != .isp }.map(link))
        try batch(routerSetup, in: .isp)
        for host in LabHost.all where host != .isp { try batch(setup(of: host), in: host) }
    }

    private func link(for host: LabHost) -> String {
        let (inside, router) = (namespaceName(of: host), namespaceName(of: .isp))
        return "link add eth0 netns \(inside) type veth peer name \(host.name) netns \(router)"
    }

    private var routerSetup: [String] {
        var lines = ["link set dev lo up"] + addresses("192.0.2.1/30", "2001:db8:ffff::1/64", on: "home")
        for network in LabNetwork.all {
            lines.append("link add \(network.name) type bridge forward_delay 0 stp_state 0")
            lines += network.hosts.map { "link set dev \($0.name) master \(network.name) up" }
            lines += addresses("\(network.gatewayIPv4)/24", "\(network.gatewayIPv6)/64", on: network.name)
        }
        return lines
    }

    private func setup(of host: LabHost) -> [String] {
        let network = LabNetwork.all.first { $0.hosts.contains(host) }
        let gateways = network.map { ($0.gatewayIPv4, $0.gatewayIPv6) } ?? (LabHost.isp.ipv4, LabHost.isp.ipv6)
        let length = network == nil ? 30 : 24
        return ["link set dev lo up"]
            + addresses("\(host.ipv4)/\(length)", "\(host.ipv6)/64", on: "eth0")
            + ["route add default via \(gateways.0)", "route add ::/0 via \(gateways.1)"]
    }

    private func addresses(_ ipv4: String, _ ipv6: String, on link: String) -> [String] {
        ["link set dev \(link) up", "addr add \(ipv4) dev \(link)", "addr add \(ipv6) dev \(link) nodad"]
    }

    private func batch(_ lines: [String], in host: LabHost? = nil) throws(LabError) {
        let namespace = host.map { ["-n", namespaceName(of: $0)] } ?? []
        let script = lines.joined(separator: "\n") + "\n"
        let output = try runTool(["ip"] + namespace + ["-batch", "-"], standardInput: script)
        guard output.succeeded else { throw LabError("building the lab's network", reason: output.complaint) }
    }
}

/// A network behind the router: a bridge in the router's namespace.
private struct LabNetwork {
    var name: String
    var gatewayIPv4: IPv4Address
    var gatewayIPv6: IPv6Address
    var hosts: [LabHost]

    static let all = [
        LabNetwork(
            name: "servers",
            gatewayIPv4: IPv4Address(203, 0, 113, 1),
            gatewayIPv6: IPv6Address(rawValue: 0x2001_0db8_0113_0000_0000_0000_0000_0001),
            hosts: [.web1, .web2, .dns]
        ),
        LabNetwork(
            name: "outside",
            gatewayIPv4: IPv4Address(198, 51, 100, 1),
            gatewayIPv6: IPv6Address(rawValue: 0x2001_0db8_0051_0000_0000_0000_0000_0001),
            hosts: [.attacker, .friend]
        ),
    ]
}
