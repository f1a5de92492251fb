// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux
import EgretNetlinkWire

extension Observation {
    /// The kernel's choice of a route in the endpoint's namespace.
    func judgeRoute() -> Judgment {
        switch route {
        case .refused(let errno):
            if let refusing = endpoint.refusingRoute(to: probe.destination) { return .bad(refusal(refusing)) }
            if errno == .accessDenied || errno == .invalid { return .bad(refusalByRule(errno)) }
            return .bad(
                Finding(
                    .route, "no route to \(probe.destination) (\(errno.name))",
                    "The kernel does not know by which interface to send.", commands: defaultRoute(verb: "add")))
        case .route(let route):
            guard self.route.usable != nil else {
                return .bad(refusal(endpoint.refusingRoute(to: probe.destination) ?? route))
            }
            if let gateway = route.gateway, isOutside(gateway), let neighbour = missingNextHop {
                return .bad(
                    Finding(
                        .route, "the gateway \(neighbour) is in no network of \(interface?.name ?? "the endpoint")",
                        "Nobody on the link has that address: \(neighbour) does not answer.",
                        commands: defaultRoute(verb: "replace")))
            }
            let through = endpoint.linkName(route.outputIndices.first)
            return .good(route.gateway.map { "via \($0) dev \(through)" } ?? "dev \(through)")
        }
    }

    private func refusal(_ route: RouteRecord) -> Finding {
        let destination = route.destination.length == 0 ? "default" : "\(route.destination)"
        return Finding(
            .route, "a route refuses: \(route.kind.words) \(destination)",
            "Somebody has said that nothing is to go there.",
            commands: [endpoint.place.wrap(route.deletion(in: family))])
    }

    /// No route refuses, and yet the kernel does as for one that is prohibited, or a blackhole.
    private func refusalByRule(_ errno: Errno) -> Finding {
        let word = errno == .accessDenied ? "prohibit" : "blackhole"
        let list = inside("ip", "rule", "list").joined(separator: " ")
        return Finding(
            .route, "a rule refuses what goes to \(probe.destination): \(word) (\(errno.name))",
            "No route is looked for (ip-rule(8)). \(list) shows the rules; ip rule del takes one away.")
    }

    private func isOutside(_ gateway: IPAddress) -> Bool {
        let isOnLink = endpoint.routes.contains { route in
            route.kind == .unicast && route.gateway == nil && route.destination.length > 0
                && route.destination.contains(gateway)
        }
        return !gateway.isLinkLocal && !isOnLink && !ownAddresses.contains { $0.network?.contains(gateway) == true }
    }

    /// The next hop, if the kernel has asked for it in vain.
    var missingNextHop: IPAddress? {
        guard let hop = nextHop, !isAnswered, let neighbour = endpoint.neighbour(hop, on: interface?.index),
            neighbour.isMissing
        else { return nil }
        return hop
    }

    /// A default route through the host, if it is known where that is.
    func defaultRoute(verb: String) -> [[String]] {
        guard let gateway = hostAddress, let interface else { return [] }
        return [inside("ip", "route", verb, "default", "via", "\(gateway.address)", "dev", interface.name)]
    }
}

extension RouteRecord {
    /// The words of a command that deletes the route.
    func deletion(in family: AddressFamily) -> [String] {
        let target = destination.length == 0 ? "default" : "\(destination)"
        let words = family == .ipv6 ? ["ip", "-6", "route", "del"] : ["ip", "route", "del"]
        return words + [kind.words, target] + (table == 254 ? [] : ["table", "\(table)"])
    }
}

extension RouteRecord.Kind {
    /// The word that ip(8) has for it.
    var words: String {
        switch self {
        case .unicast: "unicast"
        case .local: "local"
        case .blackhole: "blackhole"
        case .unreachable: "unreachable"
        case .prohibit: "prohibit"
        default: "type \(rawValue)"
        }
    }
}
