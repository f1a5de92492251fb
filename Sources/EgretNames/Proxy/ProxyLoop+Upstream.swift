// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDNSWire
import EgretLinux
import EgretPolicy

extension ProxyLoop {
    /// Sends a question to the server whose turn it is.
    func start(_ question: PendingQuestion, _ id: UInt64) {
        var question = question
        question.failure = nil
        let server = question.server
        question.deadline = now + ProxyLimits.attemptMilliseconds
        question.sentName = question.question.name.mixingCase { random.next() }
        question.isExtended =
            question.extended != nil && question.plainServer != server && !plainServers.contains(server, now: now)
        var overStream = server.transport == .tcp || question.isOverStream
        if case .stream = question.client { overStream = true }
        if question.hasSentEnoughDatagrams { overStream = true }
        let isSent: Bool
        if server.isEncrypted {
            isSent = startEncrypted(&question, id, server)
        } else if let place = place(of: server.address, for: question, overStream: overStream) {
            guard overStream || paces.admits(id, of: question.owner, to: server.address, now: now) else {
                question.upstream = 0
                pending[id] = question
                return deadlines.append(id, at: question.deadline)
            }
            isSent = overStream ? startStream(&question, id, place) : startDatagram(&question, id, place)
        } else {
            isSent = false
        }
        // What could not be sent, because no way leads there, goes to a server that was not asked yet; if there is none, it
        // waits for the next attempt, as if it were lost.
        if !isSent {
            question.upstream = 0
            let isOtherLeft = question.attempt + 1 < question.servers.count
            if isOtherLeft, question.passOn(now: now) { return start(question, id) }
        }
        pending[id] = question
        deadlines.append(id, at: question.deadline)
        expectLoss(of: question, id)
    }

    private func expectLoss(of question: PendingQuestion, _ id: UInt64) {
        guard question.isFirstVisit, case .port = sources[question.upstream] else { return }
        losses.append(id, at: now + ProxyLimits.lossMilliseconds)
    }

    /// Sends datagrams that have waited until their servers have read others.
    func sendWaiting() {
        for server in paces.busy {
            while let id = paces.take(for: server, now: now, where: { isDatagramDue($0, to: server) }) {
                guard var question = pending[id] else { continue }
                if case .port(let port) = sources[question.upstream] {
                    sendAgain(question, port)
                } else if question.upstream == 0, let place = place(of: server, for: question, overStream: false),
                    startDatagram(&question, id, place)
                {
                    pending[id] = question
                    expectLoss(of: question, id)
                }
            }
        }
    }

    /// Whether a question that has waited is still to be sent to a server as a datagram: its time may be over, or it be another
    /// server's turn, which may be at the same address.
    private func isDatagramDue(_ id: UInt64, to server: SocketAddress) -> Bool {
        guard let question = pending[id], question.server == NameServer(server) else { return false }
        if case .port(let port) = sources[question.upstream], port.repeated.contains(question.sentID) { return false }
        return !question.isOverStream && !question.hasSentEnoughDatagrams && isCurrent(question)
    }

    private func sendAgain(_ question: PendingQuestion, _ port: UpstreamPort) {
        port.repeated.insert(question.sentID)
        if isRefused(sending: question, port) { failAll(port) }
    }

    /// Sends a datagram.
    ///
    /// - Returns: Whether it was not sent, because the server's host has said that nobody listens to an earlier one. The kernel
    ///   says so once, to whoever sends or reads next.
    private func isRefused(sending question: PendingQuestion, _ port: UpstreamPort) -> Bool {
        do throws(LinuxError) {
            _ = try port.socket.send(question.query()[...])
            return false
        } catch {
            return error.errno == .connectionRefused
        }
    }

    /// By which way a server is asked; `nil` if none may be taken.
    ///
    /// What the client asks of the server that it means goes the way of the client's own packets. What others are asked instead
    /// is the host's question.
    private func place(
        of server: SocketAddress, for question: PendingQuestion, overStream: Bool
    ) -> UpstreamPlace? {
        guard let client = question.routedFrom, server.address == question.destination else {
            return UpstreamPlace(server: server)
        }
        return switch hooks.departure(client, server, overStream) {
        case .main: UpstreamPlace(server: server)
        case .marked(let mark): UpstreamPlace(server: server, mark: mark)
        case .nowhere: nil
        }
    }

