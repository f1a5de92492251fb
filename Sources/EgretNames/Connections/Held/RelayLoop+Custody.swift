// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretGreetingWire
import EgretLinux
import EgretPolicy

/// The proxy's side of connections that another process holds.
extension RelayLoop {
    /// Whether some of what is held waits for its endpoint.
    var awaitsEndpoints: Bool { !(custody?.unclaimed.isEmpty ?? true) }

    /// Whether something is to be looked after with time.
    var awaitsHolder: Bool { awaitsEndpoints || custody.map { $0.next == nil } ?? false }

    /// How many connections another process holds, of a former proxy too.
    var heldCount: Int { custody.map { $0.held.count + $0.unclaimed.count } ?? 0 }

    /// Has another process hold connections from now on.
    func begin(holdingBy socket: MessageSocket) {
        loseHolder("another one takes its place", isOther: true, tells: false)
        guard (try? loop.add(socket.descriptor, .readable, token: RelayCustody.token)) != nil else {
            return hooks.lost("it cannot be waited for", false)
        }
        custody = RelayCustody(socket, now: now)
    }

    /// Ends what has to do with the process at the end of the work.
    ///
    /// - Parameter isWhole: Whether what it holds ends as well.
    func endCustody(isWhole: Bool) {
        guard let custody else { return }
        if isWhole { custody.endAll() } else { custody.finish() }
        loseHolder("", isOther: false, tells: false)
    }

    /// Hands a connection over, if it was let through and is made.
    ///
    /// - Returns: Whether it is the other process's now.
    func handOver(_ connection: CheckedConnection) -> Bool {
        // Asked first: the rest costs more, and is done again with each event until it comes to something.
        guard let custody, custody.hasRoom(now), let next = custody.next, let attempt = connection.allowed,
            let state = connection.handedState
        else { return false }
        let (link, moment, until) = hooks.describe(connection.endpoint, attempt)
        let held = HeldConnection(
            number: next, attempt: attempt, link: link, moment: moment, until: until, wayMark: connection.wayMark)
        let sockets = [connection.client.socket.descriptor, connection.server.socket.descriptor]
        guard custody.take(held, state, sockets, now: now) else { return false }
        custody.next = next + 2
        custody.held[next] = RelayCustody.Held(connection: held, owner: connection.owner)
        forget(connection)
        return true
    }

    /// Listens to the process that holds connections.
    func hearHolder() {
        do {
            try custody?.flush()
            for _ in 0..<256 {
                guard let custody, let message = try custody.receive() else { break }
                try hear(message, custody)
            }
            settleHolder()
        } catch {
            loseHolder("\(error)", isOther: false, tells: true)
        }
    }

    private func hear(_ message: RelayMessage, _ custody: RelayCustody) throws {
        switch message {
        case .greeting(let version, let next):
            guard version == RelayMessage.version else {
                // What it has could not be judged: it ends.
                custody.endAll()
                return loseHolder("it is of another version", isOther: true, tells: true)
            }
            custody.next = next
        case .held(let connection): custody.unclaimed[connection.number] = connection
        case .listed:
            custody.listed = now
            claim()
        case .ended(let number, let volume):
            custody.unclaimed[number] = nil
            custody.questions[number] = nil
            guard let held = custody.held.removeValue(forKey: number) else { return }
            counts.remove(held.owner)
            hooks.event(held.owner.endpoint, .ended(held.connection.attempt, volume))
        case .asks(let number, let speech):
            if custody.unclaimed[number] != nil {
                custody.questions[number] = speech
            } else if let held = custody.held[number] {
                try judge(held, speech, custody)
            }
        case .take, .end, .endAll, .judged, .answer: throw RelayFormatError()
        }
    }

    /// Judges what the client of a connection that is held says.
    private func judge(_ held: RelayCustody.Held, _ speech: ConnectionAttempt.Speech, _ custody: RelayCustody) throws {
        let (endpoint, begun) = (held.owner.endpoint, held.connection.attempt)
        var attempt = ConnectionAttempt(source: begun.source, destination: begun.destination, speech: speech, rules: [])
        var isName = true
        var name: DomainName?
        if case .name(let spoken) = speech {
            name = DomainName(ascii: spoken.name)
            isName = name != nil
        }
        var isAllowed = false
        if isName {
            attempt.rules = registry.rules(of: endpoint, holding: begun.destination.address, by: name, now: now)
            attempt = self.attempt(endpoint, attempt)
            isAllowed = hooks.allows(endpoint, attempt)
        }
        if !isAllowed { hooks.event(endpoint, .refused(attempt)) }
        try custody.send(.answer(held.connection.number, isAllowed: isAllowed))
    }

