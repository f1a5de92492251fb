// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretGreetingWire
import EgretLinux
import EgretPolicy

/// The datagram proxy's work. One thread has it, and nobody else touches it.
final class DatagramLoop {
    /// A client's socket, and the server that it sends to.
    struct Flow: Hashable {
        var source: SocketAddress
        var destination: SocketAddress
    }

    /// What became of a flow.
    private enum State {
        /// It has not said everything: the reader, and until when it may.
        case reading(InitialReader, until: UInt64)
        /// It was let through; what still comes here was on its way, or belongs to an entry of connection tracking that has
        /// come back.
        case passed(ConnectionAttempt, until: UInt64)
        /// It was refused, and is read again only later.
        case refused(until: UInt64)

        var end: UInt64 {
            switch self {
            case .reading(_, let until), .passed(_, let until), .refused(let until): until
            }
        }
    }

    private struct Entry {
        /// Whose it is: another endpoint that has got the number, and the address, has begun nothing.
        var owner: NameOwner
        var state: State
    }

    /// What there is room for, of all endpoints together.
    struct Room: Sendable {
        /// Flows that are remembered.
        var flows = 4_096
        /// Flows that have not said everything. A name may take 64 KiB, twice.
        var readings = 4_096
        /// Datagrams that are answered with a refusal between two ticks.
        var answers = DatagramLoop.mostAnswers
        /// The same of one endpoint.
        var answersOfEndpoint = DatagramLoop.mostAnswers

        /// For all endpoints of a host: the flood of one leaves the others room, and answers.
        static let ofHost = Room(flows: 16_384, readings: 1_024, answers: 1_000, answersOfEndpoint: 64)
    }

    /// Flows of an endpoint that are remembered.
    static let mostFlowsOfEndpoint = 1_024
    /// Flows of an endpoint that have not said everything.
    static let mostReadings = 128
    /// Datagrams of one endpoint alone that are answered with a refusal between two ticks: together as many a second as the
    /// kernel would send.
    static let mostAnswers = 250
    /// Refusals that are told between two ticks of flows that there is no place to remember.
    static let mostUnremembered = 16
    /// How long a decision is remembered, in milliseconds.
    static let memory: UInt64 = 10_000

    private let registry: NameRegistry
    private let hooks: DatagramProxy.Hooks
    private let loop: EventLoop
    private let source: any DatagramSource
    private let room: Room
    private let hostAddresses: HostAddresses
    private let patience: UInt64
    private var flows: [Flow: Entry] = [:]
    /// Flows that are remembered, and those of them that have not said everything: so many in all, and of an endpoint.
    private var held: OwnerCounts
    private var readings: OwnerCounts
    /// Flows that were let through, of which more has come here.
    private var returned: Swift.Set<Flow> = []
    /// How many datagrams were answered since the last tick.
    private(set) var answerCount = 0
    private var answerCounts: [Int: Int] = [:]
    private var unrememberedCount = 0
    var now: UInt64 = BootClock.milliseconds
    private var nextTick: UInt64 = 0

    init(
        registry: NameRegistry, hooks: DatagramProxy.Hooks, loop: EventLoop, source: any DatagramSource,
        room: Room = Room(), patience: UInt64
    ) throws(LinuxError) {
        self.registry = registry
        self.hooks = hooks
        self.loop = loop
        self.source = source
        self.room = room
        held = OwnerCounts(most: room.flows, each: DatagramLoop.mostFlowsOfEndpoint)
        readings = OwnerCounts(most: room.readings, each: DatagramLoop.mostReadings)
        hostAddresses = try HostAddresses()
        self.patience = patience
        for (place, descriptor) in source.descriptors.enumerated() {
            try loop.add(descriptor, .readable, token: UInt64(place))
        }
    }

    /// Works until it is told to stop.
    func run(_ sign: StopSign) { run(sign, waiting: ready) }

    /// The same; `wait` says at which places something has come, after so many milliseconds at most.
    func run(_ sign: StopSign, waiting wait: (_ milliseconds: Int32) throws(LinuxError) -> [Int]) {
        while !sign.isSet {
            let tokens: [Int]
            do throws(LinuxError) {
                tokens = try wait(flows.isEmpty ? -1 : 250)
            } catch {
                // Nothing opens by it, but nobody would know why QUIC by name does not pass any more.
                return hooks.failed(error)
            }
            now = BootClock.milliseconds
            for token in tokens where source.descriptors.indices.contains(token) {
                source.receive(at: token) { bytes, flow in take(bytes, flow) }
            }
            passReturned()
            if now >= nextTick { tick() }
        }
    }

    private func ready(_ milliseconds: Int32) throws(LinuxError) -> [Int] {
        var tokens: [Int] = []
        try loop.wait(milliseconds: milliseconds) { token, _ in tokens.append(Int(token)) }
        return tokens
    }

    /// Takes a datagram of a flow.
    func take(_ bytes: [UInt8], _ flow: Flow) {
        guard let owner = registry.owner(of: flow.source.address) else { return }
        if let entry = flows[flow] {
            guard entry.owner == owner, now < entry.state.end else {
                forget(flow)
                // Its time is over, whether the clock has been looked at since or not.
                if entry.owner == owner, case .reading = entry.state {
                    return judge(owner, flow, .nothing(.silent))
                }
                return begin(owner, flow, bytes)
            }
            switch entry.state {
            case .reading(let reader, let until): read(owner, flow, bytes, reader, until: until)
            case .passed: returned.insert(flow)
            case .refused: answer(owner, flow)
            }
        } else {
            begin(owner, flow, bytes)
        }
    }

