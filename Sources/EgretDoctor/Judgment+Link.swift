// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetlinkWire

extension Observation {
    /// The endpoint's interface and the host's end: there, up, connected.
    func judgeLink() -> Judgment {
        if isLocal { return .notNeeded("\(probe.destination) is the endpoint's own") }
        guard let interface else {
            return .bad(
                Finding(
                    .link, "\(endpoint.place.words) has no interface",
                    "Without one no packet leaves it. egret network connect gives it one."))
        }
        guard interface.isUp else {
            return .bad(
                Finding(
                    .link, "\(interface.name) is down", "An interface that is down sends nothing and has no routes.",
                    commands: [inside("ip", "link", "set", interface.name, "up")]))
        }
        guard let hostEnd else {
            if interface.hasCarrier == false {
                return .bad(
                    Finding(
                        .link, "\(interface.name) has no carrier",
                        "Its other end is down or gone, and not in the host's namespace."))
            }
            return .good("\(interface.name) is up")
        }
        guard hostEnd.isUp else {
            return .bad(
                Finding(
                    .link, "\(hostEnd.name), the host's end of \(interface.name), is down",
                    "What the endpoint sends is lost at once.",
                    commands: [["ip", "link", "set", hostEnd.name, "up"]]))
        }
        return judgePort(of: interface, hostEnd)
    }

    /// The host's end as the port of a bridge.
    private func judgePort(of interface: LinkRecord, _ hostEnd: LinkRecord) -> Judgment {
        guard let master = host.link(hostEnd.masterIndex) else {
            guard host.addresses(of: hostEnd.index, family).isEmpty, let bridge = bridgeCandidate else {
                return .good("\(interface.name) ═ \(hostEnd.name)")
            }
            return .bad(
                Finding(
                    .link, "\(hostEnd.name) is no port of \(bridge.name), and has no address of its own",
                    "\(bridge.name) has the endpoint's gateway, but what the endpoint sends does not come there.",
                    commands: [["ip", "link", "set", hostEnd.name, "master", bridge.name]]))
        }
        guard master.isUp else {
            return .bad(
                Finding(
                    .link, "\(master.name), the bridge that \(hostEnd.name) is a port of, is down",
                    "A bridge that is down passes nothing on.",
                    commands: [["ip", "link", "set", master.name, "up"]]))
        }
        if let state = hostEnd.bridgePortState, state != 3 {
            let names = ["disabled", "listening", "learning", "forwarding", "blocking"]
            let name = Int(state) < names.count ? names[Int(state)] : "\(state)"
            return .bad(
                Finding(
                    .link, "\(master.name) has its port \(hostEnd.name) in the state \(name)",
                    "Only a port in the state forwarding passes frames. With spanning tree a new port takes some seconds to "
                        + "get there; a bridge without loops does not need it.",
                    commands: [
                        ["ip", "link", "set", master.name, "type", "bridge", "stp_state", "0"],
                        ["bridge", "link", "set", "dev", hostEnd.name, "state", "3"],
                    ]))
        }
        return .good("\(interface.name) ═ \(hostEnd.name) ═ \(master.name)")
    }
}
