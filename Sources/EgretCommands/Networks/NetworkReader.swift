// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetworks
import EgretPolicy

/// Reads documents of the kind `Network`.
///
/// Every mistake is a diagnostic with its place; a document with mistakes gives no network.
struct NetworkReader {
    private(set) var specs: [NetworkSpec] = []
    /// The mistakes of all documents, each document's in the order of their places.
    private(set) var diagnostics: [Diagnostic] = []

    private static let version = "egret.dev/v1"
    private static let fields = [
        "mode", "subnets", "mtu", "isolated", "masquerade", "sourceAddresses", "sourceAddressPer", "adopt",
        "allowThrough",
    ]

    /// Reads one document.
    mutating func read(_ document: DocumentNode) {
        let earlier = diagnostics
        diagnostics = []
        readNetwork(document)
        diagnostics.sort { left, right in
            (left.location?.line ?? 0, left.location?.column ?? 0) < (
                right.location?.line ?? 0, right.location?.column ?? 0
            )
        }
        diagnostics = earlier + diagnostics
    }

    private mutating func readNetwork(_ document: DocumentNode) {
        guard let top = mapping(document, "a document", ["apiVersion", "kind", "metadata", "spec"]) else { return }
        if text(top["apiVersion"]) != NetworkReader.version {
            report(top["apiVersion"] ?? document, "the apiVersion of a Network is \(NetworkReader.version)")
        }
        if text(top["kind"]) != "Network" {
            report(top["kind"] ?? document, "the kind is not Network", "policies are for egret run --policy")
            return
        }
        guard let metadata = top["metadata"].flatMap({ mapping($0, "metadata", ["name", "labels", "annotations"]) }),
            let name = text(metadata["name"])
        else {
            report(top["metadata"] ?? document, "the network has no name", "write metadata: { name: br0 }")
            return
        }
        guard let node = top["spec"], let spec = mapping(node, "spec", NetworkReader.fields) else {
            report(document, "the network has no spec", "write spec: { subnets: [192.168.0.0/16] }")
            return
        }
        let network = NetworkSpec(
            name: name,
            mode: mode(spec["mode"]),
            subnets: subnets(spec["subnets"]),
            mtu: number(spec["mtu"]),
            isIsolated: boolean(spec["isolated"], "isolated") ?? false,
            translation: translation(spec),
            isAdopted: boolean(spec["adopt"], "adopt") ?? false,
            allowedThrough: tools(spec["allowThrough"])
        )
        if !diagnostics.isEmpty { return }
        do {
            try network.check()
            specs.append(network)
        } catch {
            report(node, error.message, error.advice)
        }
    }

    // MARK: - Fields

    private mutating func mode(_ node: DocumentNode?) -> NetworkSpec.Mode {
        guard let node else { return .bridge }
        if let mode = text(node).flatMap({ NetworkSpec.Mode(rawValue: $0) }) { return mode }
        report(node, "the mode of a network is bridge or routed")
        return .bridge
    }

    private mutating func subnets(_ node: DocumentNode?) -> [Subnet] {
        guard let node else { return [] }
        guard case .sequence(let items) = node.content else {
            report(node, "subnets is a list", "write subnets: [192.168.0.0/16]")
            return []
        }
        return items.compactMap { subnet($0) }
    }

    private mutating func subnet(_ node: DocumentNode) -> Subnet? {
        if case .mapping(let entries) = node.content, !entries.isEmpty {
            guard let fields = mapping(node, "a subnet", ["cidr", "gateway"]), let block = block(fields["cidr"] ?? node)
            else { return nil }
            guard let gateway = fields["gateway"] else { return Subnet(block) }
            guard let address = text(gateway).flatMap({ IPAddress($0) }) else {
                report(gateway, "the gateway is no address")
                return nil
            }
            return Subnet(block, gateway: address)
        }
        return block(node).map { Subnet($0) }
    }

    private mutating func block(_ node: DocumentNode) -> IPPrefix? {
        guard let text = text(node), text.contains("/"), let block = IPPrefix(text) else {
            report(node, "a subnet is ADDRESS/LENGTH", "write 192.168.0.0/16")
            return nil
        }
        if let address = IPAddress(String(text.prefix { $0 != "/" })), address != block.address {
            report(node, "\(text) is an address in a block", "write { cidr: \(block), gateway: \(address) }")
            return nil
        }
        return block
    }

