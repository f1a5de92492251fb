// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy

/// Reads one end of an assertion: `any`, `app=web,tier!=x`, `namespace:shop`, `shop/cart`, `deployment/shop/cart`, an
/// address or a block, `group:NAME`, `outside`.
struct PartyReader {
    let catalog: PolicyCatalog
    let inventory: Inventory

    func party(_ word: AssertionWord) throws(AssertionProblem) -> Assertion.Party {
        switch word.text {
        case "any": return .workloads(.everything)
        case "outside": return .outside
        default: break
        }
        if word.text.hasPrefix("group:") { return try group(word.dropping(6)) }
        if let block = try block(word) { return .block(block) }
        let selector = try selector(word)
        guard inventory.workloads.contains(where: { selector.matches($0, in: inventory) }) else {
            throw AssertionProblem(
                word.offset, "\"\(word.text)\" chooses no workload",
                "what is said of nobody is always true; name workloads that exist")
        }
        return .workloads(selector)
    }

    /// The group of every workload.
    private static let cluster = "cluster"

    /// The names of all groups.
    private var names: [String] {
        BuiltInGroup.allCases.map(\.rawValue) + [PartyReader.cluster] + catalog.groups.map(\.name)
    }

    private func group(_ word: AssertionWord) throws(AssertionProblem) -> Assertion.Party {
        if word.text == PartyReader.cluster { return .workloads(.everything) }
        if let group = BuiltInGroup(rawValue: word.text) { return .builtIn(group) }
        if catalog.groups.contains(where: { $0.name == word.text }) { return .group(word.text) }
        throw AssertionProblem(
            word.offset, "no group has the name \"\(word.text)\"",
            AssertionProblem.question(word.text, among: names) ?? "use one of \(names.joined(separator: ", "))")
    }

    /// A block of addresses; `nil` if the word is not meant as one.
    private func block(_ word: AssertionWord) throws(AssertionProblem) -> IPPrefix? {
        let parts = word.text.split(separator: "/", omittingEmptySubsequences: false)
        guard let first = parts.first, let address = IPAddress(first) else { return nil }
        guard let prefix = IPPrefix(word.text) else {
            throw AssertionProblem(
                word.offset, "\"\(word.text)\" is not a block of addresses",
                "write an address, or a block such as \(address)/\(address.family.bitWidth)")
        }
        if IPPrefix.hasHostBits(address, length: prefix.length) {
            throw AssertionProblem(word.offset, "\"\(word.text)\" has bits set beyond its length", "write \(prefix)")
        }
        return prefix
    }

    private func selector(_ word: AssertionWord) throws(AssertionProblem) -> WorkloadSelector {
        var selector = WorkloadSelector()
        for part in word.split(at: ",") {
            if part.text.hasPrefix("namespace:") {
                selector.namespaces.append(try namespace(part.dropping(10)))
            } else if part.text.contains("=") {
                selector.labels.requirements.append(try requirement(part))
            } else if part.text.contains("/") {
                selector.names.append(try name(part))
            } else {
                throw unknown(part)
            }
        }
        return selector
    }

    private func namespace(_ word: AssertionWord) throws(AssertionProblem) -> String {
        if inventory.namespaces[word.text] != nil { return word.text }
        let names = inventory.namespaces.keys.sorted()
        throw AssertionProblem(
            word.offset, "no namespace has the name \"\(word.text)\"",
            AssertionProblem.question(word.text, among: names) ?? PartyReader.list(names))
    }

    private func name(_ word: AssertionWord) throws(AssertionProblem) -> String {
        let ids = Set(inventory.workloads.filter { !$0.usesHostNetwork }.map(\.id))
        let named = ids.filter { $0.description == word.text }.sorted()
        if named.count > 1 {
            // Of two workloads one may be reached and the other not: what is claimed of whom?
            throw AssertionProblem(
                word.offset, "\"\(word.text)\" names \(named.count) workloads",
                "write \(named.map(\.withKind).joined(separator: " or "))")
        }
        if named.count == 1 { return word.text }
        let parts = word.text.split(separator: "/", maxSplits: 1).map(String.init)
        let qualified = parts.count == 2 ? "\(parts[0].lowercased())/\(parts[1])" : word.text
        if ids.contains(where: { $0.withKind == qualified }) { return qualified }
        let names = ids.map(\.description).sorted()
        if inventory.workloads.contains(where: { $0.id.description == word.text }) {
            throw AssertionProblem(
                word.offset, "\(word.text) uses the host's network, and no policy is about it",
                "name the machine's addresses")
        }
        throw AssertionProblem(
            word.offset, "no workload has the name \"\(word.text)\"",
            AssertionProblem.question(word.text, among: names) ?? PartyReader.list(names))
    }

    private func requirement(_ word: AssertionWord) throws(AssertionProblem) -> LabelSelector.Requirement {
        let sides = word.split(at: "=")
        guard sides.count == 2, let left = sides.first, let right = sides.last else {
            throw AssertionProblem(
                word.offset, "\"\(word.text)\" is not a label and its value", "write KEY=VALUE or KEY!=VALUE")
        }
        let isNegated = left.text.hasSuffix("!")
        let key = isNegated ? String(left.text.dropLast()) : left.text
        let workloads = inventory.workloads.filter { !$0.usesHostNetwork }
        guard workloads.contains(where: { $0.labels[key] != nil }) else {
            let keys = Set(workloads.flatMap(\.labels.keys)).sorted()
            throw AssertionProblem(
                left.offset, "no workload has a label \"\(key)\"",
                AssertionProblem.question(key, among: keys) ?? PartyReader.list(keys))
        }
        let values = Set(workloads.compactMap { $0.labels[key] }).sorted()
        if !values.contains(right.text) {
            throw AssertionProblem(
                right.offset, "no workload has the label \(key)=\(right.text)",
                AssertionProblem.question(right.text, among: values) ?? PartyReader.list(values))
        }
        return .init(key, isNegated ? .isNotIn : .isIn, [right.text])
    }

    private func unknown(_ word: AssertionWord) -> AssertionProblem {
        if names.contains(word.text) {
            return AssertionProblem(word.offset, "\"\(word.text)\" is a group", "write group:\(word.text)")
        }
        if inventory.namespaces[word.text] != nil {
            return AssertionProblem(word.offset, "\"\(word.text)\" is a namespace", "write namespace:\(word.text)")
        }
        if let workload = inventory.workloads.first(where: { $0.id.name == word.text }) {
            return AssertionProblem(word.offset, "a workload needs its namespace", "write \(workload.id)")
        }
        return AssertionProblem(
            word.offset, "\"\(word.text)\" is neither a selector nor addresses",
            AssertionProblem.question(word.text, among: ["any", "outside"])
                ?? "write app=NAME, namespace:NAME, NAMESPACE/NAME, any, outside, group:NAME or a block of addresses")
    }

    private static func list(_ names: [String]) -> String {
        let shown = names.prefix(6).joined(separator: ", ")
        return names.isEmpty ? "there are none" : "there are \(shown)\(names.count > 6 ? ", and more" : "")"
    }
}
