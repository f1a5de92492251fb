// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

extension PolicyReader {
    private static let groupSchema = DocumentFields.Schema(
        name: "spec", fields: ["cidrs", "domains", "feed"],
        foreign: [
            "cidr": "write cidrs: and a list", "to": "write cidrs: and a list", "addresses": "write cidrs: and a list",
            "domain": "write domains: and a list", "names": "write domains: and a list",
            "feeds": "write feed: one for each group", "file": "write feed: { file: ... }",
            "url": "write feed: { url: ... }",
        ]
    )

    private static let groupEntrySchema = DocumentFields.Schema(name: "an entry of cidrs", fields: ["cidr", "except"])

    /// Reads a `DestinationGroup`.
    mutating func readGroup(_ document: DocumentFields) {
        let name = readMetadata(document, of: "the group")
        if let name { checkGroupName(name.name, at: name.location) }
        guard
            let node = required(
                "spec", in: document, of: "the group", suggestion: "write spec: { cidrs: [203.0.113.0/24] }"
            ),
            let spec = fields(node, PolicyReader.groupSchema)
        else { return }
        let feed = spec["feed"].flatMap { readFeed($0) }
        let domains = spec["domains"].map { readDomains($0) } ?? []
        let blocks = (spec.has("feed") || spec.has("domains")) && !spec.has("cidrs") ? [] : readGroupBlocks(spec)
        guard let name, let blocks else { return }
        result.groups.append(
            DestinationGroup(
                name: name.name, blocks: blocks, domains: domains, feed: feed, location: document.node.location))
    }

    private mutating func readGroupBlocks(_ spec: DocumentFields) -> [AddressBlock]? {
        guard
            let list = required("cidrs", in: spec, of: "the group", suggestion: "write cidrs: [203.0.113.0/24]"),
            let items = items(
                list, "cidrs", emptyMessage: "cidrs is empty, so the group would match nothing",
                emptySuggestion: "write at least one CIDR, or remove the group and the rules that name it"
            )
        else { return nil }
        return items.compactMap { readGroupEntry($0) }
    }

    private mutating func readGroupEntry(_ node: DocumentNode) -> AddressBlock? {
        guard case .mapping(let entries) = node.content, !(entries.count == 1 && entries[0].key.hasSuffix(":")) else {
            return readPrefix(node, "an entry of cidrs").map { AddressBlock($0) }
        }
        if entries.isEmpty {
            error(
                DiagnosticCode.empty, at: node.location, "the entry is empty",
                "write a CIDR, for example 203.0.113.0/24")
            return nil
        }
        guard let fields = fields(node, PolicyReader.groupEntrySchema) else { return nil }
        return readBlock(fields)
    }

    private mutating func checkGroupName(_ name: String, at location: SourceLocation) {
        if BuiltInGroup(rawValue: name) != nil || name == "cluster" {
            error(
                DiagnosticCode.reservedName, at: location, "\(quoted(name)) is the name of a built-in group",
                "choose another name, for example my-\(name)"
            )
            return
        }
        if let problem = ObjectName.problem(withGroupName: name) {
            result.diagnostics.append(problem.diagnostic(at: location))
            return
        }
        if let first = groupNames[name] {
            error(
                DiagnosticCode.duplicateName, at: location,
                "a group named \(quoted(name)) is defined already at \(first)",
                "give one of the two another name"
            )
            return
        }
        groupNames[name] = location
    }
}