    /// Looks after what changes with time.
    func lookAfterHolder() {
        if let custody, custody.next == nil, now >= custody.begun + RelayCustody.slowest {
            // It has stopped. When it goes on, it finds that what it has ends.
            custody.endAll()
            return loseHolder("it does not answer", isOther: true, tells: true)
        }
        claim()
    }

    /// Takes what a former proxy's connections are on the books of their endpoints, or ends them.
    func claim() {
        guard hasBegun || isSettled, let custody, let listed = custody.listed, !custody.unclaimed.isEmpty else {
            return
        }
        let isOver = isSettled || now >= listed + RelayCustody.memory
        var areTaken = false
        do {
            for (number, connection) in custody.unclaimed {
                let found = registry.owner(of: connection.attempt.source.address)
                if found == nil, !isOver { continue }
                custody.unclaimed[number] = nil
                let question = custody.questions.removeValue(forKey: number)
                guard let owner = found, isWayThere(connection), hooks.resumes(owner.endpoint, connection) else {
                    try custody.send(.end(number))
                    continue
                }
                let held = RelayCustody.Held(connection: connection, owner: owner)
                custody.held[number] = held
                counts.add(owner)
                areTaken = true
                if let question { try judge(held, question, custody) }
            }
            settleHolder()
        } catch {
            return loseHolder("\(error)", isOther: false, tells: true)
        }
        // By the rules of now they may end at other times than a former proxy has foreseen.
        if areTaken { tellMoments() }
    }

    private func isWayThere(_ connection: HeldConnection) -> Bool {
        guard let mark = connection.wayMark, let wayMarks else { return true }
        return wayMarks.contains(mark)
    }

    /// Ends connections that are held and may go on no more.
    func endHeld(where mustEnd: RelayOrders.Test) {
        endEach { mustEnd($0.owner.endpoint, $0.connection.attempt) }
    }

    /// Ends those by ways that are none of these.
    func endHeld(besides marks: Swift.Set<UInt32>) {
        endEach { held in held.connection.wayMark.map { !marks.contains($0) } ?? false }
    }

    private func endEach(_ mustEnd: (RelayCustody.Held) -> Bool) {
        guard let custody else { return }
        do {
            for (number, held) in custody.held where !held.isEnding && mustEnd(held) {
                custody.held[number]?.isEnding = true
                try custody.send(.end(number))
            }
            settleHolder()
        } catch {
            loseHolder("\(error)", isOther: false, tells: true)
        }
    }

    /// Has the process know when connections were judged last.
    func tellMoments() {
        guard let custody else { return }
        do {
            for (number, held) in custody.held where !held.isEnding {
                let (_, found, until) = hooks.describe(held.owner.endpoint, held.connection.attempt)
                let known = held.connection
                guard let moment = found ?? known.moment, moment != known.moment || until != known.until else {
                    continue
                }
                custody.held[number]?.connection.moment = moment
                custody.held[number]?.connection.until = until
                try custody.send(.judged(number, moment: moment, until: until))
            }
            settleHolder()
        } catch {
            loseHolder("\(error)", isOther: false, tells: true)
        }
    }

    /// Waits for room where something waits for that.
    private func settleHolder() {
        guard let custody else { return }
        let events: EventLoop.Events = custody.isBehind ? [.readable, .writable] : [.readable]
        try? loop.change(custody.socket.descriptor, events, token: RelayCustody.token)
    }

    /// Takes what is held off the books: the process has ended, or this one does.
    private func loseHolder(_ reason: String, isOther: Bool, tells: Bool) {
        guard let custody else { return }
        loop.remove(custody.socket.descriptor)
        self.custody = nil
        for held in custody.held.values {
            counts.remove(held.owner)
            hooks.event(held.owner.endpoint, .ended(held.connection.attempt, nil))
        }
        if tells { hooks.lost(reason, isOther) }
    }
}

extension CheckedConnection {
    /// How far it is, for who takes it over; `nil` if it cannot be taken over now.
    fileprivate var handedState: HandedState? {
        guard isConnected, !isRefused, question == nil, client.pipe?.count ?? 0 == 0, server.pipe?.count ?? 0 == 0
        else { return nil }
        var state = HandedState()
        if isOpaque {
            state.fromClient = server.output + pending
        } else {
            guard let history, !hasHeardServer else { return nil }
            (state.fromClient, state.passed) = (history, passed)
        }
        state.fromServer = client.output
        guard state.fromClient.count + state.fromServer.count <= RelayMessage.mostBytes else { return nil }
        state.protocols = protocols
        state.isOpaque = isOpaque
        state.hasClientEnded = client.isEnded
        state.hasServerEnded = server.isEnded
        state.isClientTold = client.isToldEnd
        state.isServerTold = server.isToldEnd
        return state
    }
}
