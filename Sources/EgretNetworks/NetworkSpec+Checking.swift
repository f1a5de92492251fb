// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

/// Why a network cannot be as somebody wants it, and what to do about it.
public struct NetworkProblem: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong.
    public var message: String
    /// What to do.
    public var advice: String?

    /// Creates a problem.
    public init(_ message: String, advice: String? = nil) {
        self.message = message
        self.advice = advice
    }

    /// What is wrong.
    public var description: String { message }
}

extension NetworkSpec {
    /// Checks everything that can be checked without looking at the host.
    ///
    /// - Throws: ``NetworkProblem``, the first found.
    public func check() throws(NetworkProblem) {
        let isPlain = name.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "-")
                || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
        }
        let isLetterFirst = name.unicodeScalars.first.map { $0.properties.isAlphabetic } ?? false
        guard isPlain, isLetterFirst, InterfaceName(name) != nil else {
            throw NetworkProblem(
                "“\(name)” cannot be the name of a network",
                advice: "use at most 15 letters, digits, hyphens, dots and underscores, a letter first, such as br0")
        }
        if NetworkSpec.reserved(name) {
            throw NetworkProblem(
                "“\(name)” is a name that Egret gives its own interfaces", advice: "choose another, such as br0")
        }
        if isIsolated && !allowedThrough.isEmpty {
            throw NetworkProblem(
                "nothing leaves an isolated network", advice: "let it be isolated, or let it through other tools")
        }
        if isAdopted && mode == .routed {
            throw NetworkProblem(
                "a routed network has no bridge to adopt", advice: "leave --mode routed or --adopt out")
        }
        if let mtu, !(1280...65_535).contains(mtu) {
            throw NetworkProblem("an MTU of \(mtu) is not between 1280 and 65535", advice: "IPv6 needs 1280 (RFC 8200)")
        }
        try checkSubnets()
        try checkTranslation()
    }

    /// Names of runs' links, of networks' links, and of the loopback.
    private static func reserved(_ name: String) -> Bool {
        if name == "lo" || name == "all" || name == "default" { return true }
        return ["egret", "egn"].contains { prefix in
            name.hasPrefix(prefix) && name.count > prefix.count
                && name.dropFirst(prefix.count).allSatisfy { $0.isASCII && $0.isNumber }
        }
    }

    private func checkSubnets() throws(NetworkProblem) {
        if subnets.isEmpty {
            throw NetworkProblem("the network has no addresses", advice: "say --subnet 192.168.0.0/16")
        }
        for family in AddressFamily.allCases where subnets.filter({ $0.block.family == family }).count > 1 {
            throw NetworkProblem("a network has one subnet of each family at most", advice: "make a second network")
        }
        for subnet in subnets {
            let block = subnet.block
            guard block.length <= block.family.bitWidth - 2 else {
                throw NetworkProblem(
                    "\(block) has no room for a gateway and an endpoint",
                    advice: "use at least a /\(block.family.bitWidth - 2)")
            }
            if block.length < (block.family == .ipv4 ? 8 : 16) || NetworkSpec.isNoSubnet(block) {
                throw NetworkProblem(
                    "\(block) cannot be a network's addresses",
                    advice: "use a private block, such as 192.168.0.0/16 or fd00:1::/64")
            }
            guard subnet.isUsable(subnet.gateway) else {
                throw NetworkProblem(
                    "the gateway \(subnet.gateway) is not an address that a machine in \(block) can have",
                    advice: "leave --gateway out for \(Subnet(block).gateway)")
            }
        }
    }

    /// Loopback, link-local, multicast and reserved addresses.
    private static func isNoSubnet(_ block: IPPrefix) -> Bool {
        ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/8", "fe80::/10", "ff00::/8"]
            .compactMap { IPPrefix($0) }.contains { $0.overlaps(block) }
    }

    private func checkTranslation() throws(NetworkProblem) {
        guard case .sourceAddresses(let pairs) = translation else { return }
        if isIsolated {
            throw NetworkProblem("nothing leaves an isolated network, so it needs no source addresses")
        }
        for pair in pairs where subnet(pair.first.family) == nil {
            throw NetworkProblem(
                "the network has no \(pair.first.family == .ipv4 ? "IPv4" : "IPv6") subnet for \(pair.first)")
        }
        for pair in pairs { try pair.checkSources() }
        for family in AddressFamily.allCases where pairs.filter({ $0.first.family == family }).count > 1 {
            throw NetworkProblem("source addresses of one family are one run of addresses", advice: "write FIRST-LAST")
        }
    }
}

extension AddressPair {
    /// Checks that packets can leave with each of the addresses as their source.
    ///
    /// - Throws: ``NetworkProblem`` if nobody could answer one.
    public func checkSources() throws(NetworkProblem) {
        guard let block = IPPrefix.neverSource(from: first, through: last) else { return }
        let words = first == last ? "\(first)" : "\(first)-\(last)"
        throw NetworkProblem(
            block.isSingleAddress || first == last
                ? "\(words) cannot be a source address: nobody could answer it"
                : "\(words) has addresses of \(block), which cannot be source addresses: nobody could answer them",
            advice: "name addresses of this host, or such as are routed here")
    }
}
