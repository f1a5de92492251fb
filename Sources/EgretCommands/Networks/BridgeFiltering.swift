// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretNetlink
import EgretNetlinkWire
import EgretNetworks

/// Whether what a bridge passes on meets the rules for routed packets: `bridge-nf-call-*`, the bridge's own switches and
/// those for all bridges. Either one is enough.
struct BridgeFiltering: Encodable {
    struct Switch: Encodable {
        /// The bridge's own.
        var bridge: Bool
        /// That for all bridges of the host; `nil` where br_netfilter is not there, and neither has an effect.
        var everywhere: Bool?

        fileprivate init(_ bridge: Bool, _ name: String) {
            self.bridge = bridge
            everywhere = (try? Sysctl("net/bridge/bridge-nf-call-\(name)").read()).map { $0 != "0" }
        }
    }

    var iptables: Switch
    var ip6tables: Switch
    var arptables: Switch

    /// Asks the kernel; `nil` if the network has no bridge, or the kernel no such switches.
    init?(of network: NetworkRecord) throws {
        guard let index = network.bridgeIndex,
            let filters = try NetworkLinks(NetlinkConnection.route()).all().first(where: { $0.index == index })?
                .bridgeFilters
        else { return nil }
        iptables = Switch(filters.ipv4, "iptables")
        ip6tables = Switch(filters.ipv6, "ip6tables")
        arptables = Switch(filters.arp, "arptables")
    }

    /// A line for each switch, for people.
    var lines: [String] {
        [("iptables", iptables), ("ip6tables", ip6tables), ("arptables", arptables)].map { name, position in
            let everywhere = position.everywhere.map { $0 ? "1 for all bridges" : "0 for all bridges" }
            return "  bridge-nf-call-\(name): \(position.bridge ? 1 : 0) for this bridge, "
                + (everywhere ?? "and no br_netfilter")
        }
    }
}
