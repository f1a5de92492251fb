// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
public import EgretNetlink
import EgretNetlinkWire
public import EgretNftables

/// A base chain of another tool that ends packets which Egret lets pass: an accept of Egret's ends only its own chain.
public struct ForeignObstacle: Hashable, Sendable {
    /// How packets end there.
    public enum End: Hashable, Sendable {
        /// By the chain's policy: nothing in it accepts them.
        case policy
        /// By a rule that drops or refuses them.
        case rule
    }

    /// The chain's table.
    public var table: Table
    /// The chain.
    public var chain: String
    /// Who seems to have made it: `docker`, `docker (nftables)`, `ufw`, `firewalld`, `podman (netavark)`, `podman (cni)`, `libvirt`,
    /// `kubernetes`, `iptables`, or `nft table` and its name. Guessed from names: nobody signs rules.
    public var owner: String
    /// How packets end there.
    public var end: End
}

extension Dataplane {
    /// Whether another tool filters at a hook at all: quicker to know than ``obstacles(to:at:)``.
    public func hasForeignFilter(at hook: Hook) throws(NetlinkError) -> Bool {
        try chains().contains { $0.isForeignFilter(at: hook) }
    }

    /// Base chains of other tools that would end a packet at a hook.
    ///
    /// Their rules, sets and verdict maps are followed as far as they ask about what is known of the packet: interfaces, source
    /// address, state. A rule that asks about something else counts as one that does not match, so a chain that
    /// accepts some connections and drops all others is an obstacle. Rules of the older iptables (`iptables-legacy`) are not seen.
    ///
    /// - Parameters:
    ///   - packet: The first packet of a connection.
    ///   - hook: The hook that it comes to.
    /// - Returns: The obstacles, in the order in which the packet meets them.
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    public func obstacles(to packet: PassingPacket, at hook: Hook) throws(NetlinkError) -> [ForeignObstacle] {
        let family: TableFamily = packet.source.family == .ipv4 ? .ip : .ip6
        let chains = try chains().filter { [.inet, family].contains($0.table.family) && !$0.table.isEgrets }
        let bases = chains.filter { $0.isForeignFilter(at: hook) }
            .sorted { ($0.chain.base?.priority ?? 0) < ($1.chain.base?.priority ?? 0) }
        var known: [Table: ForeignChains] = [:]
        var found: [ForeignObstacle] = []
        for base in bases {
            let tables: ForeignChains
            if let read = known[base.table] {
                tables = read
            } else {
                tables = ForeignChains(
                    rules: Dictionary(grouping: try self.rules(in: base.table), by: \.chain),
                    names: chains.filter { $0.table == base.table }.map(\.chain.name),
                    sets: ForeignSets(
                        records: Dictionary(try sets(in: base.table).map { ($0.name, $0) }) { first, _ in first },
                        find: { set, key in try? self.element(of: key, in: set) }))
                known[base.table] = tables
            }
            guard let end = tables.end(of: packet, in: base) else { continue }
            found.append(
                ForeignObstacle(
                    table: base.table, chain: base.chain.name, owner: tables.owner(of: base), end: end))
        }
        return found
    }
}

extension Dataplane {
    /// What a set or a map has for a key. The kernel looks, however many elements there are.
    private func element(of key: [UInt8], in set: SetRecord) throws(NetlinkError) -> ForeignSets.Element {
        for asked in [key, nil] {
            do throws(NetlinkError) {
                let operation = "look into \(set.table) \(set.name)"
                let message = try connection.get(operation) { sequence throws(WireError) in
                    try NftablesWire.elementRequest(of: asked, in: set.name, of: set.table, sequence: sequence)
                }
                do throws(WireError) {
                    if let verdict = try NftablesWire.decodeVerdicts(message).first { return .present(verdict) }
                } catch {
                    throw NetlinkError(malformed: "\(error)", operation: operation)
                }
            } catch {
                // Before release 5.13 no element stood for all others, and to ask for one is an error.
                if asked != nil, error.code != .notFound { throw error }
            }
        }
        return .absent
    }
}

extension ChainRecord {
    fileprivate func isForeignFilter(at hook: Hook) -> Bool {
        chain.base?.hook == hook && chain.base?.kind == .filter && !table.isEgrets
    }
}

extension Table {
    fileprivate var isEgrets: Bool { name == "egret" || name.hasPrefix("egret-") }
}

/// The sets and maps of one table of another tool.
struct ForeignSets {
    /// What a set has for a key.
    enum Element: Hashable {
        case absent
        /// The verdict is a map's.
        case present(Verdict?)
    }

    /// The sets, by name.
    let records: [String: SetRecord]
    /// Looks for a key; `nil` if the kernel does not tell.
    let find: (SetRecord, [UInt8]) -> Element?

    /// What a set has for a key; `nil` if that is not known, or its keys are of another length.
    func element(of key: [UInt8], in set: String) -> Element? {
        guard let record = records[set], Int(record.keyLength) == key.count else { return nil }
        return find(record, key)
    }
}

/// One table of another tool, and what becomes of a packet in it.
struct ForeignChains {
    /// The rules, by chain, in order.
    let rules: [String: [RuleRecord]]
    /// The chains.
    let names: [String]
    /// The sets, and what is in them.
    let sets: ForeignSets

    /// More jumps than the kernel allows (`NFT_JUMP_STACK_SIZE`).
    private static let deepest = 16

    /// How a base chain ends a packet; `nil` if it lets it pass.
    func end(of packet: PassingPacket, in base: ChainRecord) -> ForeignObstacle.End? {
        switch fate(of: packet, in: base.chain.name, depth: 0) {
        case .accepted: nil
        case .ended: .rule
        case .returned: base.chain.base?.policy == .drop ? .policy : nil
        }
    }

    private enum Fate {
        case accepted, ended, returned
    }

    private func fate(of packet: PassingPacket, in chain: String, depth: Int) -> Fate {
        guard depth < ForeignChains.deepest else { return .returned }
        for rule in rules[chain] ?? [] {
            guard let end = packet.end(of: rule.expressions, sets) else { continue }
            switch end {
            case .verdict(.accept): return .accepted
            case .verdict(.drop), .reject: return .ended
            case .verdict(.return): return .returned
            case .verdict(.jump(let target)):
                let fate = fate(of: packet, in: target, depth: depth + 1)
                if fate != .returned { return fate }
            case .verdict(.goto(let target)): return fate(of: packet, in: target, depth: depth + 1)
            case .other("target", let data): if XtName(data) == "REJECT" { return .ended }
            default: continue
            }
        }
        return .returned
    }

    /// ufw before Docker: where both are, the policy is ufw's.
    func owner(of base: ChainRecord) -> String {
        let owners = names.compactMap(NatOwner.owner(ofChain:))
        let tableOwner = NatOwner.owner(of: base.table)
        // Docker's own tables have no place for others' rules, as its DOCKER-USER in those of iptables is.
        if tableOwner == "docker" { return "docker (nftables)" }
        return tableOwner
            ?? ["ufw", "docker", "kubernetes"].first { owners.contains($0) } ?? owners.first ?? "iptables"
    }
}
