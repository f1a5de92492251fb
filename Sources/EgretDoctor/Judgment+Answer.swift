// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux
import EgretNetlinkWire
import EgretNftables

extension Observation {
    /// The source address that the world sees.
    func judgeTranslation() -> Judgment {
        guard isThroughHost, !isLocal, !host.owns(probe.destination) else { return .notNeeded("nothing is translated") }
        guard let left = outward.at(.postrouting, isLast: true), let source else {
            return isAnswered ? .good("answered") : .unknown("not seen")
        }
        if left.source != source {
            return translationFinding(of: source, left).map { Judgment.bad($0) }
                ?? .good("\(source) leaves as \(left.source)")
        }
        if isAnswered || homeward.reached(.prerouting) { return .good("\(source) is known to whom it was sent") }
        guard source.isPrivate, !host.owns(left.source) else { return .notNeeded("\(source) leaves as it is") }
        return .bad(
            Finding(
                .translation, "\(source) leaves the host as it is",
                "It is a private address, to which the world has no way: answers go nowhere." + translationWords,
                commands: translationCommands(left)))
    }

    /// A translated packet that got no answer because of its translation.
    private func translationFinding(of source: IPAddress, _ left: Passage.Sighting) -> Finding? {
        if isAnswered || homeward.reached(.prerouting) { return nil }
        if refusedInsertions > 0 {
            return Finding(
                .translation, "no port of \(left.source) is left for a connection to \(probe)",
                "Connection tracking has refused \(refusedInsertions) while the packet was on its way (insert_failed), and "
                    + "dropped it: nothing leaves untranslated. Source addresses FIRST-LAST, a pool, spread endpoints: "
                    + "that helps where several leave as \(left.source). One endpoint keeps to one address.")
        }
        if host.owns(left.source) || host.routes.contains(where: { $0.holds(left.source) }) { return nil }
        let name = host.linkName(left.outputInterface)
        return Finding(
            .translation, "\(source) leaves the host as \(left.source), which is no address of this host",
            "Answers to it come here only if somebody routes them here.",
            commands: [
                ["ip", "address", "add", "\(left.source)/\(left.source.family.bitWidth)", "dev", name]
            ])
    }

    /// What a network that is kept has to do with it.
    private var translationWords: String {
        guard let network else { return "" }
        if !network.isTranslated {
            return " The network \(network.name) was made so (--no-masquerade): the world must know a way to it."
        }
        return
            " The network \(network.name) translates whatever connection tracking knows: some rule may keep the packet"
            + " from it (notrack), or translate it first."
    }

    /// What makes private addresses leave as the host's.
    private func translationCommands(_ left: Passage.Sighting) -> [[String]] {
        if network?.isTranslated == true { return [] }
        if network == nil, let side = hostSide, side.kind == "bridge" {
            let blocks = [AddressFamily.ipv4, .ipv6].flatMap { host.addresses(of: side.index, $0).prefix(1) }
            let subnets = blocks.compactMap { $0.network.map { "\($0)" } }
            return [["egret", "network", "create", side.name, "--adopt"] + subnets.flatMap { ["--subnet", $0] }]
        }
        guard let source else { return [] }
        let family = family == .ipv4 ? "ip" : "ip6"
        return [
            ["nft", "add", "table", family, "source-nat"],
            [
                "nft", "add", "chain", family, "source-nat", "postrouting",
                "{ type nat hook postrouting priority srcnat ; }",
            ],
            [
                "nft", "add", "rule", family, "source-nat", "postrouting", family, "saddr", "\(source)", "oifname",
                host.linkName(left.outputInterface), "masquerade",
            ],
        ]
    }

    /// Something comes back.
    func judgeAnswer() -> Judgment {
        if isLocal { return .notNeeded("\(probe.destination) is the endpoint's own") }
        switch outcome {
        case .answered(let time): return .good("after \(time.inMilliseconds)")
        case .refused where isAnswered:
            var finding = Finding(
                .answer, "\(probe.destination) refuses \(probe.description.split(separator: " ").last ?? "")",
                "The network is not at fault: packets go there and answers come back, but nobody listens on that port.")
            finding.isNetworkFault = false
            return .bad(finding)
        case .failed(let errno, let reporter?) where !host.owns(reporter) && !endpoint.owns(reporter):
            return .bad(
                Finding(
                    .answer, "\(reporter) answers that \(probe.destination) cannot be reached (\(errno.name))",
                    "The packet left this host. Who refuses it is \(reporter)."))
        default: break
        }
        if homeward.reached(.prerouting) || homeward.drop != nil || returning.reached(.prerouting) {
            return .good("it came back to the host")
        }
        if case .silent(let time) = outcome {
            if case .udp = probe.service {
                return .unknown("nothing in \(time.inMilliseconds); a UDP service need not answer")
            }
            return .bad(Finding(.answer, "nothing came back within \(time.inMilliseconds)", silence))
        }
        if case .failed(let errno, let reporter) = outcome {
            return .bad(
                Finding(
                    .answer, "\(reporter.map { "\($0) reports" } ?? "the endpoint's kernel reports") \(errno)",
                    "The packet did not get through."))
        }
        return .unknown("not sent")
    }

    /// Who may have kept the answer.
    private var silence: String {
        if let gateway = strangeGateway {
            return "\(gateway) has got the packet on its link, and is not this host: what becomes of it, and of an "
                + "answer, is to be seen there."
        }
        return isThroughHost
            ? "The packet left this host. \(probe.destination), or something on the way, drops it or has no way back."
            : "\(probe.destination) has got the packet on its link, and says nothing."
    }

