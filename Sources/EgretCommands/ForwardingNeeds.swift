// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux
import EgretRun

/// The switches of the host that a run needs: forwarding where its packets and their answers arrive, and the account
/// that connection tracking keeps of bytes.
struct ForwardingNeeds {
    private let interfaces: [UInt32: InterfaceName]
    private let hasIPv6: Bool
    private let links: [InterfaceName]

    /// - Parameters:
    ///   - links: The interfaces whose packets are passed on.
    ///   - network: The host's.
    ///   - ways: Interfaces that routes lead by, whatever the main table says.
    init(links: [InterfaceName], _ network: HostNetwork, ways: [InterfaceName] = []) {
        self.links = links
        let led = network.links.compactMapValues { name in ways.first { $0.rawValue == name } }
        interfaces = network.routedInterfaces.merging(led) { first, _ in first }
        hasIPv6 = network.hasIPv6
    }

    /// All of them, those included that stand right already.
    var switches: [HostSwitch] {
        let names = links + interfaces.values.sorted()
        return names.map { HostSwitch(path(.ipv4, $0), needed: "1") }
            + [HostSwitch("net/netfilter/nf_conntrack_acct", needed: "1")] + eventSwitch
            + (hasIPv6 && !isRouter6 ? ipv6Switches(names) : [])
    }

    /// Without events nobody hears of connections that end during the run; any position but off will do.
    private var eventSwitch: [HostSwitch] {
        let path = "net/netfilter/nf_conntrack_events"
        return (try? Sysctl(path).read()) == "0" ? [HostSwitch(path, needed: "1")] : []
    }

    /// Whether putting a switch back would undo what another tool has come to need: it has made the host a router
    /// meanwhile, and then every interface forwards.
    ///
    /// - Parameter move: The switch and its position before the run.
    /// - Returns: `true` for the per-interface switches of IPv4 while the one for all is on.
    static func isNowOthers(_ move: HostSwitch) -> Bool {
        move.path.hasPrefix("net/ipv4/conf/") && move.path.hasSuffix("/forwarding")
            && (try? Sysctl("net/ipv4/conf/all/forwarding").read()) == "1"
    }

    /// The interfaces other than the run's own that begin to forward a family by these moves.
    func interfaces(openedBy moves: [HostSwitch], _ family: AddressFamily) -> [UInt32] {
        let moved = Set(moves.map(\.path))
        let isEverywhere = family == .ipv6 && moved.contains(ForwardingNeeds.everywhere6)
        return interfaces.filter { isEverywhere || moved.contains(path(family, $0.value)) }.map(\.key)
    }

    /// Answers come by the way that a route has chosen. Where the kernel takes a packet only from the interface that the
    /// main table would answer by (`rp_filter` 1), it is told to ask only for a route back (2).
    static func answers(by interfaces: [InterfaceName]) -> [HostSwitch] {
        interfaces.compactMap { name in
            let strictness = ["all", name.rawValue].map {
                (try? Sysctl("net/ipv4/conf/\($0)/rp_filter").read()) ?? "0"
            }
            let isStrict = strictness.contains("1") && !strictness.contains("2")
            return isStrict ? HostSwitch("net/ipv4/conf/\(name)/rp_filter", needed: "2") : nil
        }
    }

    static let everywhere6 = "net/ipv6/conf/all/forwarding"

    private var isRouter6: Bool { (try? Sysctl(ForwardingNeeds.everywhere6).read()) != "0" }

    /// Linux 6.17 forwards IPv6 by the arriving interface alone.
    private var hasForce: Bool { (try? Sysctl("net/ipv6/conf/all/force_forwarding").read()) != nil }

    private func path(_ family: AddressFamily, _ name: InterfaceName) -> String {
        family == .ipv4 ? "net/ipv4/conf/\(name)/forwarding" : "net/ipv6/conf/\(name)/force_forwarding"
    }

    private func ipv6Switches(_ names: [InterfaceName]) -> [HostSwitch] {
        if hasForce { return names.map { HostSwitch(path(.ipv6, $0), needed: "1") } }
        // A router ignores router advertisements unless told to take them all the same.
        let listening = names.filter { (try? Sysctl("net/ipv6/conf/\($0)/accept_ra").read()) == "1" }
        return listening.map { HostSwitch("net/ipv6/conf/\($0)/accept_ra", needed: "2") }
            + [HostSwitch(ForwardingNeeds.everywhere6, needed: "1")]
    }
}
