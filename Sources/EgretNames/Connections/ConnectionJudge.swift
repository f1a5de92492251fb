// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
import EgretDNSWire
public import EgretEvaluator
public import EgretGreetingWire
public import EgretLinux
public import EgretPolicy

/// Decides about an endpoint's connections by its policies: what the proxies' hooks ask.
public struct ConnectionJudge: Sendable {
    /// The policies.
    public let policies: PolicySet
    /// What asks them.
    public let evaluator: PolicyEvaluator
    /// What endpoints have resolved.
    public let registry: NameRegistry
    private let traffic: [NamedTraffic]
    /// How traffic passes by the registry's rules, by their numbers; `nil` for one that denies.
    private let trafficOfRules: [NamedTraffic?]
    private let deniesNames: Bool
    /// The clauses that the registry's rules are of, by their numbers.
    private let clauses: [DecidingClause]
    private let time: @Sendable () -> Int64?
    private let marks: TrafficMarks
    /// Whether a rule's time may end connections that it has let through.
    public let cutsByTime: Bool
    /// The rules whose times may do that.
    private let cutting: [Cutting]
    private let moments: ScheduleMoments

    /// A rule whose time cuts.
    private struct Cutting {
        var rule: EgressRule
        /// Its number, if it is about names.
        var number: Int?
    }

    /// Creates a judge.
    ///
    /// - Parameters:
    ///   - policies: The endpoint's policies.
    ///   - registry: What endpoints have resolved.
    ///   - time: The time in seconds since 1970; `nil` where no rule with a time is in force.
    public init(_ policies: PolicySet, registry: NameRegistry, time: @escaping @Sendable () -> Int64? = { nil }) {
        self.policies = policies
        self.registry = registry
        self.time = time
        marks = TrafficMarks(policies)
        cutsByTime = policies.cutsByTime
        moments = ScheduleMoments(policies)
        evaluator = PolicyEvaluator(policies: policies)
        let clauses = evaluator.nameClauses
        traffic = clauses.filter { !$0.denies }.map(\.traffic)
        deniesNames = clauses.contains(where: \.denies)
        let numbered = policies.nameClauses
        self.clauses = numbered.map(\.clause)
        trafficOfRules = numbered.map { $0.denies ? nil : $0.traffic }
        var cutting: [Cutting] = []
        for policy in policies.policies {
            for (index, rule) in policy.rules.enumerated() where rule.schedule?.onClose == .cut {
                let clause = DecidingClause.rule(policy: policy.name, index: rule.clauseIndex ?? index)
                cutting.append(Cutting(rule: rule, number: numbered.firstIndex { $0.clause == clause }))
            }
        }
        self.cutting = cutting
    }

    /// In what a name is looked for on a port.
    public func protocols(_ port: UInt16) -> Swift.Set<GreetingProtocol> {
        let spoken = Swift.Set(traffic.filter { $0.checks(port) }.flatMap(\.spoken))
        var found: Swift.Set<GreetingProtocol> = spoken.contains(.tls) ? [.tls] : []
        if spoken.contains(.http) { found.formUnion([.http1, .http2]) }
        return found
    }

    /// The differentiated-services code point that limits give now to a connection to a server.
    ///
    /// - Parameters:
    ///   - server: Where it goes.
    ///   - endpoint: Whose connection it is.
    /// - Returns: 0 to 63; `nil` if no limit gives it one.
    public func codePoint(to server: SocketAddress, of endpoint: Int) -> UInt8? {
        let names =
            marks.dependOnNames
            ? registry.names(of: endpoint, holding: server.address, now: BootClock.milliseconds) : []
        return marks.codePoint(to: server, by: names, at: time())
    }