    private func startDatagram(_ question: inout PendingQuestion, _ id: UInt64, _ place: UpstreamPlace) -> Bool {
        guard let port = port(to: place, for: question.owner) else { return false }
        // Ids of one port differ.
        repeat {
            question.sentID = UInt16(truncatingIfNeeded: random.next())
        } while port.waiting[question.sentID] != nil || port.repeated.contains(question.sentID)
        let earlier = Array(port.waiting.values)
        question.upstream = port.token
        port.usesLeft -= 1
        port.lastUse = now
        port.waiting[question.sentID] = id
        if port.usesLeft <= 0 { retire(port) }
        if isRefused(sending: question, port) {
            _ = isRefused(sending: question, port)
            for other in earlier { nextAttempt(other) }
        }
        return true
    }

    /// One of the ports to a server, by chance; there are more as more are needed.
    private func port(to place: UpstreamPlace, for owner: NameOwner) -> UpstreamPort? {
        let open = ports[place] ?? []
        let index = random.next(below: ProxyLimits.portsPerServer)
        if index < open.count { return open[index] }
        if !portCounts.hasRoom(for: owner) { makeRoomForPort(of: owner) }
        let token = newToken()
        guard portCounts.hasRoom(for: owner), let port = try? UpstreamPort(place, of: owner, token: token, now: now),
            (try? add(.port(port), port.socket, .readable, token: token)) != nil
        else { return open.first }
        portCounts.add(owner)
        ports[place, default: []].append(port)
        return port
    }

    /// Gives up the port that was used least of late, of those where nothing waits: one of the same endpoint's, if it has any.
    private func makeRoomForPort(of owner: NameOwner) {
        let idle = ports.values.joined().filter(\.waiting.isEmpty)
        let own = idle.filter { $0.owner == owner }
        if let port = (own.isEmpty ? idle : own).min(by: { $0.lastUse < $1.lastUse }) { retire(port) }
    }

    /// Closes the ports that nobody has needed for a while.
    func retireIdlePorts() {
        for port in Array(ports.values.joined())
        where port.waiting.isEmpty && now >= port.lastUse + ProxyLimits.idlePortMilliseconds {
            retire(port)
        }
    }

    /// Asks nothing more from a port; it goes when nothing waits there.
    private func retire(_ port: UpstreamPort) {
        port.usesLeft = 0
        ports[port.place]?.removeAll { $0 === port }
        if ports[port.place]?.isEmpty == true { ports[port.place] = nil }
        closeIfDone(port)
    }

    private func closeIfDone(_ port: UpstreamPort) {
        guard port.usesLeft <= 0, port.waiting.isEmpty, sources.removeValue(forKey: port.token) != nil else { return }
        loop.remove(port.socket.descriptor)
        portCounts.remove(port.owner)
    }

    private func startStream(_ question: inout PendingQuestion, _ id: UInt64, _ place: UpstreamPlace) -> Bool {
        question.sentID = UInt16(truncatingIfNeeded: random.next())
        let token = newToken()
        guard streamCounts.hasRoom(for: question.owner),
            let stream = try? UpstreamStream(place, question.query(), token: token, question: id),
            (try? add(.stream(stream), stream.socket, .writable, token: token)) != nil
        else { return false }
        streamCounts.add(question.owner)
        question.upstream = token
        return true
    }

    /// Takes the answers that have come to a port.
    func receiveAnswers(_ port: UpstreamPort) {
        for _ in 0..<64 {
            let bytes: [UInt8]
            do {
                guard let received = try port.socket.receive(upTo: 4_096) else { return }
                bytes = received
            } catch {
                // The server's host says that nobody listens: no answer will come to what waits here.
                return failAll(port)
            }
            let sentID = bytes.count >= 12 ? UInt16(bytes[0]) << 8 | UInt16(bytes[1]) : nil
            let id = sentID.flatMap { port.waiting[$0] }
            if id == nil, let sentID, port.repeated.remove(sentID) != nil { continue }
            if let id, take(bytes, id, isOverStream: false) {
                paces.noteAnswer(of: port.place.server)
                closeIfDone(port)
                continue
            }
            port.strays += 1
            if port.strays > ProxyLimits.straysPerPort { return distrust(port) }
        }
    }

