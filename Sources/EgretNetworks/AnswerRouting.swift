// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
import EgretNetlink
import EgretNetlinkWire

/// How a namespace of several networks answers by the link that it was asked on.
///
/// Its main routing table has one default route of a family, which is the first network's. What it sends from an address of
/// another network is led to a table by a rule of that address; the table has that network's routes. The rules and tables
/// are in the namespace, and are known as Egret's by the table's number and the protocol. Routes go with their link; the rules
/// do not.
enum AnswerRouting {
    /// The tables of all links. Runs and ways of the host's endpoints have others.
    static let tables: Range<UInt32> = 0x6700_0000..<0x6800_0000
    /// The last place before the main table: rules that the namespace has besides are asked first, also those that
    /// ip(8) gives a place itself.
    static let priority: UInt32 = 32_765

    /// The table of a link.
    ///
    /// - Parameter index: The link's index in its namespace, where no other has it.
    /// - Returns: The table's number.
    static func table(link index: UInt32) -> UInt32 { tables.lowerBound | (index & 0xff_ffff) }

    /// The rule that leads what is sent from an address to the table of the address's link.
    static func rule(from address: IPAddress, link index: UInt32) -> RoutingRuleRecord {
        RoutingRuleRecord(
            family: address.family, priority: priority, source: IPPrefix(address), table: table(link: index),
            protocolNumber: RouteWire.ownProtocolNumber)
    }

    /// Whether a rule is one of these, for one of the addresses. Egret makes none that nobody can remove.
    static func isOwn(_ rule: RoutingRuleRecord, from addresses: [IPAddress]) -> Bool {
        !rule.isPermanent && isLikeOwn(rule, from: addresses)
    }

    /// Whether a rule looks like one of these, which one may that the namespace has made for itself.
    static func isLikeOwn(_ rule: RoutingRuleRecord, from addresses: [IPAddress]) -> Bool {
        rule.protocolNumber == RouteWire.ownProtocolNumber && tables.contains(rule.table)
            && addresses.contains { rule.source == IPPrefix($0) }
    }
}

extension AnswerRouting {
    /// Whether a rule does what another is to do, whoever has made it: the kernel adds no second one then.
    static func does(_ rule: RoutingRuleRecord, as wanted: RoutingRuleRecord) -> Bool {
        var rule = rule
        rule.protocolNumber = wanted.protocolNumber
        rule.isPermanent = wanted.isPermanent
        return rule == wanted
    }
}

extension NetworkRecord {
    /// The families in which an endpoint needs a table for its answers: where it has a default route, and that is by
    /// another link.
    ///
    /// - Parameters:
    ///   - index: The index of its link in its namespace.
    ///   - led: The families that an earlier connection of the namespace leads out by.
    ///   - routes: The routes of the namespace's main table.
    /// - Returns: The families. Nobody outside asks an endpoint of an isolated network.
    func answeringFamilies(
        link index: UInt32, led: Set<AddressFamily>, routes: [RouteRecord]
    ) -> Set<AddressFamily> {
        if isIsolated { return [] }
        let families = subnets.map(\.block.family).filter { family in
            if led.contains(family) { return true }
            let ways = routes.filter { $0.isDefault && $0.kind == .unicast && $0.destination.family == family }
            return !ways.isEmpty && !ways.contains { $0.outputIndices.contains(index) }
        }
        return Set(families)
    }

    /// The routes of the table for an endpoint's answers.
    ///
    /// - Parameters:
    ///   - index: The index of the endpoint's link in its namespace.
    ///   - family: A family that the network has addresses of.
    /// - Returns: The network's own routes of the family with a default route, each after those that it needs.
    func answerRoutes(link index: UInt32, _ family: AddressFamily) -> [RouteRecord] {
        let routes = linkRoutes(link: index) + innerRoutes(link: index, hasDefault: [])
        return routes.filter { $0.destination.family == family }.map { route in
            var route = route
            route.table = AnswerRouting.table(link: index)
            route.protocolNumber = RouteWire.ownProtocolNumber
            return route
        }
    }

    /// What is missing of the routing of an endpoint's answers, and what is there of it and is not needed any more.
    func answerFaults(
        _ endpoint: Endpoint, _ inner: LinkRecord, _ inside: NamespaceState, _ led: Set<AddressFamily>
    ) -> [NetworkFault] {
        let families = answeringFamilies(link: inner.index, led: led, routes: inside.routes)
        return endpoint.addresses.flatMap { address -> [NetworkFault] in
            guard let rules = inside.rules[address.family] else { return [] }
            let wanted = AnswerRouting.rule(from: address, link: inner.index)
            let isNeeded = families.contains(address.family)
            let stale = rules.filter { rule in
                AnswerRouting.isOwn(rule, from: [address]) && !(isNeeded && rule == wanted)
            }
            let superfluous = stale.map { rule in
                let routes = inside.answerRoutes.filter { route in
                    route.destination.family == rule.family && route.table == rule.table
                        && route.protocolNumber == RouteWire.ownProtocolNumber
                        && !(isNeeded && route.table == wanted.table)
                }
                return NetworkFault(
                    .route, "\(endpoint.namespace) has an old routing rule for what it sends from \(address)",
                    .unlead(rule, routes))
            }
            if !isNeeded { return superfluous }
            let words = "\(endpoint.namespace) has lost its routing rule for what it sends from \(address)"
            let isThere = rules.contains { AnswerRouting.does($0, as: wanted) }
            let rule = isThere ? [] : [NetworkFault(.route, words, .lead(wanted))]
            return superfluous + rule + tableFaults(endpoint, inner, inside, address)
        }
    }