    /// What may become of a connection before its client has said anything.
    ///
    /// - Parameters:
    ///   - endpoint: Whose connection it is.
    ///   - destination: Where it goes.
    ///   - transport: TCP, or UDP for a flow of datagrams.
    /// - Returns: What becomes of it.
    public func beginning(
        _ endpoint: Int, _ destination: SocketAddress, over transport: IPProtocol = .tcp
    ) -> ConnectionProxy.Beginning {
        func allows(_ held: HeldNames, _ speech: Flow.Speech) -> Bool {
            decide(flow(destination, [], speech, over: transport), held, at: time()).verdict == .allow
        }
        if !deniesNames && allows([:], .nothing) { return .pass }
        let held = held(endpoint, destination.address)
        if allows(held, .nothing) { return .read }
        func isRead(_ held: HeldNames) -> Bool {
            held.values.joined().contains { allows(held, .name($0, .tls)) || allows(held, .name($0, .http)) }
        }
        if isRead(held) { return .read }
        // Not by the first that was found: by any other of them?
        let names = registry.names(of: endpoint, holding: destination.address, now: BootClock.milliseconds)
        let canPass = names.contains { name in isRead(held.mapValues { _ in [name] }) }
        return canPass ? .read : .refuse
    }

    /// By which names each rule holds an address.
    private typealias HeldNames = [DecidingClause: Swift.Set<DomainName>]

    /// The rules that hold an address now, each with one of its names: for what does not depend on which.
    private func held(_ endpoint: Int, _ address: IPAddress) -> HeldNames {
        let holders = registry.holders(of: address, endpoint: endpoint, now: BootClock.milliseconds)
        return holders.reduce(into: [:]) { held, holder in
            if clauses.indices.contains(holder.key) { held[clauses[holder.key]] = [holder.value] }
        }
    }

    private func decide(
        _ flow: Flow, _ held: HeldNames, at moment: Int64?, since beginning: Int64? = nil
    ) -> Decision {
        evaluator.decide(flow, heldBy: held, at: moment, since: beginning)
    }

    /// The traffic of a connection whose client has said this.
    private func flow(_ attempt: ConnectionAttempt, _ speech: Flow.Speech) -> Flow {
        flow(attempt.destination, [], speech, over: attempt.transport)
    }

    /// By the flow sets of which rules the kernel is to let a flow of datagrams through.
    ///
    /// - Parameter attempt: What was said, and which rules hold the address by it.
    /// - Returns: The numbers of those that read the name on this port, and let pass what was said.
    public func rulesOfFlows(_ attempt: ConnectionAttempt) -> [Int] {
        attempt.rules.filter { number in
            guard trafficOfRules.indices.contains(number), let traffic = trafficOfRules[number],
                traffic.checksDatagrams(attempt.destination.port)
            else { return false }
            if case .nothing = attempt.speech { return traffic.passesUnverified }
            return true
        }
    }

    /// Whether a rule's time may end a flow of datagrams that is let through now: the kernel then asks the rules about each
    /// of its packets, not about the first alone.
    ///
    /// That is so where any rule that cuts covers the flow, by its address or by a name that holds it now, whichever rule
    /// decides and whatever was said.
    ///
    /// - Parameters:
    ///   - endpoint: Whose flow it is.
    ///   - attempt: The flow.
    /// - Returns: Whether a rule that cuts covers it.
    public func mayCut(_ endpoint: Int, _ attempt: ConnectionAttempt) -> Bool {
        if cutting.isEmpty { return false }
        let (address, port) = (attempt.destination.address, attempt.destination.port)
        let holding = registry.rules(of: endpoint, holding: address, by: nil, now: BootClock.milliseconds)
        return cutting.contains { cut in
            if covers(cut.rule, address, attempt.transport, port) { return true }
            guard let number = cut.number, holding.contains(number) || attempt.rules.contains(number),
                let traffic = trafficOfRules[number]
            else { return false }
            return traffic.answered.contains { $0.contains(port) }
                || traffic.pinned.contains { $0.matches(attempt.transport, port: port, icmpType: nil) }
        }
    }

    /// Whether a rule covers traffic by its address.
    private func covers(_ rule: EgressRule, _ address: IPAddress, _ transport: IPProtocol, _ port: UInt16) -> Bool {
        let isOfService =
            rule.services.isEmpty || rule.services.contains { $0.matches(transport, port: port, icmpType: nil) }
        guard isOfService else { return false }
        return rule.isEverywhere
            || rule.destinations.contains { $0.blocks(policies.groups).contains { $0.contains(address) } }
    }

    /// What the policies say now about a connection whose client has said this.
    public func decide(_ endpoint: Int, _ attempt: ConnectionAttempt) -> Decision {
        decide(endpoint, attempt, at: time())
    }

