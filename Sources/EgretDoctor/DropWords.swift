// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNftables

extension Passage.Drop {
    /// The drop in a sentence.
    var words: String {
        let verb = isQueue ? "waits for a program" : text.contains("reject") ? "refuses" : "drops"
        let what = handle.map { "rule \($0)" } ?? "policy"
        let rule = text.isEmpty ? "" : " “\(text)”"
        let note = comment.map { " (\($0))" } ?? ""
        return "\(what) of \(table) \(chain) \(verb) it\(rule)\(note)"
    }

    /// Whether it is Egret's own.
    var isEgrets: Bool { owner == "egret" }

    /// Whether the source was not one that the host would answer where the packet came in: no policy's, and over IPv6 only.
    var isOfSources: Bool { isEgrets && table.name == "egret-nat" && chain == "sources" }

    /// Commands that let the packet, and its like, past the rule: none is taken away.
    ///
    /// - Parameters:
    ///   - place: Where the table is.
    ///   - family: The packet's.
    ///   - isAnswer: Whether the packet is an answer.
    /// - Returns: The commands; none for Egret's own rules, which are not changed behind its back.
    func acceptance(_ place: Place, family: AddressFamily, isAnswer: Bool = false) -> [[String]] {
        if isEgrets { return [] }
        if table.family == .arp {
            return [place.command("nft", "insert", "rule", "arp", table.name, chain, "accept")]
        }
        guard let address = isAnswer ? destination : source else {
            return [place.command("nft", "insert", "rule", table.family.rawValue, table.name, chain, "accept")]
        }
        let isShared = table.family == .ip || table.family == .ip6
        if isShared, ["filter", "raw", "mangle", "security"].contains(table.name) {
            let program = table.family == .ip ? "iptables" : "ip6tables"
            let start = [program, "-t", table.name, "-I", chain]
            var rules = [start + (isAnswer ? ["-d"] : ["-s"]) + ["\(address)", "-j", "ACCEPT"]]
            if hook == .forward, !isAnswer {
                rules.append(
                    start + ["-d", "\(address)", "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"])
            }
            return rules.map { place.wrap($0) }
        }
        let start = ["nft", "insert", "rule", table.family.rawValue, table.name, chain]
        let word = family == .ipv4 ? "ip" : "ip6"
        var rules = [start + [word, isAnswer ? "daddr" : "saddr", "\(address)", "accept"]]
        if hook == .forward, !isAnswer {
            rules.append(start + [word, "daddr", "\(address)", "ct", "state", "established,related", "accept"])
        }
        return rules.map { place.wrap($0) }
    }
}
