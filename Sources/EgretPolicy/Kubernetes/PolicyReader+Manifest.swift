// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

extension PolicyReader {
    /// Where the pod that a kind stands for is written in its `spec`.
    private static let templatePaths: [String: [String]] = [
        "Deployment": ["spec", "template"], "StatefulSet": ["spec", "template"], "DaemonSet": ["spec", "template"],
        "ReplicaSet": ["spec", "template"], "ReplicationController": ["spec", "template"],
        "Job": ["spec", "template"], "CronJob": ["spec", "jobTemplate", "spec", "template"],
    ]

    /// Reads an object that is no policy; of its fields only those that policies ask for.
    mutating func readManifest(_ document: DocumentNode, _ kind: String) {
        guard let metadata = readManifestMetadata(document, kind) else { return }
        switch kind {
        case "Namespace":
            // Files that go together often each begin with their namespace.
            if namespaces[metadata.name] == metadata.labels { return }
            claim(kind, metadata.name, at: metadata.location)
            namespaces[metadata.name] = metadata.labels
        case "Node":
            claim(kind, metadata.name, at: metadata.location)
            let addresses = (document.member(at: "status", "addresses")?.items ?? [])
                .compactMap { $0.member("address")?.string.flatMap { IPAddress($0) } }
            nodes.append(Inventory.Node(metadata.name, labels: metadata.labels, addresses: addresses))
        case "Service":
            claim(kind, "\(metadata.namespace)/\(metadata.name)", at: metadata.location)
            readServiceObject(document, metadata)
        default:
            claim(kind, "\(metadata.namespace)/\(metadata.name)", at: metadata.location)
            readWorkload(document, kind, metadata)
        }
    }

    /// The metadata of an object, of which a list has the same fields.
    private mutating func readManifestMetadata(_ document: DocumentNode, _ kind: String) -> ObjectMetadata? {
        guard let node = document.member("metadata") else {
            error(
                DiagnosticCode.missingField, at: document.location, "the \(kind) has no metadata",
                "write metadata: { name: ... }"
            )
            return nil
        }
        let labels = node.member("labels").map { readLabels($0, "labels") } ?? [:]
        guard let name = node.member("name") ?? node.member("generateName") else {
            error(
                DiagnosticCode.missingField, at: node.location, "the \(kind) has no name", "write name: in metadata")
            return nil
        }
        let namespace = node.member("namespace").map { string($0, "namespace", expected: "the name of a namespace") }
        guard var text = string(name, "name", expected: "a name"), var namespace = namespace ?? "default" else {
            return nil
        }
        if namespace.isEmpty { namespace = "default" }
        if node.member("name") == nil { text = generatedName(kind, namespace, text) }
        let owners = (node.member("ownerReferences")?.items ?? []).compactMap { owner -> ObjectMetadata.Owner? in
            guard let kind = owner.member("kind")?.string, let name = owner.member("name")?.string else { return nil }
            return ObjectMetadata.Owner(kind: kind, name: name)
        }
        return ObjectMetadata(
            name: text, namespace: namespace, labels: labels, owners: owners, location: name.location)
    }

    /// A name for an object that a cluster would give one: what it begins with, and a number from the second on.
    private func generatedName(_ kind: String, _ namespace: String, _ beginning: String) -> String {
        func isTaken(_ name: String) -> Bool { objectNames["\(kind)/\(namespace)/\(name)"] != nil }
        if !isTaken(beginning) { return beginning }
        var number = 2
        while isTaken("\(beginning)\(number)") { number += 1 }
        return "\(beginning)\(number)"
    }

