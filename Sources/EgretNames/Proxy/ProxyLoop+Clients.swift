// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDNSWire
import EgretLinux

extension ProxyLoop {
    /// Accepts the connections that wait.
    func acceptClients(_ index: Int) {
        for _ in 0..<32 {
            let accepted: (socket: InternetSocket, peer: SocketAddress)?
            do throws(LinuxError) {
                accepted = try listeners[index].accept()
            } catch {
                // Mostly for want of descriptors; connections wait in the kernel until the next tick.
                return pauseListeners(true)
            }
            guard let (socket, peer) = accepted else { return }
            // Out of scope, the connection is closed.
            guard let owner = registry.owner(of: peer.address), let destination = socket.originalDestination(),
                destination.port == 53
            else { continue }
            let endpoint = owner.endpoint
            guard clientCounts.hasRoom(for: owner), let incarnation = registry.connectionBegan(of: endpoint) else {
                hooks.event(endpoint, .limited(.root, .connections))
                continue
            }
            let token = newToken()
            let stream = ClientStream(
                socket, token: token, endpoint: endpoint, incarnation: incarnation, peer: peer,
                destination: destination, now: now)
            clients[token] = stream
            clientCounts.add(stream.owner)
            if (try? add(.client(stream), socket, .readable, token: token)) == nil { close(stream) }
        }
    }

    /// Accepts nobody for a while, or again.
    func pauseListeners(_ isPaused: Bool) {
        arePaused = isPaused
        for (token, source) in sources {
            guard case .listener(let index) = source else { continue }
            try? loop.change(listeners[index].descriptor, isPaused ? [] : .readable, token: token)
        }
    }

    /// Reads and writes what can be.
    func serve(_ stream: ClientStream, _ events: EventLoop.Events) {
        if events.contains(.error) || events.contains(.hungUp) { return close(stream) }
        if events.contains(.writable) {
            writeOut(stream)
            unfinished.insert(stream.token)
        }
        guard events.contains(.readable), clients[stream.token] != nil else { return }
        do {
            guard let bytes = try stream.socket.receive(upTo: 16_384) else { return }
            if bytes.isEmpty { stream.isEnded = true }
            stream.framer.append(bytes)
        } catch {
            return close(stream)
        }
        askWaiting(stream)
    }

    /// Asks what the stream has whole, as far as it may: the rest has its turn in the next round.
    func askWaiting(_ stream: ClientStream) {
        // Whoever has its number, or its address, by now has not made this connection.
        guard registry.isStill(stream.endpoint, stream.incarnation, at: stream.peer.address) else {
            return close(stream)
        }
        var looked = 0
        while clients[stream.token] != nil, mayAsk(stream), let message = stream.framer.next() {
            // Before it costs anything.
            guard registry.update(stream.endpoint, { $0.table.mayAsk(now: now) }) == true else {
                hooks.event(stream.endpoint, .limited(.root, .questions))
                return close(stream)
            }
            stream.lastUse = now
            stream.hasAsked = true
            stream.waiting += 1
            ask(message, stream.endpoint, .stream(stream.token), stream.destination.address)
            looked += 1
            if looked >= ProxyLimits.messagesPerRound {
                unfinished.insert(stream.token)
                break
            }
        }
        settle(stream)
    }

    private func mayAsk(_ stream: ClientStream) -> Bool {
        stream.waiting < ProxyLimits.questionsPerConnection && stream.output.count < ProxyLimits.unreadBytes
    }

    /// Sends a message to a client.
    func send(_ bytes: [UInt8], _ stream: ClientStream) {
        stream.lastUse = now
        stream.output += DNSStreamFramer.framed(bytes) ?? []
        writeOut(stream)
        // Not here: this may be an answer in the middle of asking.
        if stream.framer.hasMessage { unfinished.insert(stream.token) }
    }

    private func writeOut(_ stream: ClientStream) {
        guard !stream.output.isEmpty else { return settle(stream) }
        do {
            let sent = try stream.socket.send(stream.output[...])
            stream.output.removeFirst(sent)
        } catch {
            return close(stream)
        }
        settle(stream)
    }

    /// Waits for what is wanted next: no more questions while many wait, or answers are not taken.
    private func settle(_ stream: ClientStream) {
        guard clients[stream.token] != nil else { return }
        let isDone = stream.waiting == 0 && stream.output.isEmpty && !stream.framer.hasMessage
        if stream.isEnded && isDone { return close(stream) }
        var events: EventLoop.Events = []
        // One message with its length, at most, waits for its rest.
        let isRoom = stream.framer.pendingCount < 65_537
        if isRoom && mayAsk(stream) && !stream.isEnded { events.insert(.readable) }
        if !stream.output.isEmpty { events.insert(.writable) }
        guard events != stream.events else { return }
        stream.events = events
        try? loop.change(stream.socket.descriptor, events, token: stream.token)
    }

    /// Ends the connections of which everything that has come is answered: nobody else could answer what comes there. A message
    /// that has not come whole is waited for, and for a moment the first one of a connection.
    func endDoneClients() {
        for stream in Array(clients.values) {
            if stream.events.contains(.readable) { serve(stream, .readable) }
            guard stream.waiting == 0, stream.output.isEmpty, stream.framer.pendingCount == 0 else { continue }
            if stream.hasAsked || now >= stream.lastUse + ProxyLimits.firstMilliseconds { close(stream) }
        }
    }

    /// Ends a client's connection. Its questions go on, and their answers are dropped.
    func close(_ stream: ClientStream) {
        guard clients.removeValue(forKey: stream.token) != nil else { return }
        sources[stream.token] = nil
        loop.remove(stream.socket.descriptor)
        clientCounts.remove(stream.owner)
        registry.connectionEnded(of: stream.endpoint, stream.incarnation)
    }
}