    /// Lets flows through again that have come back: each once, however many of their datagrams have come together.
    func passReturned() {
        for flow in returned {
            guard let entry = flows[flow], case .passed(let attempt, _) = entry.state else { continue }
            try? hooks.pass(entry.owner.endpoint, attempt)
        }
        returned.removeAll(keepingCapacity: true)
    }

    /// Begins with a flow, unless its endpoint may not have it.
    private func begin(_ owner: NameOwner, _ flow: Flow, _ bytes: [UInt8]) {
        let (endpoint, destination) = (owner.endpoint, flow.destination)
        guard !registry.rules(of: endpoint, holding: destination.address, by: nil, now: now).isEmpty else {
            return refuse(owner, flow, .notHeld(destination))
        }
        // As for connections: what comes to this host is not decided here.
        guard !hostAddresses.contains(destination.address, now: now) else {
            return refuse(owner, flow, .denied(destination))
        }
        guard held.hasRoom(for: owner), readings.hasRoom(for: owner) else {
            return refuse(owner, flow, .limited(destination))
        }
        switch hooks.begin(endpoint, destination) {
        case .refuse: refuse(owner, flow, .denied(destination))
        case .pass: pass(owner, flow, makeAttempt(endpoint, flow, .nothing(.otherProtocol), nil))
        case .read: read(owner, flow, bytes, InitialReader(), until: now + patience)
        }
    }

    private func read(
        _ owner: NameOwner, _ flow: Flow, _ bytes: [UInt8], _ former: InitialReader, until deadline: UInt64
    ) {
        // It gets its place again as what it is then.
        forget(flow)
        var reader = former
        switch reader.read(bytes) {
        case .needsMore: remember(owner, flow, .reading(reader, until: deadline))
        case .name(let spoken): judge(owner, flow, .name(spoken))
        case .none(let absence): judge(owner, flow, .nothing(absence))
        }
    }

    /// Asks whether a flow may pass after what was said.
    private func judge(_ owner: NameOwner, _ flow: Flow, _ speech: ConnectionAttempt.Speech) {
        var name: DomainName?
        if case .name(let spoken) = speech {
            name = DomainName(ascii: spoken.name)
            guard name != nil else {
                var attempt = makeAttempt(owner.endpoint, flow, speech, nil)
                attempt.rules = []
                return refuse(owner, flow, .refused(attempt))
            }
        }
        let attempt = makeAttempt(owner.endpoint, flow, speech, name)
        guard hooks.allows(owner.endpoint, attempt) else { return refuse(owner, flow, .refused(attempt)) }
        pass(owner, flow, attempt)
    }

    private func makeAttempt(
        _ endpoint: Int, _ flow: Flow, _ speech: ConnectionAttempt.Speech, _ name: DomainName?
    ) -> ConnectionAttempt {
        let address = flow.destination.address
        var attempt = ConnectionAttempt(
            source: flow.source, destination: flow.destination, speech: speech,
            rules: registry.rules(of: endpoint, holding: address, by: name, now: now), transport: .udp)
        if case .nothing = speech {
            attempt.names = Swift.Set(registry.holders(of: address, endpoint: endpoint, now: now).values)
        }
        return attempt
    }

    private func pass(_ owner: NameOwner, _ flow: Flow, _ attempt: ConnectionAttempt) {
        do {
            try hooks.pass(owner.endpoint, attempt)
        } catch {
            // Mostly a set that is full: nothing has been let through.
            return refuse(owner, flow, .limited(flow.destination))
        }
        remember(owner, flow, .passed(attempt, until: now + DatagramLoop.memory))
        hooks.event(owner.endpoint, .passed(attempt))
    }

    private func refuse(_ owner: NameOwner, _ flow: Flow, _ event: ConnectionEvent) {
        if held.hasRoom(for: owner) {
            remember(owner, flow, .refused(until: now + DatagramLoop.memory))
            hooks.event(owner.endpoint, event)
        } else {
            // Without a place to remember it, it is refused again with the next datagram: who floods fills no log.
            unrememberedCount += 1
            if unrememberedCount <= DatagramLoop.mostUnremembered { hooks.event(owner.endpoint, event) }
        }
        answer(owner, flow)
    }

    /// Has the client hear that it is refused, unless too many do.
    private func answer(_ owner: NameOwner, _ flow: Flow) {
        let endpoint = owner.endpoint
        let count = answerCounts[endpoint] ?? 0
        guard answerCount < room.answers, count < room.answersOfEndpoint else { return }
        answerCount += 1
        answerCounts[endpoint] = count + 1
        UnreachableMessage.send(flow.source, flow.destination)
    }

    // MARK: - What is remembered

    private func remember(_ owner: NameOwner, _ flow: Flow, _ state: State) {
        forget(flow)
        flows[flow] = Entry(owner: owner, state: state)
        held.add(owner)
        if case .reading = state { readings.add(owner) }
    }

    private func forget(_ flow: Flow) {
        guard let entry = flows.removeValue(forKey: flow) else { return }
        held.remove(entry.owner)
        if case .reading = entry.state { readings.remove(entry.owner) }
    }

    /// Ends the patience with clients that have said no name in time, and forgets what is old.
    func tick() {
        nextTick = now + 250
        (answerCount, unrememberedCount) = (0, 0)
        answerCounts.removeAll(keepingCapacity: true)
        for (flow, entry) in Array(flows) where now >= entry.state.end {
            forget(flow)
            let owner = entry.owner
            guard case .reading = entry.state,
                registry.isStill(owner.endpoint, owner.incarnation, at: flow.source.address)
            else { continue }
            judge(owner, flow, .nothing(.silent))
        }
    }
}
