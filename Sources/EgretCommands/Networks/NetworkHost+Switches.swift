// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretNetworks
import EgretRun

/// The switches of interfaces that Egret has made for networks. Nothing is ever set for all interfaces, and an adopted
/// bridge's stay as they are.
extension NetworkHost {
    /// Sets the switches of a link that was just made, before it is set up.
    ///
    /// What comes in there is an endpoint's, and an endpoint is no router of the host's: its router advertisements give
    /// the host neither routes nor addresses. Where the host's IP receives, sources that the host would answer elsewhere
    /// are dropped (`rp_filter`, IPv4; over IPv6 a rule does it for endpoints' own links): every endpoint's address is reached by that link, so none is lost. And the link's
    /// own IPv6 address is used at once (`accept_dad`; RFC 4862, 5.4, would wait for a second or two), for without it the
    /// host asks for no neighbour there when it passes packets on. A bridge's
    /// port hands its packets to the bridge, so that only the bridge needs this.
    ///
    /// They go with the link, so that no ledger has them: with a line for each endpoint every command would read them all.
    func setSwitches(of link: String, receives: Bool) throws {
        var switches = [HostSwitch("net/ipv6/conf/\(link)/accept_ra", needed: "0")]
        if receives {
            switches.append(HostSwitch("net/ipv4/conf/\(link)/rp_filter", needed: "1"))
            // Nobody else on the link has made up the same address, and until it is sure the host sends nothing there.
            switches.append(HostSwitch("net/ipv6/conf/\(link)/accept_dad", needed: "0"))
        }
        for item in switches {
            if let present = try? Sysctl(item.path).read(), present != item.needed {
                try Sysctl(item.path).write(item.needed)
            }
        }
    }

    /// A warning where an adopted bridge takes router advertisements; the switch is its owner's.
    func advertisementWarnings(of network: NetworkRecord) -> [String] {
        let path = "net/ipv6/conf/\(network.name)"
        func position(_ name: String) -> String? { try? Sysctl("\(path)/\(name)").read() }
        // A router takes them only where it is told to twice over.
        let listens = position("accept_ra") == "2" || position("accept_ra") == "1" && position("forwarding") == "0"
        guard network.isAdopted, listens, position("disable_ipv6") == "0" else { return [] }
        return [
            "\(network.name) takes router advertisements: whoever is on it can give the host routes; "
                + "that ends with: sysctl -w \(path)/accept_ra=0"
        ]
    }

    /// Moves switches, and notes before where they stood.
    func move(_ switches: [HostSwitch]) throws {
        var ledger = host.state.ledger()
        let moves = ledger.prepare(switches) { path in try? Sysctl(path).read() }
        if moves.isEmpty { return }
        try host.state.store(ledger)
        for move in moves { try Sysctl(move.path).write(move.needed) }
    }

    /// Puts switches back that nobody needs any more; where somebody else has moved one since, it stays.
    func putBack(_ paths: [String]) throws {
        var ledger = host.state.ledger()
        let known = ledger.entries.count
        for path in paths {
            guard let move = ledger.release(path, position: { try? Sysctl($0).read() }) else { continue }
            try Sysctl(move.path).write(move.needed)
        }
        if ledger.entries.count < known { try host.state.store(ledger) }
    }

    /// Forgets the switches of a link that is gone, and with it they.
    func forgetSwitches(of link: String) throws {
        var ledger = host.state.ledger()
        if ledger.forget(interface: link) { try host.state.store(ledger) }
    }
}