    private mutating func translation(_ spec: [String: DocumentNode]) -> NetworkSpec.Translation {
        let masquerades = boolean(spec["masquerade"], "masquerade")
        let use = sourceUse(spec["sourceAddressPer"])
        guard let node = spec["sourceAddresses"] else {
            if let other = spec["sourceAddressPer"] {
                report(
                    other, "the network has no sourceAddresses to give",
                    "write sourceAddresses: [192.0.2.7-192.0.2.9]")
            }
            return masquerades == false ? .none : .masquerade
        }
        if let other = spec["masquerade"] {
            report(other, "masquerade and sourceAddresses exclude each other", "remove one of them")
        }
        guard case .sequence(let items) = node.content, !items.isEmpty else {
            report(node, "sourceAddresses is a list", "write sourceAddresses: [192.0.2.7-192.0.2.9]")
            return .masquerade
        }
        return .sourceAddresses(
            items.compactMap { item in
                if let pair = text(item).flatMap({ AddressPair($0) }) {
                    return use == .connection ? pair.perConnection : pair
                }
                if let problem = text(item).flatMap(AddressPair.misorder) {
                    report(item, problem.message, problem.advice)
                } else {
                    report(item, "a source address is ADDRESS or FIRST-LAST")
                }
                return nil
            })
    }

    /// Who gets one address of a run.
    private mutating func sourceUse(_ node: DocumentNode?) -> SourceUse {
        guard let node else { return .endpoint }
        if let use = text(node).flatMap({ SourceUse(rawValue: $0) }) { return use }
        report(node, "sourceAddressPer is endpoint or connection")
        return .endpoint
    }

    /// Tools of the host that may drop what the network sends on.
    private mutating func tools(_ node: DocumentNode?) -> Set<Passage.Tool> {
        guard let node else { return [] }
        guard case .sequence(let items) = node.content else {
            report(node, "allowThrough is a list", "write allowThrough: [docker]")
            return []
        }
        var found: Set<Passage.Tool> = []
        let known = Passage.Tool.allCases.map(\.rawValue)
        for item in items {
            guard let tool = text(item).flatMap({ Passage.Tool(rawValue: $0) }) else {
                let nearest = text(item).flatMap { Spelling.nearest(to: $0, among: known) }
                report(
                    item, "allowThrough names tools of the host: \(known.joined(separator: ", "))",
                    nearest.map { "did you mean \"\($0)\"?" } ?? "leave out what is none of them")
                continue
            }
            if !found.insert(tool).inserted { report(item, "\(tool.rawValue) is there already", "name it once") }
        }
        return found
    }

    // MARK: - Values

    private mutating func mapping(_ node: DocumentNode, _ name: String, _ known: [String]) -> [String: DocumentNode]? {
        guard case .mapping(let entries) = node.content else {
            report(node, "\(name) is a mapping")
            return nil
        }
        for entry in entries where !known.contains(entry.key) {
            let nearest = Spelling.nearest(to: entry.key, among: known).map { "did you mean \"\($0)\"?" }
            diagnostics.append(
                Diagnostic(
                    .error, code: DiagnosticCode.unknownField, at: entry.keyLocation,
                    "\(name) has no field \"\(entry.key)\"",
                    suggestion: nearest ?? "there is \(known.joined(separator: ", "))"))
        }
        return Dictionary(entries.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
    }

    private func text(_ node: DocumentNode?) -> String? {
        guard let node else { return nil }
        switch node.content {
        case .string(let text): return text
        case .integer, .boolean: return node.text
        case .null, .sequence, .mapping: return nil
        }
    }

    private mutating func boolean(_ node: DocumentNode?, _ name: String) -> Bool? {
        guard let node else { return nil }
        if case .boolean(let value) = node.content { return value }
        report(node, "\(name) is true or false")
        return nil
    }

    private mutating func number(_ node: DocumentNode?) -> UInt32? {
        guard let node else { return nil }
        if case .integer(let value) = node.content, let number = UInt32(exactly: value) { return number }
        report(node, "mtu is a number of bytes")
        return nil
    }

    private mutating func report(_ node: DocumentNode, _ message: String, _ suggestion: String? = nil) {
        diagnostics.append(
            Diagnostic(.error, code: DiagnosticCode.wrongType, at: node.location, message, suggestion: suggestion))
    }
}
