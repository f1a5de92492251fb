// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDataplane
import EgretNftables

/// What to say of other tools' chains that end packets which Egret lets pass.
struct ObstacleText {
    /// Interfaces of what is held up, as iptables, ufw and firewalld write them: `br0`, `egret+`.
    let interface: String
    /// What is held up: `what the command sends on`.
    let what: String
    /// Whether it is held up on its way into the host, and not on its way through.
    var isInput = false
    /// The command that has Egret add the rule, for tools that ``Passage`` knows.
    var request: ((String) -> String)?

    /// One line for each owner.
    func lines(_ obstacles: [ForeignObstacle]) -> [String] {
        var owners: [String] = []
        for obstacle in obstacles where !owners.contains(obstacle.owner) { owners.append(obstacle.owner) }
        return owners.map { owner in
            let theirs = obstacles.filter { $0.owner == owner }
            var chains: [String] = []
            for obstacle in theirs where !chains.contains(obstacle.place) { chains.append(obstacle.place) }
            return "\(owner) drops \(what) (\(chains.joined(separator: ", ")))"
                + "; let it pass with: \(advice(owner, theirs).joined(separator: "; "))"
        }
    }

    private func advice(_ owner: String, _ obstacles: [ForeignObstacle]) -> [String] {
        if let request, ["docker", "ufw", "firewalld", "iptables"].contains(owner) { return [request(owner)] }
        return switch owner {
        case "ufw" where isInput: ["ufw allow in on \(interface)"]
        case "ufw": ["ufw route allow in on \(interface)"]
        case "firewalld":
            ["", "--permanent "].map { "firewall-cmd \($0)--zone=trusted --add-interface=\(interface)" }
        case "docker": [tables(obstacles, isInput ? "INPUT" : "DOCKER-USER")]
        // Docker drops what is not its own only where it had to switch forwarding on itself.
        case "docker (nftables)": ["dockerd --ip-forward-no-drop"]
        default: owner.hasPrefix("nft table ") ? native(obstacles) : [tables(obstacles, "FORWARD")]
        }
    }

    private func tables(_ obstacles: [ForeignObstacle], _ chain: String) -> String {
        let families = Swift.Set(obstacles.map(\.table.family))
        let programs = [(TableFamily.ip, "iptables"), (.ip6, "ip6tables")].filter { families.contains($0.0) }
        if isInput { return programs.map { "\($0.1) -I INPUT -i \(interface) -j ACCEPT" }.joined(separator: "; ") }
        return programs.map(\.1).map { program in
            "\(program) -I \(chain) -i \(interface) -j ACCEPT; "
                + "\(program) -I \(chain) -o \(interface) -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT"
        }.joined(separator: "; ")
    }

    private func native(_ obstacles: [ForeignObstacle]) -> [String] {
        let name = interface.hasSuffix("+") ? interface.dropLast() + "*" : Substring(interface)
        return obstacles.prefix(1).flatMap { obstacle in
            (isInput ? ["iifname"] : ["iifname", "ct state established,related oifname"]).map {
                "nft insert rule \(obstacle.table) \(obstacle.chain) \($0) \\\"\(name)\\\" accept"
            }
        }
    }
}

extension ForeignObstacle {
    /// The chain, with its table.
    fileprivate var place: String { "\(table) \(chain)" }
}