    /// The answer's way from the host to the endpoint.
    func judgeWayBack() -> Judgment {
        guard !isLocal else { return .notNeeded("\(probe.destination) is the endpoint's own") }
        if isAnswered { return .good("it came back to \(source.map { "\($0)" } ?? "the endpoint")") }
        if let drop = homeward.drop {
            return .bad(
                Finding(
                    .wayBack, "the answer: \(drop.words), made by \(drop.owner)",
                    "The packet gets there, and its answer is dropped on this host.",
                    commands: drop.acceptance(.host, family: family, isAnswer: true)))
        }
        if let drop = returning.drop {
            return .bad(
                Finding(
                    .wayBack, "the answer: \(drop.words) in \(endpoint.place.words)",
                    "The answer comes as far as the endpoint, whose own namespace drops it.",
                    commands: drop.acceptance(endpoint.place, family: family, isAnswer: true)))
        }
        guard let arrived = homeward.at(.prerouting) else { return .unknown("no answer was seen") }
        return judgeReturn(arrived)
    }

    /// An answer that came to the host and not to the endpoint, by no rule of nftables.
    private func judgeReturn(_ arrived: Passage.Sighting) -> Judgment {
        for hook in [Hook.prerouting, .forward, .postrouting]
        where homeward.reached(hook) && !homeward.reached(hook, isLast: true) {
            return .bad(unseenRule(at: hook, homeward, isAnswer: true, .wayBack))
        }
        let name = host.linkName(arrived.inputInterface)
        if homeward.reached(.postrouting, isLast: true) { return judgeDelivery() }
        if homeward.reached(.input) {
            return .bad(
                Finding(
                    .wayBack, "the host takes the answer for its own",
                    "Connection tracking does not know the packet that it answers: something has made it untracked."))
        }
        if isFilteredByReversePath(returnRoute, arrived.inputInterface, back: destinationRoute) {
            return .bad(reversePath(from: arrived.source, name, "the answer", .wayBack))
        }
        if !forwards(arrived.inputInterface) {
            return .bad(
                Finding(
                    .wayBack, "the host does not forward \(family.words) that comes in by \(name)",
                    "It drops the answer, without a word.", commands: forwardingCommands([arrived.inputInterface])))
        }
        if let source, let refusing = host.refusingRoute(to: source), returnRoute?.usable == nil {
            return .bad(
                Finding(
                    .wayBack, "a route of the host refuses: \(refusing.kind.words) \(refusing.destination)",
                    "The answer does not get back to \(source).", commands: [refusing.deletion(in: family)]))
        }
        return .bad(
            Finding(
                .wayBack, "the answer came in by \(name) and went no further",
                "No rule of nftables dropped it."))
    }

    /// An answer that left the host's IP towards the endpoint.
    private func judgeDelivery() -> Judgment {
        guard let source, !returning.reached(.prerouting) else {
            return .bad(
                Finding(
                    .wayBack, "the answer came to \(endpoint.place.words) and not to the socket",
                    "The endpoint's own kernel drops it; its rp_filter may be strict."))
        }
        let left = homeward.at(.postrouting, isLast: true)
        let name = host.linkName(left?.outputInterface)
        if let stray = strayRoute, stray.outputIndices.first == left?.outputInterface {
            return .bad(
                Finding(
                    .wayBack, "the answer left the host by \(name), as the route \(stray.destination) says",
                    "The endpoint is not there.", commands: [stray.deletion(in: family)]))
        }
        guard let neighbour = host.neighbour(source, on: left?.outputInterface) else {
            return .bad(
                Finding(
                    .wayBack, "the answer left the host by \(name) and never came to \(source)",
                    "The host's route to \(source) may lead elsewhere than to the endpoint."))
        }
        let isStray = neighbour.hardwareAddress != nil && neighbour.hardwareAddress != interface?.address
        return .bad(
            Finding(
                .wayBack,
                isStray || neighbour.isMissing
                    ? "the host does not know where \(source) is on \(name)"
                        + (neighbour.hardwareAddress.map { ": it believes at \($0)" } ?? "")
                    : "the answer left the host by \(name) and never came to \(source)",
                "The answer does not get to the endpoint's interface.",
                commands: isStray ? [["ip", "neighbour", "del", "\(source)", "dev", name]] : []))
    }

    /// Packets of full size.
    func judgeSize() -> Judgment {
        switch size {
        case .passes(let bytes): return .good("\(bytes) bytes pass")
        case .reported(let bytes, let reporter):
            return .good("\(bytes) bytes pass; \(reporter.map { "\($0)" } ?? "the way") says so to who sends more")
        case .notKnown, nil: return .unknown("\(probe.destination) answers no echoes")
        case .vanish(let passing, let full):
            let name = interface?.name ?? "eth0"
            return .bad(
                Finding(
                    .size, "packets of more than \(passing) bytes vanish, and nobody says so (\(full) were sent)",
                    "Connections open and then hang with the first full packet: a router's “fragmentation needed” is "
                        + "dropped on the way, or an interface takes less than the one before it sends.",
                    commands: [inside("ip", "link", "set", name, "mtu", "\(passing)")]))
        }
    }
}

extension RouteRecord {
    /// Whether it makes an address the host's own.
    fileprivate func holds(_ address: IPAddress) -> Bool { kind == .local && destination.contains(address) }
}

extension Duration {
    /// The time in milliseconds, with one digit behind the point below ten.
    var inMilliseconds: String {
        let (seconds, attoseconds) = components
        let tenths = seconds * 10_000 + attoseconds / 100_000_000_000_000
        return tenths < 100 ? "\(tenths / 10).\(tenths % 10) ms" : "\(tenths / 10) ms"
    }
}
