// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
import EgretPolicy

/// A connection that `egret explain --from` is asked about.
struct ConnectionQuestion {
    /// Who begins it.
    var source: ConnectionEnd
    /// Where it is delivered.
    var target: ConnectionEnd
    /// What with, at the target.
    var service: ConnectionService
    /// The service and port that led there: `svc/shop/db 80/tcp`.
    var via: String?
    /// Whether it is asked by the address of a service, of which a proxy makes the target's.
    var isByService = false
    /// The family that it is asked about; `nil` for all that the ends have.
    var family: AddressFamily?
    /// The families of the addresses that the ends were named by: with two there is no connection.
    var namedFamilies: Set<AddressFamily> = []
    /// The links that the ends have it by, where they have several.
    var sourceLink: String?
    var targetLink: String?
}

/// Makes questions of what was typed.
struct ConnectionQuestions {
    let inventory: Inventory
    /// By which of their links endpoints reach each other.
    let links: EndpointLinks

    /// The questions that one source, one target and one port make: one, or one for each pod of a service, or for each
    /// link that the connection may take.
    ///
    /// - Parameters:
    ///   - sources: Who begins it: an end, or one for each of its links.
    ///   - target: Where it goes.
    ///   - port: What with, as it was typed.
    /// - Returns: The questions, of which those for links are in place of one.
    /// - Throws: ``ExplainProblem`` if the port is none of the target's.
    func make(
        from sources: [ConnectionEnd], to target: NamedEnd, port: String
    ) throws(ExplainProblem) -> [ConnectionQuestion] {
        switch target {
        case .end(let end): return try questions(from: sources, to: [end], port)
        case .links(let places):
            return try questions(from: sources, to: places.map { ConnectionEnd.workload($0) }, port)
        case .service(let service):
            var questions: [ConnectionQuestion] = []
            for source in sources { questions += try self.questions(from: source, service, port) }
            return questions
        }
    }

    private func questions(
        from sources: [ConnectionEnd], to targets: [ConnectionEnd], _ port: String
    ) throws(ExplainProblem) -> [ConnectionQuestion] {
        guard let first = targets.first else { return [] }
        // Links of one endpoint have the same ports.
        let service = try service(port, at: first)
        return links.ways(from: sources, to: targets, service.protocol).map { way in
            let isItself = way.source == way.target
            return ConnectionQuestion(
                source: way.source, target: way.target, service: service, family: way.family,
                sourceLink: sources.count > 1 && !isItself ? links.name(of: way.source) : nil,
                targetLink: targets.count > 1 && !isItself ? links.name(of: way.target) : nil)
        }
    }

    // MARK: - Ports

    /// `80/tcp`, `icmp/echo-request`, or a name of the target's ports.
    private func service(_ text: String, at target: ConnectionEnd) throws(ExplainProblem) -> ConnectionService {
        let read = Service.read(text, at: SourceLocation(file: "--port \(text)", line: 0, column: 1))
        if let service = read.service {
            let address = IPAddress.v4(IPv4Address(rawValue: 0))
            // ICMP is of a family, which the ends decide later.
            if case .icmp(let number, let type) = service { return ConnectionService(number, icmpType: type) }
            let flow = try Flow.explained(to: address, isHost: false, service, text)
            return ConnectionService(flow.protocol, port: flow.destinationPort)
        }
        let known: [Workload.NamedPort]
        if case .workload(let place) = target { known = inventory.workloads[place].namedPorts } else { known = [] }
        let parts = text.split(separator: "/").map(String.init)
        let port = known.first { port in
            port.name == parts.first && (parts.count == 1 || port.protocol.description == parts[1].lowercased())
        }
        if let port { return ConnectionService(port.protocol, port: port.number) }
        throw ExplainProblem(
            message: "\"\(text)\" is no port\(known.isEmpty ? "" : " of the target")",
            suggestion: known.isEmpty
                ? read.diagnostic?.suggestion ?? "write for example 443/tcp"
                : "write for example 443/tcp, or one of \(known.map(\.name).joined(separator: ", "))"
        )
    }

    // MARK: - Services

    private func questions(
        from source: ConnectionEnd, _ service: ServiceObject, _ text: String
    ) throws(ExplainProblem) -> [ConnectionQuestion] {
        let name = "svc/\(service.namespace)/\(service.name)"
        let places = service.workloads(in: inventory)
        if places.isEmpty {
            throw ExplainProblem(
                message: "no workload of the files is behind \(name)",
                suggestion: "give the manifests of its pods with -f, or name a pod")
        }
        if service.isHeadless {
            return try places.map { place throws(ExplainProblem) in
                let end = ConnectionEnd.workload(place)
                let wanted = try self.service(text, at: end)
                return ConnectionQuestion(source: source, target: end, service: wanted, via: "\(name) \(text)")
            }
        }
        let port = try port(of: service, name, text)
        var questions: [ConnectionQuestion] = []
        for place in places {
            guard let number = number(of: port, at: place) else { continue }
            questions.append(
                ConnectionQuestion(
                    source: source, target: .workload(place), service: ConnectionService(port.protocol, port: number),
                    via: "\(name) \(port.number)/\(port.protocol)", isByService: true
                ))
        }
        if !questions.isEmpty { return questions }
        throw ExplainProblem(
            message: "no workload behind \(name) has the port that it leads to",
            suggestion: "look at targetPort of the service and at the names of the containers' ports")
    }

    private func port(
        of service: ServiceObject, _ name: String, _ text: String
    ) throws(ExplainProblem) -> ServiceObject.Port {
        let read = Service.read(text, at: SourceLocation(file: "--port \(text)", line: 0, column: 1)).service
        let found = service.ports.first { port in
            if case .ports(let number, let range) = read {
                return port.protocol == number && range == PortRange(port.number)
            }
            return port.name == text
        }
        if let found { return found }
        let all = service.ports.map { port in
            "\(port.number)/\(port.protocol)" + (port.name.map { " (\($0))" } ?? "")
        }
        throw ExplainProblem(
            message: "\(name) has no port \(text)",
            suggestion: all.isEmpty
                ? "name a pod: the service has no ports" : "its ports: \(all.joined(separator: ", "))")
    }

    private func number(of port: ServiceObject.Port, at place: Int) -> UInt16? {
        switch port.target {
        case .number(let number): number
        case .name(let name):
            inventory.workloads[place].namedPorts.first { $0.name == name && $0.protocol == port.protocol }?.number
        }
    }
}