    /// The rules in the place of Egret's that an endpoint's namespace has made so that the kernel lets nobody remove them. They
    /// stay, and are no fault: nothing mends them.
    ///
    /// - Parameters:
    ///   - endpoint: One of the network's.
    ///   - inside: Its namespace.
    /// - Returns: A sentence for each.
    public func lastingRules(of endpoint: Endpoint, inside: NamespaceState) -> [String] {
        let link = inside.links.first { $0.name == endpoint.interface }
        let own = link.map { AnswerRouting.table(link: $0.index) }
        var found: [String] = []
        for address in endpoint.addresses {
            for rule in inside.rules[address.family] ?? [] where rule.isPermanent && rule.table != own {
                guard AnswerRouting.isLikeOwn(rule, from: [address]) else { continue }
                let words = "from \(address) lookup \(rule.table), priority \(rule.priority)"
                found.append(
                    "\(endpoint.namespace) has made a routing rule that nobody can remove: \(words); what it sends from "
                        + "there asks that table, and only a new namespace is rid of it")
            }
        }
        return found
    }

    /// What is missing of the table for what an endpoint sends from an address.
    private func tableFaults(
        _ endpoint: Endpoint, _ inner: LinkRecord, _ inside: NamespaceState, _ address: IPAddress
    ) -> [NetworkFault] {
        answerRoutes(link: inner.index, address.family).compactMap { wanted -> NetworkFault? in
            let present = inside.answerRoutes.filter {
                $0.table == wanted.table && $0.destination == wanted.destination
            }
            if present.contains(where: { $0.leads(as: wanted) }) { return nil }
            let target = wanted.isDefault ? "default route" : "route to \(wanted.destination)"
            return NetworkFault(
                .route,
                "\(endpoint.namespace) has lost the \(target) by \(inner.name) of what it sends from \(address)",
                .route(.endpoint, wanted, instead: present))
        }
    }
}

extension NetlinkConnection {
    /// The routing rules of the families that the kernel has rules for.
    func routingRules() throws -> [AddressFamily: [RoutingRuleRecord]] {
        var found: [AddressFamily: [RoutingRuleRecord]] = [:]
        for family in AddressFamily.allCases {
            do throws(NetlinkError) {
                found[family] = try routingRules(family)
            } catch {
                // CONFIG_IP_MULTIPLE_TABLES and CONFIG_IPV6_MULTIPLE_TABLES are no kernel's duty.
                guard error.code == .unsupported else { throw error }
            }
        }
        return found
    }

    /// Has what an endpoint sends from its addresses of some families leave by their link.
    ///
    /// A kernel without routing rules has no tables to lead to, and nothing is made: `egret publish` says what that costs.
    ///
    /// - Parameters:
    ///   - endpoint: The endpoint, in the connection's namespace.
    ///   - network: Its network.
    ///   - index: The index of its link.
    ///   - families: The families.
    /// - Throws: An error that says what the kernel refused.
    func leadAnswers(
        of endpoint: NetworkRecord.Endpoint, in network: NetworkRecord, link index: UInt32,
        _ families: Set<AddressFamily>
    ) throws {
        for address in endpoint.addresses where families.contains(address.family) {
            do throws(NetlinkError) {
                try add(AnswerRouting.rule(from: address, link: index))
            } catch {
                guard error.code == .unsupported else { throw error }
                continue
            }
            for route in network.answerRoutes(link: index, address.family) { try add(route) }
        }
    }
}

extension NetworkLinks {
    /// Removes the routing rules for what is sent from addresses, in the connection's namespace. Their tables go with the link.
    ///
    /// - Parameter addresses: An endpoint's.
    /// - Throws: An error that says what the kernel refused first; the other rules are removed all the same.
    public func removeAnswerRules(from addresses: [IPAddress]) throws {
        var refusal: NetlinkError?
        for rules in try connection.routingRules().values {
            for rule in rules where AnswerRouting.isLikeOwn(rule, from: addresses) {
                do throws(NetlinkError) {
                    try connection.remove(rule)
                } catch {
                    refusal = refusal ?? error
                }
            }
        }
        if let refusal { throw refusal }
    }
}
