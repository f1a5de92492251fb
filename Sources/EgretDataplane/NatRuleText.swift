// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetlinkWire
import EgretNftables

/// A rule's expressions in nft's words, as far as they have any.
///
/// The rule is followed as the kernel runs it: loads wait in registers until something uses them.
struct NatRuleText {
    /// What the rule has counted itself.
    private(set) var counted: CounterValue?
    /// The named counter that it counts in.
    private(set) var counterName: String?
    /// The comment that iptables keeps as a match.
    private(set) var comment: String?
    /// The names of interfaces that it compares.
    private(set) var interfaces: [String] = []
    private var words: [String] = []
    private var loads: [RegisterLoad] = []
    private var constants: [UInt32: [UInt8]] = [:]
    private var context: PacketContext
    private let contents: SetContentsReader
    private let interfaceNames: [UInt32: String]

    /// The rule, without its counter and comment.
    ///
    /// What goes without saying is left out, as nft does: the protocol before its ports, the family before its
    /// addresses.
    var text: String {
        words.filter { word in
            !words.contains { other in
                PacketContext.implications.contains { other.hasPrefix($0.selector) && word == $0.implied }
            }
        }.joined(separator: " ")
    }

    init(
        _ expressions: [KernelExpression],
        family: TableFamily,
        _ contents: SetContentsReader,
        _ interfaceNames: [UInt32: String]
    ) {
        context = PacketContext(family: family)
        self.contents = contents
        self.interfaceNames = interfaceNames
        for expression in expressions { append(expression) }
    }

    private mutating func append(_ expression: KernelExpression) {
        switch expression {
        case .into(let register, .immediate(let bytes)): constants[register] = bytes
        case .immediate(let bytes): constants[1] = bytes
        case .into(_, let load): loads.append(RegisterLoad(load, context))
        case .meta, .payload, .conntrack, .fib, .randomNumber: loads.append(RegisterLoad(expression, context))
        case .bitwise(let mask, let xor): if !loads.isEmpty { loads[loads.count - 1].mask(mask, xor) }
        case .compare(let isEqual, let bytes): compare(isEqual ? "" : "!= ", bytes)
        case .lookup(let set, let isInverted):
            let key = used()
            words.append("\(key.text) \(isInverted ? "!= " : "")\(elements(set, of: key.loads))")
        case .verdictMap(let map):
            let key = used()
            words.append("\(key.text) vmap \(elements(map, of: key.loads))")
        case .counter(let packets, let bytes): counted = CounterValue(packets: packets, bytes: bytes)
        case .object(1, let name): counterName = name
        case .translate(let translation): words.append(text(of: translation))
        case .masquerade(let flags): words.append("masquerade" + XtRange.flagWords(flags))
        case .verdict(let verdict): words.append(NftText.render(verdict))
        case .log: words.append("log")
        case .reject: words.append("reject")
        case .connectionTuple, .byteOrder, .setConntrack, .setMeta, .object, .forward, .transparentProxy, .socketCgroup,
            .limit, .connectionLimit, .each, .addElement, .keepElement, .removeElement, .evaluationNumber,
            .writePayload:
            words.append("[\(expression.kernelName)]")
        case .other(let name, let data): append(name, data)
        }
    }

    private mutating func compare(_ sign: String, _ bytes: [UInt8]) {
        guard let load = loads.popLast() else {
            words.append("[cmp]")
            return
        }
        if let learnt = context.learn(load, bytes, isEqual: sign.isEmpty) {
            words.append(learnt)
            return
        }
        if load.isInterfaceName { interfaces.append(load.value(bytes, interfaceNames)) }
        // Some of the bits, compared to none, for being set: nft says it the other way round.
        let shown = load.isBitTest(bytes) ? (sign.isEmpty ? "! " : "") : sign
        words.append("\(load.text(context)) \(shown)\(load.value(bytes, interfaceNames))")
    }

    /// What waits in the registers, as one key.
    private mutating func used() -> (text: String, loads: [RegisterLoad]) {
        defer { loads = [] }
        return (loads.map { $0.text(context) }.joined(separator: " . "), loads)
    }

    /// A set by its name, or what is in a set that has none.
    private func elements(_ set: String, of loads: [RegisterLoad]) -> String {
        guard set.hasPrefix("__"), let record = contents.record(set), let type = record.keyType else {
            return "@\(set)"
        }
        let types = [type] + record.furtherKeyTypes
        let texts = contents.elements(set).map { element in
            let parts = zip([element.lowerBound] + element.furtherKeys, types).map { RegisterLoad.value($0, $1) }
            var key = parts.joined(separator: " . ")
            if element.upperBound != element.lowerBound { key += "-" + RegisterLoad.value(element.upperBound, type) }
            return element.verdict.map { "\(key) : \(NftText.render($0))" } ?? key
        }
        return texts.isEmpty ? "@\(set)" : "{ \(texts.joined(separator: ", ")) }"
    }

    private func text(of translation: KernelExpression.Translation) -> String {
        let word = translation.kind == .source ? "snat" : "dnat"
        let isIPv4 = translation.family == 2
        let family = context.family == .inet ? (isIPv4 ? " ip" : " ip6") : ""
        func bytes(_ register: UInt32?) -> [UInt8]? { register.flatMap { constants[$0] } }
        let range = XtRange(
            flags: translation.flags,
            addresses: bytes(translation.addresses?.first).map { ($0, bytes(translation.addresses?.last) ?? $0) },
            ports: bytes(translation.ports?.first).map { ($0, bytes(translation.ports?.last) ?? $0) }
        )
        let target = range.text
        guard !target.isEmpty else { return "\(word)\(family) to [register]" + XtRange.flagWords(translation.flags) }
        return "\(word)\(family) to \(target)"
    }

    private mutating func append(_ name: String, _ data: [UInt8]) {
        let fields = (try? NetlinkAttribute.parse(data[...])) ?? []
        func field(_ type: UInt16) -> NetlinkAttribute? { fields.first { $0.type == type } }
        func constant(_ type: UInt16) -> [UInt8]? {
            field(type).flatMap { try? $0.bigEndian(UInt32.self) }.flatMap { constants[$0] }
        }
        func value(_ type: UInt16) -> [UInt8]? {
            let parts = field(type).flatMap { try? $0.attributes() } ?? []
            return parts.first.map { Array($0.payload) }
        }
        switch name {
        case "match":
            let match = XtMatch(fields, context)
            if let text = match.comment { comment = text } else { words.append(match.text) }
        case "target": words.append(XtTarget(fields, context.family).text)
        case "redir":
            let ports = constant(1).map { ($0, constant(2) ?? $0) }
            let range = XtRange(flags: 0, addresses: nil, ports: ports).text
            words.append(range.isEmpty ? "redirect" : "redirect to \(range)")
        case "masq": words.append("masquerade")
        case "lookup":
            words.append("\(used().text) map @\(field(1).map { $0.string() } ?? "")")
        case "range":
            guard let load = loads.popLast(), let first = value(3), let last = value(4) else {
                return words.append("[range]")
            }
            let sign = field(2).flatMap { try? $0.bigEndian(UInt32.self) } == 1 ? "!= " : ""
            let bounds = [first, last].map { load.value($0, interfaceNames) }.joined(separator: "-")
            words.append("\(load.text(context)) \(sign)\(bounds)")
        default: words.append("[\(name)]")
        }
    }
}
