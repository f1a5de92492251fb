// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Renders values as the text that `nft -f` reads.
///
/// The text is for people, for golden tests and for `nft -c -f`; Egret itself speaks netlink. It says what the
/// netlink form says, with three exceptions that come from nft: it has no text for looking up a neighbour target in
/// a set of addresses (`@th,64,128 @set` is printed and nft 1.0.6 refuses it), it takes no name that is one of
/// its own words, such as `fwd`, and it reads moments in whole seconds, so that a range of them ends up to a second early.
public enum NftText {
    /// A transaction as an `nft -f` script: one line for each step, two for a set with contents.
    ///
    /// nft makes all changes of a script together or not at all, as the kernel makes those of a transaction.
    public static func script(_ transaction: Transaction) -> String {
        transaction.steps.map { lines($0).map { "\($0)\n" }.joined() }.joined()
    }

    /// A rule's statements as nft text, with its comment.
    public static func render(_ rule: Rule) -> String {
        var parts = rule.statements.map(render)
        if let comment = rule.comment { parts.append("comment \(quoted(comment))") }
        return parts.joined(separator: " ")
    }

    /// A verdict as nft text.
    public static func render(_ verdict: Verdict) -> String {
        switch verdict {
        case .accept: "accept"
        case .drop: "drop"
        case .jump(let chain): "jump \(chain)"
        case .goto(let chain): "goto \(chain)"
        case .return: "return"
        }
    }

    /// A text in quotes. nft has no escapes, so quotes and line ends inside become apostrophes and spaces.
    static func quoted(_ text: String) -> String {
        let safe = text.map { character -> Character in
            if character == "\"" { return "'" }
            return character.isNewline ? " " : character
        }
        return "\"\(String(safe))\""
    }

    private static func lines(_ step: Transaction.Step) -> [String] {
        let table = "\(step.table.family.rawValue) \(step.table.name)"
        switch step.operation {
        case .addTable: return ["add table \(table)"]
        case .addOwnedTable: return ["add table \(table) { flags owner, persist; }"]
        case .deleteTable: return ["delete table \(table)"]
        case .addChain(let chain): return ["add chain \(table) \(render(chain))"]
        case .createChain(let chain): return ["create chain \(table) \(render(chain))"]
        case .flushChain(let name): return ["flush chain \(table) \(name)"]
        case .deleteChain(let name): return ["delete chain \(table) \(name)"]
        case .addRule(let rule): return ["add rule \(table) \(rule.chain) \(render(rule))"]
        case .deleteRule(let chain, let handle): return ["delete rule \(table) \(chain) handle \(handle)"]
        case .addSet(let set): return ["add \(kind(set)) \(table) \(render(set))"] + elementLines("add", set, table)
        case .addElements(let set): return elementLines("add", set, table)
        case .deleteElements(let set): return elementLines("delete", set, table)
        case .deleteSet(let name): return ["delete set \(table) \(name)"]
        case .addCounter(let counter): return ["add counter \(table) \(counter.name)"]
        case .deleteCounter(let name): return ["delete counter \(table) \(name)"]
        case .addLimit(let limit):
            let rate =
                switch limit.unit {
                case .packets: "rate \(limit.perSecond)/second burst \(limit.burst) packets"
                case .bytes: "rate \(limit.perSecond) bytes/second burst \(limit.burst) bytes"
                }
            return ["add limit \(table) \(limit.name) { \(rate) ; }"]
        case .deleteLimit(let name): return ["delete limit \(table) \(name)"]
        case .addQuota(let quota):
            let used = quota.used == 0 ? "" : " used \(quota.used) bytes"
            return ["add quota \(table) \(quota.name) { over \(quota.bytes) bytes\(used) ; }"]
        case .deleteQuota(let name): return ["delete quota \(table) \(name)"]
        }
    }

    private static func render(_ chain: Chain) -> String {
        guard let base = chain.base else { return chain.name }
        let device = base.device.map { " device \(quoted($0))" } ?? ""
        let type = "type \(base.kind.rawValue) hook \(base.hook.rawValue)\(device) priority \(base.priority)"
        return "\(chain.name) { \(type); policy \(base.policy.rawValue); }"
    }

    private static func kind(_ set: Set) -> String {
        set.mapsToVerdict ? "map" : "set"
    }

    private static func render(_ set: Set) -> String {
        let key =
            set.furtherKeyTypes.isEmpty
            ? set.keyType.nftDeclaration
            : "type " + ([set.keyType] + set.furtherKeyTypes).map(\.nftName).joined(separator: " . ")
        let type = set.mapsToVerdict ? "\(key) : verdict" : key
        let size = set.size.map { " size \($0);" } ?? ""
        let flags = [
            set.isDynamic ? "dynamic" : nil, set.hasIntervals ? "interval" : nil, set.hasTimeouts ? "timeout" : nil,
        ].compactMap(\.self)
        let flagText = flags.isEmpty ? "" : " flags \(flags.joined(separator: ","));"
        return "\(set.name) { \(type);\(flagText)\(size) }"
    }

    private static func elementLines(_ verb: String, _ set: Set, _ table: String) -> [String] {
        let elements = NftText.elements(of: set)
        guard !elements.isEmpty else { return [] }
        return ["\(verb) element \(table) \(set.name) { \(elements.joined(separator: ", ")) }"]
    }
}