    /// Asks again over TCP what waits at a port where somebody tries answers.
    private func distrust(_ port: UpstreamPort) {
        retire(port)
        for id in Array(port.waiting.values) {
            guard var question = pending.removeValue(forKey: id) else { continue }
            detach(question)
            hooks.event(question.endpoint, .badAnswer(question.question.name, "many answers to no question"))
            question.isOverStream = true
            start(question, id)
        }
    }

    private func failAll(_ port: UpstreamPort) {
        for id in Array(port.waiting.values) { nextAttempt(id) }
        closeIfDone(port)
    }

    /// Moves a connection to a server on.
    func continueStream(_ stream: UpstreamStream) {
        do {
            if !stream.output.isEmpty {
                guard stream.socket.takeError() == nil else { return nextAttempt(stream.question) }
                let sent = try stream.socket.send(stream.output[...])
                stream.output.removeFirst(sent)
                guard stream.output.isEmpty else { return }
                try loop.change(stream.socket.descriptor, .readable, token: stream.token)
                return
            }
            while let bytes = try stream.socket.receive(upTo: 16_384) {
                guard !bytes.isEmpty else { return nextAttempt(stream.question) }
                stream.framer.append(bytes)
                if let message = stream.framer.next() {
                    if !take(message, stream.question, isOverStream: true) { nextAttempt(stream.question) }
                    return
                }
            }
        } catch {
            nextAttempt(stream.question)
        }
    }

    /// Takes a question off the socket where it waits.
    func detach(_ question: PendingQuestion) {
        switch sources[question.upstream] {
        case .port(let port):
            port.waiting[question.sentID] = nil
            closeIfDone(port)
        case .stream(let stream):
            loop.remove(stream.socket.descriptor)
            sources[question.upstream] = nil
            streamCounts.remove(question.owner)
        default: break
        }
    }

    /// Whether the rules that have let a question through are in force still. Under others nobody is asked it any more: its
    /// answer would not be used.
    func isCurrent(_ question: PendingQuestion) -> Bool {
        registry.update(question.endpoint, { $0.generation == question.generation }) == true
    }

    /// Asks again, another server where there is one, or gives up.
    func nextAttempt(_ id: UInt64) {
        guard var question = pending.removeValue(forKey: id) else { return }
        detach(question)
        guard isCurrent(question) else { return refuse(question, .serverFailure) }
        let (server, name) = (question.server, question.question.name)
        let goesOn = question.passOn(now: now)
        if let failure = question.failure {
            if !goesOn || question.server != server {
                hooks.event(question.endpoint, .serverFailed(name, server, failure))
            }
        } else if !goesOn {
            hooks.event(question.endpoint, .timedOut(name, server.address.address))
        }
        if goesOn { return start(question, id) }
        refuse(question, .serverFailure, extendedError: 22)
    }

    /// Sends datagrams once more that are not answered: as they were, from the same port, so that either answer will do.
    func repeatLost() {
        while let id = losses.next(dueBy: now) {
            // It may have been asked anew meanwhile, without EDNS, and within the same millisecond: it is noted twice then.
            guard let question = pending[id], question.isFirstVisit,
                question.deadline <= now + ProxyLimits.attemptMilliseconds - ProxyLimits.lossMilliseconds,
                case .port(let port) = sources[question.upstream], !port.repeated.contains(question.sentID),
                isCurrent(question),
                paces.admits(id, of: question.owner, to: question.server.address, now: now)
            else { continue }
            sendAgain(question, port)
        }
    }

    /// Asks those again whose time is over.
    func expireAttempts() {
        while let id = deadlines.next(dueBy: now) {
            guard let question = pending[id], question.deadline <= now else { continue }
            if question.servers.count > 1 {
                let since = question.deadline - ProxyLimits.attemptMilliseconds
                silentServers.noteSilence(of: question.server, since: since, now: now)
            }
            nextAttempt(id)
        }
    }
}
