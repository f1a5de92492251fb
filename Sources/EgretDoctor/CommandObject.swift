// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What a command of a finding changes, as far as that can be told by its words.
enum CommandObject: Hashable, Sendable {
    /// An interface of the host's.
    case interface(String)
    /// Something in a namespace: the name that `ip netns` knows it by, or its file.
    case namespace(String)

    /// Reads a command as the program that runs it does; `nil` for one that is about something else.
    init?(_ words: [String]) {
        func word(_ place: Int) -> String? { words.indices.contains(place) ? words[place] : nil }
        let object: CommandObject? =
            switch (word(0), word(1)) {
            case ("ip", "-n"): word(2).map { .namespace($0) }
            case ("ip", "netns") where word(2) == "exec" && CommandObject.isOfLinks(word(4)):
                word(3).map { .namespace($0) }
            case ("nsenter", let option?) where option.hasPrefix("--net=") && CommandObject.isOfLinks(word(2)):
                .namespace(String(option.dropFirst(6)))
            case ("sysctl", "-w"): word(2).flatMap(CommandObject.switched).map { .interface($0) }
            case ("ip", "link"): CommandObject.linkSet(words).map { .interface($0) }
            case ("ip", _), ("bridge", _): CommandObject.device(words).map { .interface($0) }
            default: nil
            }
        guard let object else { return nil }
        self = object
    }

    /// Whether a program changes links, addresses, routes and their switches: Egret has no rules in namespaces.
    private static func isOfLinks(_ program: String?) -> Bool {
        ["ip", "bridge", "sysctl"].contains(program)
    }

    /// `ip link set X …`, or `ip link set dev X …`.
    private static func linkSet(_ words: [String]) -> String? {
        guard words.count > 4, words[2] == "set" else { return nil }
        return words[3] == "dev" ? words[4] : words[3]
    }

    /// `… dev X`.
    private static func device(_ words: [String]) -> String? {
        guard let place = words.firstIndex(of: "dev"), place + 1 < words.count else { return nil }
        return words[place + 1]
    }

    /// `net/ipv4/conf/X/…`; `nil` for a switch that is about more than one interface.
    private static func switched(_ setting: String) -> String? {
        let parts = setting.prefix { $0 != "=" }.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 5, parts[0] == "net", ["ipv4", "ipv6"].contains(parts[1]), parts[2] == "conf",
            !["all", "default"].contains(parts[3])
        else { return nil }
        return String(parts[3])
    }
}

extension Finding {
    /// Whether its commands are each about an interface of the host's, or in a namespace, of those that are given: by
    /// what the command is about, whatever else is called so in it.
    ///
    /// - Parameters:
    ///   - interfaces: Names of the host's interfaces.
    ///   - namespaces: Namespaces, by the names that `ip netns` has for them, and by their files.
    /// - Returns: Whether they are; not if there are no commands.
    public func isAbout(interfaces: Set<String>, namespaces: Set<String>) -> Bool {
        !commands.isEmpty
            && commands.allSatisfy { words in
                switch CommandObject(words) {
                case .interface(let name)?: interfaces.contains(name)
                case .namespace(let name)?: namespaces.contains(name)
                case nil: false
                }
            }
    }
}