    /// What the policies say about a connection whose client has said this.
    ///
    /// - Parameters:
    ///   - endpoint: Whose connection it is.
    ///   - attempt: What was said.
    ///   - moment: When, in seconds since 1970; `nil` is a time at which no rule with a time is in force.
    /// - Returns: The decision.
    public func decide(_ endpoint: Int, _ attempt: ConnectionAttempt, at moment: Int64?) -> Decision {
        decide(endpoint, attempt, at: moment, since: nil)
    }

    private func decide(
        _ endpoint: Int, _ attempt: ConnectionAttempt, at moment: Int64?, since beginning: Int64?
    ) -> Decision {
        switch attempt.speech {
        case .name(let spoken):
            guard let name = DomainName(ascii: spoken.name) else {
                return decide(flow(attempt, .nothing), [:], at: moment, since: beginning)
            }
            // Not every rule that covers the name: one that denies what it is an alias of stood before the others.
            let holders = attempt.rules.filter { clauses.indices.contains($0) }.map { (clauses[$0], Swift.Set([name])) }
            let held = HeldNames(holders) { first, _ in first }
            let speech = Flow.Speech.name(name, spoken.version.application)
            return decide(flow(attempt, speech), held, at: moment, since: beginning)
        case .nothing:
            let held = held(endpoint, attempt.destination.address)
            return decide(flow(attempt, .nothing), held, at: moment, since: beginning)
        }
    }

    /// What the policies say about a connection that is open, and may be older than they are.
    ///
    /// The numbers of the rules by which it began may be other rules' by now, and the names that held its address may
    /// have expired: neither ends it. Once its answer has expired, what a name was an alias of is not known any more.
    ///
    /// - Parameters:
    ///   - endpoint: Whose connection it is.
    ///   - attempt: How it began.
    ///   - beginning: When, in seconds since 1970: rules whose schedules drain hold as they did then. `nil` if all rules are
    ///     to hold as they do now.
    /// - Returns: What they say now.
    public func decide(
        _ endpoint: Int, open attempt: ConnectionAttempt, since beginning: Int64? = nil
    ) -> Decision {
        decide(endpoint, open: attempt, since: beginning, at: time())
    }

    private func decide(
        _ endpoint: Int, open attempt: ConnectionAttempt, since beginning: Int64?, at now: Int64?
    ) -> Decision {
        let address = attempt.destination.address
        switch attempt.speech {
        case .name(let spoken):
            guard let name = DomainName(ascii: spoken.name) else {
                return decide(flow(attempt, .nothing), [:], at: now, since: beginning)
            }
            var current = attempt
            current.rules = registry.rules(of: endpoint, holding: address, by: name, now: BootClock.milliseconds)
            if !current.rules.isEmpty { return decide(endpoint, current, at: now, since: beginning) }
            let speech = Flow.Speech.name(name, spoken.version.application)
            return decide(flow(attempt, speech), reaching(address, by: [name]), at: now, since: beginning)
        case .nothing:
            let live = held(endpoint, address)
            let all = reaching(address, by: attempt.names).merging(live) { before, now in before.union(now) }
            return decide(flow(attempt, .nothing), all, at: now, since: beginning)
        }
    }

    /// When a rule's time ends a connection that is open, by what the policies say now: for who cannot ask them then.
    ///
    /// - Parameters:
    ///   - endpoint: Whose connection it is.
    ///   - attempt: How it began.
    ///   - beginning: When it was judged last, in seconds since 1970.
    /// - Returns: The time, in seconds since 1970; `nil` if none does. It may be too early, where rules begin and cease to hold
    ///   many times before.
    public func end(_ endpoint: Int, open attempt: ConnectionAttempt, since beginning: Int64?) -> Int64? {
        guard cutsByTime, var moment = time() else { return nil }
        for _ in 0..<ConnectionJudge.mostChanges {
            guard let next = moments.next(after: moment) else { return nil }
            if decide(endpoint, open: attempt, since: beginning, at: next).verdict != .allow { return next }
            moment = next
        }
        return moment
    }

    /// So many times at which rules begin or cease to hold are looked at.
    private static let mostChanges = 16

