// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNetlink
import EgretNetlinkWire
public import EgretNftables

/// A rule that translates addresses, or leads to rules that do, whoever made it.
public struct NatRule: Hashable, Sendable {
    /// The table.
    public var table: Table
    /// The chain.
    public var chain: String
    /// The base chain at the hook, if the chain is one; `nil` for a chain that others jump to.
    public var base: BaseChain?
    /// The kernel's number for the rule, unique in the table.
    public var handle: UInt64
    /// Who seems to have made it: `egret`, `docker`, `podman (netavark)`, `podman (cni)`, `libvirt`, `firewalld`,
    /// `ufw`, `kubernetes`, `iptables`, or `nft table` and its name. Guessed from names: nobody signs rules.
    public var owner: String
    /// What the rule has counted; `nil` if it does not count. Translating chains see only the first packet of each
    /// connection.
    public var counted: CounterValue?
    /// The rule in nft's words, without its counter. What has no words stands as the expression's name in brackets.
    public var text: String
    /// The comment.
    public var comment: String?
}

/// All rules in the translating chains of a network namespace.
public struct NatListing: Hashable, Sendable {
    /// The rules: by table, base chains by hook and priority and then the chains they lead to, in order in a chain.
    public var rules: [NatRule]
    /// Whether the older iptables translates too (`iptables-legacy`). Its rules are not among nf_tables' and cannot
    /// be listed here.
    public var hasLegacyTranslation: Bool
}

extension Dataplane {
    /// Lists every rule in every chain of type `nat`, of all tables, and in the chains that those lead to.
    ///
    /// Never fails on a rule that it does not understand. The listing is of several dumps: a ruleset that changes
    /// meanwhile may be seen half.
    ///
    /// - Parameters:
    ///   - interfaceNames: The namespace's interfaces, for rules that name them by number.
    ///   - legacyTables: The texts of `/proc/net/ip_tables_names` and `/proc/net/ip6_tables_names`; empty where
    ///     there are none.
    /// - Returns: The rules.
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    public func natListing(
        interfaceNames: [UInt32: String] = [:],
        legacyTables: String = ""
    ) throws(NetlinkError) -> NatListing {
        let chains = try chains().filter { [.inet, .ip, .ip6].contains($0.table.family) }
        let tables = Swift.Set(chains.filter { $0.chain.base?.kind == .nat }.map(\.table))
        var rules: [NatRule] = []
        for table in tables.sorted() {
            rules += try natRules(in: table, chains.filter { $0.table == table }, interfaceNames)
        }
        let legacy = legacyTables.split { $0.isWhitespace }
        return NatListing(rules: rules, hasLegacyTranslation: legacy.contains("nat"))
    }

    private func natRules(
        in table: Table,
        _ chains: [ChainRecord],
        _ interfaceNames: [UInt32: String]
    ) throws(NetlinkError) -> [NatRule] {
        let rules = Dictionary(grouping: try self.rules(in: table), by: \.chain)
        let contents = SetContentsReader(sets: try sets(in: table)) { set in (try? self.elements(of: set)) ?? [] }
        var counters: [String: CounterValue] = [:]
        for (name, value) in try self.counters(in: table) { counters[name] = value }
        let bases = chains.filter { $0.chain.base?.kind == .nat }.sorted(by: ChainRecord.isAsked)
        var order = bases.map(\.chain.name)
        var known = Swift.Set(order)
        var position = 0
        // Breadth first: a chain's place is behind the first that leads to it.
        while position < order.count {
            for target in (rules[order[position]] ?? []).flatMap({ $0.targets(contents) })
            where known.insert(target).inserted { order.append(target) }
            position += 1
        }
        let owners = NatOwner(table: table)
        var listed: [NatRule] = []
        for name in order {
            let base = bases.first { $0.chain.name == name }?.chain.base
            for record in rules[name] ?? [] {
                let words = NatRuleText(record.expressions, family: table.family, contents, interfaceNames)
                listed.append(
                    NatRule(
                        table: table,
                        chain: name,
                        base: base,
                        handle: record.handle,
                        owner: owners.owner(of: record, words),
                        counted: words.counted ?? words.counterName.flatMap { counters[$0] },
                        text: words.text,
                        comment: record.comment ?? words.comment
                    )
                )
            }
        }
        return listed
    }
}

/// The elements of a table's sets, read when they are first asked for.
final class SetContentsReader {
    private let sets: [String: SetRecord]
    private let read: (SetRecord) -> [SetElement]
    private var known: [String: [SetElement]] = [:]

    init(sets: [SetRecord], _ read: @escaping (SetRecord) -> [SetElement]) {
        self.sets = Dictionary(sets.map { ($0.name, $0) }) { first, _ in first }
        self.read = read
    }

    func record(_ name: String) -> SetRecord? { sets[name] }

    func elements(_ name: String) -> [SetElement] {
        if let elements = known[name] { return elements }
        let elements = sets[name].map(read) ?? []
        known[name] = elements
        return elements
    }
}

extension ChainRecord {
    /// Whether a base chain is asked before another: by hook, then by priority.
    fileprivate static func isAsked(_ left: ChainRecord, before right: ChainRecord) -> Bool {
        guard let first = left.chain.base, let second = right.chain.base else { return false }
        let hooks = Hook.allCases
        let places = (hooks.firstIndex(of: first.hook) ?? 0, hooks.firstIndex(of: second.hook) ?? 0)
        return (places.0, first.priority, left.chain.name) < (places.1, second.priority, right.chain.name)
    }
}

extension RuleRecord {
    /// The chains that the rule leads to, itself or by a map, in order.
    fileprivate func targets(_ contents: SetContentsReader) -> [String] {
        expressions.flatMap { expression -> [String] in
            switch expression {
            case .verdict(let verdict): [verdict.target].compactMap { $0 }
            case .verdictMap(let map): contents.elements(map).compactMap { $0.verdict?.target }
            default: []
            }
        }
    }
}

extension Verdict {
    /// The chain that the packet is sent to.
    fileprivate var target: String? {
        switch self {
        case .jump(let chain), .goto(let chain): chain
        case .accept, .drop, .return: nil
        }
    }
}
