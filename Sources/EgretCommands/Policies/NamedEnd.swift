// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
import EgretPolicy

/// What `--from` and `--to` name.
enum NamedEnd {
    /// A workload, or an address.
    case end(ConnectionEnd)
    /// An endpoint that is connected several times, by the places of its links in the inventory.
    case links([Int])
    /// A service, which stands for the workloads behind it.
    case service(ServiceObject)
}

/// Finds what a person names.
struct NamedEndFinder {
    let inventory: Inventory
    let services: [ServiceObject]

    /// Finds an address, `NAMESPACE/NAME`, `KIND/NAMESPACE/NAME`, or `NAME` of the namespace `default` or of the only
    /// one that has it. `svc` is a service, and so is `NAME.NAMESPACE.svc` with whatever domain the cluster has.
    ///
    /// - Throws: ``ExplainProblem`` if nothing, or more than one thing, is named so.
    func find(_ text: String) throws(ExplainProblem) -> NamedEnd {
        if let address = IPAddress(text) { return end(at: address) }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard (1...3).contains(parts.count), !parts.contains("") else {
            throw ExplainProblem(
                message: "\"\(text)\" names no workload",
                suggestion: "write NAMESPACE/NAME, KIND/NAMESPACE/NAME or an address")
        }
        if parts.count > 1, ["svc", "service", "services"].contains(parts[0].lowercased()) {
            return .service(try service(Array(parts.dropFirst()), text))
        }
        if parts.count == 1, let service = service(ofClusterName: text) { return .service(service) }
        let places = try workload(parts, text)
        return places.count == 1 ? .end(.workload(places[0])) : .links(places)
    }

    /// Whether the files have workloads or a service of that name: it is then no name of the world's.
    func isOwn(_ name: String) -> Bool {
        if service(ofClusterName: name) != nil { return true }
        return inventory.workloads.contains { $0.id.name.lowercased() == name.lowercased() }
    }

    /// The service that has the name in the DNS of its cluster.
    private func service(ofClusterName name: String) -> ServiceObject? {
        let labels = name.lowercased().split(separator: ".").map(String.init)
        guard labels.count > 2, labels[2] == "svc", !name.contains(":") else { return nil }
        return services.first { $0.name == labels[0] && $0.namespace == labels[1] }
    }

    /// The workload that has the address alone, the service, or the address.
    ///
    /// What is sent to a service's address is delivered to its pods before any policy sees it.
    private func end(at address: IPAddress) -> NamedEnd {
        let places = inventory.workloads.indices.filter { place in
            !inventory.workloads[place].usesHostNetwork && inventory.workloads[place].addresses.contains(address)
        }
        if places.count == 1 { return .end(.workload(places[0])) }
        if places.isEmpty, let service = services.first(where: { $0.addresses.contains(address) }) {
            return .service(service)
        }
        return .end(.address(address))
    }

    /// The workload's place; of an endpoint of several networks, which the agent tells of once for each of its links, all.
    private func workload(_ parts: [String], _ text: String) throws(ExplainProblem) -> [Int] {
        let name = parts[parts.count - 1]
        let namespace = parts.count > 1 ? parts[parts.count - 2] : nil
        let kind = parts.count == 3 ? parts[0].lowercased() : nil
        var places = inventory.workloads.indices.filter { place in
            let id = inventory.workloads[place].id
            return id.name == name && (namespace == nil || id.namespace == namespace)
                && (kind == nil || id.kind.lowercased() == kind)
        }
        if namespace == nil, places.count > 1 {
            let near = places.filter { inventory.workloads[$0].id.namespace == "default" }
            if !near.isEmpty { places = near }
        }
        if places.isEmpty { throw unknown(text, among: inventory.workloads.map(\.id.description), "workload") }
        let ids = Set(places.map { inventory.workloads[$0].id })
        if ids.count == 1 { return places }
        let all = ids.sorted().map { "\($0.kind.lowercased())/\($0.namespace)/\($0.name)" }
        throw ExplainProblem(
            message: "\"\(text)\" names \(all.count) workloads", suggestion: "write \(all.joined(separator: " or "))")
    }

    private func service(_ parts: [String], _ text: String) throws(ExplainProblem) -> ServiceObject {
        let namespace = parts.count > 1 ? parts[0] : "default"
        let name = parts[parts.count - 1]
        if let service = services.first(where: { $0.namespace == namespace && $0.name == name }) { return service }
        throw unknown(text, among: services.map { "svc/\($0.namespace)/\($0.name)" }, "service")
    }

    private func unknown(_ text: String, among names: [String], _ noun: String) -> ExplainProblem {
        let parts = text.split(separator: ":").map(String.init)
        if noun == "workload", parts.count == 2, isOwn(parts[0]) {
            return ExplainProblem(
                message: "\"\(parts[0])\" is named in the files, and takes its port from --port",
                suggestion: "write --to \(parts[0]) --port \(parts[1])")
        }
        if noun == "workload", text.contains("."), (try? DomainName.parse(text)) != nil {
            return ExplainProblem(
                message: "no workload of the files is named \"\(text)\", and a domain name begins no connections",
                suggestion: "name a workload or an address with --from")
        }
        let near = Spelling.nearest(to: text, among: names)
        let some = names.prefix(8).joined(separator: ", ") + (names.count > 8 ? ", …" : "")
        return ExplainProblem(
            message: "no \(noun) of the files is named \"\(text)\"",
            suggestion: near.map { "did you mean \($0)?" }
                ?? (names.isEmpty
                    ? "give manifests of pods or what makes them with -f" : "those that are there: \(some)")
        )
    }
}
