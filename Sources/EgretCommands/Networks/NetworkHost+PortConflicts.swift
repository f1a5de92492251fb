// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDataplane
import EgretLinux
import EgretNetworks

extension NetworkHost {
    /// Says who else answers at the host's ports of a mapping: programs of the host that listen there, and rules of others
    /// that translate them. Egret's translation comes before both, so their clients reach the endpoint from now on.
    ///
    /// - Parameter wish: What was published.
    /// - Returns: A sentence for each.
    /// - Throws: An error that says what could not be read.
    func conflicts(with wish: PortWish) throws -> [String] {
        let last = wish.ports.host &+ (wish.ports.count - 1)
        let ports = wish.ports.host...max(wish.ports.host, last)
        let transport = wish.ports.transport
        var found: [String] = []
        // An adopted bridge lets nothing from 127.0.0.0/8 through, so that those programs keep their clients.
        let cookie = NetworkHost.cookie(of: wish.namespace)
        let isAdopted = networks.contains { network in
            network.isAdopted && (wish.network == nil || wish.network == network.name)
                && network.endpoint(in: wish.namespace, cookie) != nil
        }
        let listening = NetworkHost.listeners(transport).filter { listener in
            guard ports.contains(listener.port), !(isAdopted && listener.address.leadsHome) else { return false }
            guard let wanted = wish.hostAddress else { return true }
            return listener.address.rawValue == 0 || listener.address == wanted
        }
        for port in Swift.Set(listening.map { $0.port }).sorted() {
            found.append(
                "a program of this host listens on \(port)/\(transport): who asks for that port reaches "
                    + "\(wish.namespace) from now on, and it no longer")
        }
        let listing = try host.dataplane.natListing()
        for rule in listing.rules where rule.owner != "egret" {
            let words = rule.text.split(separator: " ").map(String.init)
            guard words.contains("dnat") || words.contains("redirect"), words.contains(transport),
                let place = words.firstIndex(of: "dport"), place + 1 < words.count,
                let other = NetworkHost.range(words[place + 1]), other.overlaps(ports)
            else { continue }
            found.append(
                "\(rule.owner) publishes \(words[place + 1])/\(transport) too (\(rule.table) \(rule.chain)): Egret's rule is "
                    + "asked first, so that its clients reach \(wish.namespace) from now on")
        }
        return found
    }

    /// Says what it means that ports are published at an address which is none of this host's now.
    ///
    /// - Parameter wish: What was published.
    /// - Returns: A sentence, if it is so.
    /// - Throws: An error that says what the kernel refused.
    func strangeAddresses(of wish: PortWish) throws -> [String] {
        guard let address = wish.hostAddress, try !links.isLocal(address) else { return [] }
        return [
            "\(address) is no address of this host: nobody else reaches \(wish.namespace) by it unless somebody routes it here, "
                + "and what this host and its networks ask it for at \(wish.ports.hostText) goes to \(wish.namespace) from now on"
        ]
    }

    /// `80`, or `80-90`.
    private static func range(_ text: String) -> ClosedRange<UInt16>? {
        let ends = text.split(separator: "-").map { UInt16($0) }
        guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2, first <= last else {
            return nil
        }
        return first...last
    }

    /// Where programs of this network namespace listen, by `/proc/net`: states `TCP_LISTEN` (10) and, of sockets for
    /// datagrams that are connected to nobody, `TCP_CLOSE` (7).
    private static func listeners(_ transport: String) -> [(address: IPAddress, port: UInt16)] {
        let state = transport == "tcp" ? "0A" : "07"
        return [transport, transport + "6"].flatMap { name -> [(address: IPAddress, port: UInt16)] in
            let text = (try? File.readText("/proc/thread-self/net/\(name)")) ?? ""
            return text.split(separator: "\n").dropFirst().compactMap { line in
                let columns = line.split(separator: " ")
                guard columns.count > 3, columns[3] == state else { return nil }
                let parts = columns[1].split(separator: ":")
                guard parts.count == 2, let port = UInt16(parts[1], radix: 16), let own = address(parts[0]) else {
                    return nil
                }
                return (address: own, port: port)
            }
        }
    }

    /// An address as `/proc/net` has it: words of 32 bits in the machine's order of bytes.
    private static func address(_ text: Substring) -> IPAddress? {
        guard text.utf8.count == 8 || text.utf8.count == 32 else { return nil }
        let words = stride(from: 0, to: text.utf8.count, by: 8).map { start in
            UInt32(text.dropFirst(start).prefix(8), radix: 16).map { UInt32(bigEndian: $0) }
        }
        guard !words.contains(nil) else { return nil }
        let value = words.compactMap(\.self).reduce(UInt128(0)) { $0 << 32 | UInt128($1) }
        return IPAddress(family: words.count == 1 ? .ipv4 : .ipv6, rawValue: value)
    }
}
