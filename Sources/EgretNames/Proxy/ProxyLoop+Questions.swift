// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDNSWire
import EgretLinux

extension ProxyLoop {
    /// What an endpoint's rules say about a question, and whose they are.
    private struct Judged: Sendable {
        var judgment: NameTable.Judgment
        var servers: [NameServer]
        var incarnation: UInt64
        var generation: UInt64
    }

    /// Takes the datagrams that have come to a socket.
    func receiveDatagrams(_ index: Int) {
        guard !isHoldingBack, let (datagrams, mayBeMore) = try? receiver.receive(from: datagramSockets[index]) else {
            return
        }
        if !mayBeMore { backlogged.remove(index) }
        for datagram in datagrams {
            guard let endpoint = registry.endpoint(at: datagram.peer.address) else { continue }
            // A flood costs little more than its datagrams: what is too much is dropped unread.
            guard registry.update(endpoint, { $0.table.mayAsk(now: now) }) == true else {
                hooks.event(endpoint, .limited(.root, .questions))
                continue
            }
            var own = datagram.own
            own.port = ownPort
            var plain = own
            plain.scope = 0
            guard let destination = destinations.destination(of: datagram.peer, at: plain, now: now),
                destination.port == 53
            else { continue }
            let client = PendingQuestion.Client.datagram(socket: index, peer: datagram.peer, own: own)
            ask(datagram.bytes, endpoint, client, destination.address)
        }
    }

    /// Judges a question, and passes it on or answers it.
    func ask(_ bytes: [UInt8], _ endpoint: Int, _ client: PendingQuestion.Client, _ destination: IPAddress) {
        guard let (message, _) = try? DNSMessage.read(bytes) else { return malformed(bytes, endpoint, client) }
        // An answer to an answer would begin a game without end.
        guard !message.flags.isResponse else {
            _ = registry.update(endpoint) { $0.table.takeQuestion(now: now) }
            return drop(client)
        }
        guard message.flags.operation == 0 else { return malformed(bytes, endpoint, client, .notImplemented) }
        guard message.extended?.version ?? 0 == 0 else { return malformed(bytes, endpoint, client, .badVersion) }
        guard let question = message.questions.first, message.questions.count == 1, message.answers.isEmpty,
            message.authorities.isEmpty
        else { return malformed(bytes, endpoint, client) }
        var size = Int(message.extended?.payloadSize ?? 512)
        var isStream = false
        if case .stream = client { (size, isStream) = (65_535, true) }
        hooks.question(endpoint)
        let isHere = hostAddresses.contains(destination, now: now)
        let outcome = registry.update(endpoint) { entry -> Judged? in
            guard entry.pending < entry.endpoint.limits.pendingQuestions else { return nil }
            let isOpen = isHere ? entry.endpoint.isOpenHere : entry.endpoint.isOpen
            let judgment = entry.table.ask(question, isServerOpen: isOpen(destination, isStream), now: now)
            entry.pending += 1
            var servers = entry.endpoint.servers(for: destination)
            if case .forward(let permission) = judgment, permission.isUnnamed {
                let configured = entry.endpoint.configured(at: destination)
                servers = configured.isEmpty ? [NameServer(destination)] : configured
            }
            return Judged(
                judgment: judgment, servers: servers, incarnation: entry.incarnation, generation: entry.generation)
        }
        guard let judged: Judged = outcome ?? nil else {
            hooks.event(endpoint, .limited(question.name, .pending))
            return drop(client)
        }
        let nothing = NameTable.Permission(question: question, rules: [])
        var pending = PendingQuestion(
            client: client, question: question, clientID: message.id, payloadSize: max(512, min(size, 65_535)),
            extended: message.extended, flags: message.flags, endpoint: endpoint, incarnation: judged.incarnation,
            generation: judged.generation, destination: destination, routedFrom: isHere ? nil : address(of: client),
            permission: nothing, servers: judged.servers,
            end: now + ProxyLimits.patienceMilliseconds, sentName: question.name)
        switch judged.judgment {
        case .answer(let code, let event):
            hooks.event(endpoint, event)
            hooks.refusal(endpoint, event, destination, isStream)
            // 18: prohibited (RFC 8914).
            refuse(pending, code, extendedError: 18)
        case .forward(let permission):
            guard !judged.servers.isEmpty else {
                let event = NameEvent.serverDenied(question.name, destination)
                hooks.event(endpoint, event)
                hooks.refusal(endpoint, event, destination, isStream)
                return refuse(pending, .refused, extendedError: 18)
            }
            guard questionCounts.hasRoom(for: pending.owner) else {
                hooks.event(endpoint, .limited(question.name, .pending))
                return refuse(pending, .serverFailure)
            }
            questionCounts.add(pending.owner)
            pending.isCounted = true
            pending.permission = permission
            pending.servers = silentServers.ordered(judged.servers, now: now)
            let id = nextQuestion
            nextQuestion += 1
            start(pending, id)
        }
    }

    private func address(of client: PendingQuestion.Client) -> IPAddress? {
        switch client {
        case .datagram(_, let peer, _): peer.address
        case .stream(let token): clients[token]?.peer.address
        }
    }

    /// Answers what could not be read, as far as it has an id. It counts as a question.
    private func malformed(
        _ bytes: [UInt8], _ endpoint: Int, _ client: PendingQuestion.Client, _ code: DNSResponseCode = .formatError
    ) {
        guard registry.update(endpoint, { $0.table.takeQuestion(now: now) }) == true else { return drop(client) }
        guard bytes.count >= 12, bytes[2] & 0x80 == 0 else { return drop(client) }
        var answer = DNSMessage(id: UInt16(bytes[0]) << 8 | UInt16(bytes[1]))
        answer.flags.isResponse = true
        answer.flags.responseCode = code
        if code.rawValue > 0xf {
            var own = ExtendedDNS(payloadSize: ProxyLimits.payloadSize)
            own.extendedCode = UInt8(truncatingIfNeeded: code.rawValue >> 4)
            answer.extended = own
        }
        let encoded = (try? answer.encoded()) ?? []
        switch client {
        case .datagram(let socket, let peer, let own): datagramSockets[socket].send(encoded, to: peer, from: own)
        case .stream(let token):
            guard let stream = clients[token] else { return }
            stream.waiting -= 1
            send(encoded, stream)
        }
    }

    /// Forgets a question that gets no answer.
    private func drop(_ client: PendingQuestion.Client) {
        if case .stream(let token) = client, let stream = clients[token] { close(stream) }
    }
}