    /// Reads a pod, or the template of what makes pods.
    private mutating func readWorkload(_ document: DocumentNode, _ kind: String, _ metadata: ObjectMetadata) {
        var pod = document
        var labels = metadata.labels
        if let path = PolicyReader.templatePaths[kind] {
            guard let template = path.reduce(document as DocumentNode?, { $0?.member($1) }) else {
                error(
                    DiagnosticCode.missingField, at: document.location, "the \(kind) has no pod template",
                    "write \(path.joined(separator: ".")) with metadata and spec"
                )
                return
            }
            pod = template
            labels = template.member(at: "metadata", "labels").map { readLabels($0, "labels") } ?? [:]
        } else if let phase = pod.member(at: "status", "phase")?.string, ["Succeeded", "Failed"].contains(phase) {
            // It has ended: its address may be another's by now.
            return
        }
        guard let spec = pod.member("spec") else {
            error(DiagnosticCode.missingField, at: pod.location, "the \(kind) has no pod spec", "write spec")
            return
        }
        let id = Workload.ID(namespace: metadata.namespace, name: metadata.name, kind: kind)
        let workload = Workload(
            id, labels: labels, addresses: readPodAddresses(pod), namedPorts: readNamedPorts(spec),
            usesHostNetwork: readHostNetwork(spec), location: document.location
        )
        manifestWorkloads.append(ManifestWorkload(workload: workload, owners: metadata.owners))
    }

    /// `hostNetwork`, which is false where nothing is written. No policy is about pods of which it is true, so nothing is
    /// guessed.
    private mutating func readHostNetwork(_ spec: DocumentNode) -> Bool {
        guard let node = spec.member("hostNetwork") else { return false }
        if case .boolean(let value) = node.content { return value }
        let isTrue = ["true", "yes", "on", "y"].contains(node.text.lowercased())
        error(
            DiagnosticCode.wrongType, at: node.location, "hostNetwork is true or false, and here is \(node.found)",
            "write hostNetwork: \(isTrue)"
        )
        return isTrue
    }

    /// `status.podIPs`, or `status.podIP` where that has none. An empty text is no address.
    private mutating func readPodAddresses(_ pod: DocumentNode) -> [IPAddress] {
        let status = pod.member("status")
        let all = (status?.member("podIPs")?.items ?? []).compactMap { $0.member("ip") }.filter { $0.string != "" }
        let nodes = all.isEmpty ? [status?.member("podIP")].compactMap(\.self).filter { $0.string != "" } : all
        return nodes.compactMap { node in
            if let address = node.string.flatMap({ IPAddress($0) }) { return address }
            error(
                DiagnosticCode.address, at: node.location, "a pod's address is written here, and it is \(node.found)",
                "write for example 10.0.0.7"
            )
            return nil
        }
    }

    /// The ports that have names: of the containers, then of those that start before them, where no container has the name
    /// for the protocol. A name that several containers give has all their numbers.
    private mutating func readNamedPorts(_ spec: DocumentNode) -> [Workload.NamedPort] {
        var ports: [Workload.NamedPort] = []
        for list in ["containers", "initContainers"] {
            let earlier = ports
            for port in (spec.member(list)?.items ?? []).flatMap({ $0.member("ports")?.items ?? [] }) {
                guard let name = port.member("name")?.string, let named = readNamedPort(port, name) else { continue }
                let isTaken = earlier.contains { $0.name == name && $0.protocol == named.protocol }
                if !isTaken && !ports.contains(named) { ports.append(named) }
            }
        }
        return ports
    }

    private mutating func readNamedPort(_ node: DocumentNode, _ name: String) -> Workload.NamedPort? {
        guard let number = node.member("containerPort") else {
            error(
                DiagnosticCode.missingField, at: node.location, "the port \(quoted(name)) has no containerPort",
                "write containerPort: and the number"
            )
            return nil
        }
        guard let port = readPortNumber(number, "containerPort"), let transport = transport(of: node) else {
            return nil
        }
        return Workload.NamedPort(name, transport, port)
    }

    /// `protocol` of a port in a manifest; TCP if it is not there.
    mutating func transport(of node: DocumentNode) -> IPProtocol? {
        guard let written = node.member("protocol") else { return .tcp }
        return word(written, "protocol", as: TransportProtocol.self)?.number
    }
}
