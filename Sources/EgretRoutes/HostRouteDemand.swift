// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretCompiler
public import EgretPolicy

/// An endpoint whose policies have routes.
public struct HostRouteDemand: Hashable, Sendable {
    /// How the host knows its packets.
    public var attachment: HostEndpoint.Attachment
    /// Its addresses.
    public var addresses: [IPAddress]
    /// What its policies say, in the order in which they are asked.
    public var clauses: HostRouteClauses

    /// Creates a demand.
    public init(attachment: HostEndpoint.Attachment, addresses: [IPAddress], clauses: HostRouteClauses) {
        self.attachment = attachment
        self.addresses = addresses
        self.clauses = clauses
    }
}

/// The routes of some policies, with what they name: equal values lead in the same way.
public struct HostRouteClauses: Hashable, Sendable {
    /// The routes, in the order in which they are asked; without the places where they were written.
    public let routes: [EgressRoute]
    /// The groups of destinations that they name.
    public let destinations: [String: DestinationGroup]

    /// Takes the routes out of policies; `nil` if there are none.
    public init?(_ policies: PolicySet) {
        let routes = policies.routes
        if routes.isEmpty { return nil }
        self.routes = routes.map { route in
            var route = route
            route.location = nil
            return route
        }
        let names = routes.flatMap(\.destinations).compactMap { destination -> String? in
            if case .group(let name) = destination { return name }
            return nil
        }
        destinations = policies.groups.filter { names.contains($0.key) }
    }
}

extension RouteWay {
    /// The way without its check.
    var path: RouteWay {
        var path = self
        path.check = nil
        return path
    }

    /// `gateway 10.1.0.1, source address 10.1.0.7`.
    public var words: String {
        [
            gateway.map { "gateway \($0)" }, interface.map { "interface \($0)" },
            sourceWords.map { "source address \($0)" },
        ].compactMap(\.self).joined(separator: ", ")
    }
}
