// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

extension PolicyReader {
    private static let ingressRuleSchema = DocumentFields.Schema(
        name: "an ingress rule", fields: ["from", "ports"],
        foreign: ["to": "write from: an ingress rule says who may connect", "action": allows, "port": portsList]
    )

    private static let egressRuleSchema = DocumentFields.Schema(
        name: "an egress rule", fields: ["to", "ports"],
        foreign: [
            "from": "write to: an egress rule says where the pods may connect", "action": allows, "port": portsList,
        ]
    )

    private static let allows = "remove it: every rule of a NetworkPolicy allows"
    private static let portsList = "write ports: and a list"

    private static let peerSchema = DocumentFields.Schema(
        name: "a peer", fields: ["podSelector", "namespaceSelector", "ipBlock"],
        foreign: [
            "cidr": "write ipBlock: { cidr: ... }", "except": "write it in ipBlock, beside cidr",
            "pods": "write podSelector; pods is ClusterNetworkPolicy's",
            "namespaces": "write namespaceSelector; namespaces is ClusterNetworkPolicy's",
            "ports": "write ports beside the list of peers, not in it",
            "matchLabels": "write podSelector: { matchLabels: ... }",
        ]
    )

    private static let blockSchema = DocumentFields.Schema(name: "ipBlock", fields: ["cidr", "except"])

    private static let portSchema = DocumentFields.Schema(
        name: "an entry of ports", fields: ["protocol", "port", "endPort"],
        foreign: ["name": "write port: and the name", "number": "write port", "targetPort": "write port"]
    )

    /// Reads one rule; an empty one allows everything.
    mutating func readNetworkPolicyRule(_ node: DocumentNode, _ direction: TrafficDirection) -> NetworkPolicy.Rule? {
        let schema = direction == .ingress ? PolicyReader.ingressRuleSchema : PolicyReader.egressRuleSchema
        guard let fields = fields(node, schema) else { return nil }
        var rule = NetworkPolicy.Rule(location: node.location)
        rule.peers = list(direction == .ingress ? "from" : "to", in: fields).compactMap { readNetworkPolicyPeer($0) }
        for port in list("ports", in: fields) { readNetworkPolicyPort(port, into: &rule) }
        return rule
    }

    private mutating func readNetworkPolicyPeer(_ node: DocumentNode) -> NetworkPolicy.Peer? {
        guard let fields = fields(node, PolicyReader.peerSchema) else { return nil }
        let namespaces = selector("namespaceSelector", in: fields)
        let pods = selector("podSelector", in: fields)
        let block = present("ipBlock", in: fields)
        if let block {
            if !hasNullsOnly(fields) {
                error(
                    DiagnosticCode.contradiction, at: fields.location(of: "ipBlock"),
                    "ipBlock cannot be combined with selectors in one peer",
                    "write two peers: the rule matches either"
                )
            }
            return readNetworkPolicyBlock(block).map { .block($0) }
        }
        if namespaces == nil && pods == nil {
            // Whatever was written and is wrong has been reported.
            if hasNullsOnly(fields) && !fields.hasUnknown {
                error(
                    DiagnosticCode.empty, at: node.location, "the peer says nothing",
                    "write podSelector, namespaceSelector or ipBlock; podSelector: {} is every pod of the namespace"
                )
            }
            return nil
        }
        return .pods(namespaces: namespaces, pods: pods)
    }

    private func hasNullsOnly(_ fields: DocumentFields) -> Bool {
        ["podSelector", "namespaceSelector"].allSatisfy { fields[$0].map { $0.content == .null } ?? true }
    }

    private mutating func readNetworkPolicyBlock(_ node: DocumentNode) -> AddressBlock? {
        guard let fields = fields(node, PolicyReader.blockSchema),
            let cidr = required("cidr", in: fields, of: "ipBlock", suggestion: "write for example cidr: 203.0.113.0/24")
        else { return nil }
        let prefix = readCIDR(cidr, "cidr")
        let except = list("except", in: fields).compactMap { item -> IPPrefix? in
            guard let exception = readCIDR(item, "an entry of except") else { return nil }
            if let prefix { checkException(exception, of: prefix, at: item.location) }
            return exception
        }
        return prefix.map { AddressBlock($0, except: except) }
    }

    private mutating func readNetworkPolicyPort(_ node: DocumentNode, into rule: inout NetworkPolicy.Rule) {
        if case .integer = node.content {
            error(
                DiagnosticCode.wrongType, at: node.location,
                "an entry of ports is a mapping, and here is \(node.found)",
                "write port: \(node.text)"
            )
            return
        }
        guard let fields = fields(node, PolicyReader.portSchema) else { return }
        let number = readProtocol(in: fields)
        let end = present("endPort", in: fields)
        guard let port = present("port", in: fields) else {
            refuseEndPort(fields, end, because: "endPort has no port to begin at")
            if let number { rule.services.append(.any(number)) }
            return
        }
        if case .string(let name) = port.content {
            checkPortName(name, port)
            refuseEndPort(fields, end, because: "endPort does not go with a port by name")
            if let number { rule.portNames.append(PortName(name, number)) }
            return
        }
        guard let first = readPortNumber(port, "port"), let number else {
            if let end { _ = readPortNumber(end, "endPort") }
            return
        }
        guard let end else {
            rule.services.append(.ports(number, PortRange(first)))
            return
        }
        guard let last = readPortNumber(end, "endPort") else { return }
        guard let range = PortRange(first, last) else {
            error(
                DiagnosticCode.outOfRange, at: end.location, "endPort \(last) is less than port \(first)",
                "write the smaller number as port"
            )
            return
        }
        rule.services.append(.ports(number, range))
    }

    private mutating func refuseEndPort(_ fields: DocumentFields, _ end: DocumentNode?, because message: String) {
        if end == nil { return }
        error(
            DiagnosticCode.contradiction, at: fields.location(of: "endPort"), message,
            "write port: and the first number of the range, or remove endPort"
        )
    }
}