    /// A flow of datagrams that was let through, as the policies see it now, which may be others: what rules it goes on by.
    ///
    /// - Parameters:
    ///   - endpoint: Whose flow it is.
    ///   - attempt: How it began.
    /// - Returns: The flow with the numbers of rules as they are now; `nil` if it may go on no more. As in
    ///   ``decide(_:open:since:)``, that its name's answer has expired does not end it.
    public func renewed(_ endpoint: Int, _ attempt: ConnectionAttempt) -> ConnectionAttempt? {
        guard decide(endpoint, open: attempt).verdict == .allow else { return nil }
        let address = attempt.destination.address
        var renewed = attempt
        switch attempt.speech {
        case .name(let spoken):
            guard let name = DomainName(ascii: spoken.name) else { return nil }
            renewed.rules = registry.rules(of: endpoint, holding: address, by: name, now: BootClock.milliseconds)
            if renewed.rules.isEmpty { renewed.rules = numbers(of: reaching(address, by: [name])) }
        case .nothing:
            let live = held(endpoint, address)
            renewed.rules = numbers(
                of: reaching(address, by: attempt.names).merging(live) { before, now in before.union(now) })
        }
        return renewed
    }

    private func numbers(of held: HeldNames) -> [Int] {
        clauses.indices.filter { held[clauses[$0]] != nil }
    }

    /// The rules that may reach an address by some names, whether an answer says so now or not.
    private func reaching(_ address: IPAddress, by names: Swift.Set<DomainName>) -> HeldNames {
        let isPublic = AddressClass.isPublic(address)
        var found: HeldNames = [:]
        for name in names {
            guard case .allowed(let covering) = evaluator.decide(name: name) else { continue }
            for clause in covering where isPublic || permits(address, clause) {
                found[clause, default: []].insert(name)
            }
        }
        return found
    }

    private func permits(_ address: IPAddress, _ clause: DecidingClause) -> Bool {
        evaluator.nameClauses.contains {
            $0.clause == clause && $0.rule.naming.permittedAddresses.contains(address)
        }
    }

    /// Whether questions for any name may go to a server.
    public func allowsQuestions(to server: IPAddress, isHost: Bool, overStream: Bool) -> Bool {
        let flow = Flow(to: server, isHost: isHost, protocol: overStream ? .tcp : .udp, port: 53)
        return evaluator.decide(flow, at: time()).verdict == .allow
    }

    /// The traffic of a connection, as policies see it.
    public func flow(
        _ destination: SocketAddress, _ names: Swift.Set<DomainName>, _ speech: Flow.Speech,
        over transport: IPProtocol = .tcp
    ) -> Flow {
        Flow(to: destination.address, protocol: transport, port: destination.port, names: names, speech: speech)
    }
}

extension GreetingProtocol {
    /// The protocol as rules name it.
    public var application: ApplicationProtocol {
        switch self {
        case .tls: .tls
        case .http1, .http2: .http
        }
    }
}

extension PolicySet {
    /// Servers that rules name, each by its address and port 53: whoever writes that trusts them with names.
    public var namedServers: [IPAddress] {
        policies.flatMap(\.rules).filter { $0.action == .allow || $0.action == .audit }.flatMap { rule -> [IPAddress] in
            let isOfNames = rule.services.contains { service in
                guard case .ports(_, let ports) = service else { return false }
                return ports.lowerBound == 53 && ports.upperBound == 53
            }
            guard isOfNames else { return [] }
            return rule.destinations.compactMap { destination in
                guard case .block(let block) = destination, block.prefix.isSingleAddress else { return nil }
                return block.prefix.address
            }
        }
    }
}

extension NameRule {
    /// The rules about names of a policy set, by their numbers: the places among its clauses about names.
    public static func rules(of policies: PolicySet) -> [NameRule] {
        policies.nameClauses.enumerated().map { number, clause in
            NameRule(
                number: number, patterns: clause.patterns, effect: clause.denies ? .deny : .allow,
                furtherTypes: Swift.Set(clause.rule.naming.records.map { DNSRecordType(rawValue: $0.rawValue) }),
                permittedAddresses: clause.rule.naming.permittedAddresses)
        }
    }
}
