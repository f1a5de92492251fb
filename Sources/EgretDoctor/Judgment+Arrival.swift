// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux
import EgretNetlinkWire
import EgretNftables

extension Observation {
    /// A real packet leaves the endpoint's namespace.
    func judgeProbe() -> Judgment {
        if let drop = leaving.drop {
            return .bad(
                Finding(
                    .probe, "\(drop.words) in \(endpoint.place.words)",
                    "The endpoint's own namespace does not let the packet out.",
                    commands: drop.acceptance(endpoint.place, family: family)))
        }
        switch outcome {
        case nil: return .unknown("not sent")
        case .failed(let errno, reporter: nil) where !leaving.reached(.postrouting) && !outward.reached(.prerouting):
            return .bad(
                Finding(
                    .probe, "the packet could not be sent: \(errno.name)",
                    "The endpoint's own kernel refuses it, before any rule of the host."))
        default: return .good("\(probe)\(source.map { " from \($0)" } ?? "")")
        }
    }

    /// The probe comes to the host's end of the link.
    func judgeArrival() -> Judgment {
        guard isAsked else {
            let words = strangeGateway.map { "the gateway \($0) is not this host" }
            return .notNeeded(words ?? "\(probe.destination) is on the endpoint's own link")
        }
        // With br_netfilter the rules for IP are asked before the bridge's own.
        if let sighting = outward.at(.prerouting), outward.drop?.table.family != .bridge {
            return .good("at \(host.linkName(sighting.inputInterface))")
        }
        if let drop = outward.drop {
            return .bad(
                Finding(
                    .arrival, drop.words, "The packet does not come as far as the host's IP.",
                    commands: drop.acceptance(.host, family: family)))
        }
        if isAnswered { return .good("answered") }
        guard let hostEnd else { return .unknown("\(interface?.name ?? "the endpoint") does not lead to this host") }
        return .bad(
            Finding(
                .arrival, "the packet left \(interface?.name ?? "the endpoint") and never came to \(hostEnd.name)",
                "Something on the link takes it that nftables does not show, such as tc, ebtables or an XDP program."))
    }

    /// Whether the host's rules have a say: also where its bridge passes the packet on, if one of them drops it there.
    private var isAsked: Bool { !isLocal && (isThroughHost || outward.drop != nil) }

    /// Egret's own rules.
    func judgePolicy() -> Judgment {
        guard isAsked else { return .notNeeded("no rule of the host is asked") }
        guard let drop = outward.drop, drop.isEgrets, !drop.isOfSources else {
            return .good("no rule of Egret's drops it")
        }
        if drop.table.name.hasSuffix("-routes") { return .bad(routes(drop)) }
        if let finding = networkRule(drop) { return .bad(finding) }
        return .bad(
            Finding(
                .policy, drop.words,
                "Egret keeps it from leaving, as it was told to. In a policy, --allow \(allowance) would let it out."))
    }

    /// The policy lets the packet out, and its routes lead nowhere.
    private func routes(_ drop: Passage.Drop) -> Finding {
        if drop.chain.hasPrefix("route-") || drop.chain == "way-none" {
            return Finding(
                .policy, "no way of the policy's routes is usable, and their fallback is drop",
                "\(drop.words). egret get endpoints -o wide shows the ways that are given up, and the agent's log since when."
            )
        }
        return Finding(
            .policy, "the packet was about to leave by another way than its connection's",
            "\(drop.words). Somebody has changed routing rules or routes; Egret's are back within a second or two.")
    }

    /// A network's own rules, which are no policy's: they are known by what they count in.
    private func networkRule(_ drop: Passage.Drop) -> Finding? {
        let words = drop.chain.split(separator: "-", maxSplits: 1).map(String.init)
        guard words.count == 2, ["from", "to"].contains(words[0]) else { return nil }
        let name = words[1]
        if drop.text.contains("\(name)-isolated") {
            return Finding(
                .policy, "the network \(name) is isolated: \(drop.words)",
                "It was made so: its endpoints reach each other and the host, and nobody else.")
        }
        if drop.text.contains("\(name)-foreign-source") {
            let sender = drop.source.map { "\($0)" } ?? "the source"
            return Finding(
                .policy, "\(sender) is no address of the network \(name): \(drop.words)",
                "Nothing would translate it, and it would leave the host as it is.")
        }
        if drop.text.contains("\(name)-unreachable") {
            return Finding(
                .policy, "the network \(name) is translated: \(drop.words)",
                "Nobody outside begins a connection to its endpoints but by a published port: egret publish opens one.")
        }
        return nil
    }

    /// The flag's argument that would allow the probe.
    private var allowance: String {
        let address = family == .ipv4 ? "\(probe.destination)" : "[\(probe.destination)]"
        switch probe.service {
        case .tcp(let port): return "\(address):\(port)"
        case .udp(let port): return "\(address):\(port)/udp"
        case .echo: return "\(address):\(probe.transport)"
        }
    }

    /// Everybody else's rules.
    func judgeRules() -> Judgment {
        guard isAsked else { return .notNeeded("no rule of the host is asked") }
        if let drop = outward.drop, !drop.isEgrets {
            return .bad(
                Finding(
                    .rules, "\(drop.words), made by \(drop.owner)",
                    drop.isQueue
                        ? "No program answers for the queue, so that the packet is lost."
                        : "An accept of Egret's does not let a packet past another table's drop.",
                    commands: drop.acceptance(.host, family: family)))
        }
        if isAnswered || outward.drop != nil { return .good("no other rule drops it") }
        for hook in [Hook.prerouting, .input, .forward, .postrouting]
        where outward.reached(hook) && !outward.reached(hook, isLast: true) {
            return .bad(unseenRule(at: hook, outward, isAnswer: false, .rules))
        }
        return .good("no other rule drops it")
    }

    /// A packet that went into a hook and did not come out, though no rule of nftables has dropped it.
    func unseenRule(at hook: Hook, _ passage: Passage, isAnswer: Bool, _ step: Step) -> Finding {
        let program = family == .ipv4 ? "iptables-legacy" : "ip6tables-legacy"
        guard !host.legacyTables.isEmpty else {
            return Finding(
                step, "the packet vanishes at the hook \(hook.rawValue), by no rule of nftables",
                "Something else at that hook takes it, such as a BPF program.")
        }
        let chains: [Hook: (String, String)] = [
            .prerouting: ("raw", "PREROUTING"), .input: ("filter", "INPUT"), .forward: ("filter", "FORWARD"),
            .postrouting: ("mangle", "POSTROUTING"),
        ]
        let (table, chain) = chains[hook] ?? ("filter", "FORWARD")
        let sighting = passage.at(hook)
        let start = [program, "-t", table, "-I", chain]
        var commands: [[String]] = []
        if let address = isAnswer ? sighting?.destination : sighting?.source {
            commands.append(start + [isAnswer ? "-d" : "-s", "\(address)", "-j", "ACCEPT"])
            if hook == .forward, !isAnswer {
                commands.append(
                    start + ["-d", "\(address)", "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"])
            }
        }
        return Finding(
            step, "the older iptables drops it at the hook \(hook.rawValue)",
            "Its tables (\(host.legacyTables.joined(separator: ", "))) are asked beside nftables, and tell nobody why: "
                + "\(program) -S shows the rules.",
            commands: commands)
    }
}
