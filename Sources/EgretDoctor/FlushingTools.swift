// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Tools of the host that flush rules which are not theirs when they start or are reloaded, as far as their files say.
///
/// What a person does by hand is not seen.
enum FlushingTools {
    /// Looks at the files of those that are started with the machine.
    ///
    /// - Parameters:
    ///   - read: The text of a file; `nil` if there is none.
    ///   - exists: Whether there is a file.
    /// - Returns: A line for each that flushes, or one that says that none does.
    static func find(read: (String) -> String?, exists: (String) -> Bool) -> [HostCheck.Line] {
        func isEnabled(_ service: String) -> Bool {
            ["sysinit", "basic", "multi-user", "network-pre", "network"].contains { target in
                exists("/etc/systemd/system/\(target).target.wants/\(service).service")
            }
        }
        var found: [String] = []
        let rulesets = ["/etc/nftables.conf", "/etc/sysconfig/nftables.conf"]
        if isEnabled("nftables"), let file = rulesets.first(where: { flushes(read($0) ?? "") }) {
            found.append(
                "nftables.service flushes everybody's rules, Egret's too, when it starts, stops or is reloaded "
                    + "(“flush ruleset” in \(file)): let it flush its own tables only")
        }
        if isEnabled("netfilter-persistent"), exists("/etc/iptables/rules.v4") || exists("/etc/iptables/rules.v6") {
            found.append(
                "netfilter-persistent.service replaces all of iptables when it starts, what --allow-through has added "
                    + "included")
        }
        if value("ENABLED", in: read("/etc/ufw/ufw.conf")) == "yes",
            value("MANAGE_BUILTINS", in: read("/etc/default/ufw")) == "yes"
        {
            found.append(
                "ufw flushes all of iptables when it starts (MANAGE_BUILTINS in /etc/default/ufw), what --allow-through "
                    + "has added included")
        }
        if isEnabled("firewalld"), value("FirewallBackend", in: read("/etc/firewalld/firewalld.conf")) == "iptables" {
            found.append(
                "firewalld flushes all of iptables when it starts or is reloaded (FirewallBackend in "
                    + "/etc/firewalld/firewalld.conf), what --allow-through has added included")
        }
        if found.isEmpty { return [HostCheck.Line("flushing", isGood: true, "no service flushes others' rules")] }
        return found.map { words in
            HostCheck.Line("flushing", isGood: false, "\(words); egret network restore puts back what is gone")
        }
    }

    /// Whether a script of nft says `flush ruleset`, of all families or of Egret's.
    private static func flushes(_ script: String) -> Bool {
        script.split(whereSeparator: { $0.isNewline || $0 == ";" }).contains { line in
            let words = line.prefix { $0 != "#" }.split { $0.isWhitespace }
            return words.starts(with: ["flush", "ruleset"])
                && (words.count == 2 || ["inet", "netdev"].contains(words[2]))
        }
    }

    /// The value of a setting, `NAME=VALUE` with or without quotation marks; the last one stands.
    private static func value(_ name: String, in text: String?) -> Substring? {
        (text ?? "").split(whereSeparator: \.isNewline).compactMap { line -> Substring? in
            let parts = line.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, parts[0].split(whereSeparator: \.isWhitespace) == [name[...]] else { return nil }
            return parts[1].split { $0.isWhitespace || $0 == "\"" || $0 == "'" }.first
        }.last
    }
}
