// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretGreetingWire
import EgretLinux
import EgretPolicy

extension RelayLoop {
    /// Lets pass what may of what the client has said.
    func read(_ connection: CheckedConnection) {
        while connections[connection.token] != nil, !connection.isRefused, connection.question == nil {
            if connection.isOpaque { return pass(connection, connection.pending.count) }
            switch connection.reader.next(connection.pending) {
            case .needsMore, .awaitsServer: return
            case .pass(let count): pass(connection, count)
            case .name(let name, let count, _):
                judge(connection, .name(name))
                connection.question?.count = count
                guard connection.question == nil else { return }
                if connections[connection.token] != nil, !connection.isRefused { pass(connection, count) }
            case .opaque: connection.isOpaque = true
            case .none(let absence): judge(connection, .nothing(absence))
            }
        }
    }

    private func pass(_ connection: CheckedConnection, _ count: Int) {
        let known = min(connection.replayed, count)
        connection.replayed -= known
        connection.server.output += connection.pending.prefix(count).dropFirst(known)
        connection.pending.removeFirst(min(count, connection.pending.count))
    }

    /// Asks whether a connection may go on after what was said, and ends it if not.
    func judge(_ connection: CheckedConnection, _ speech: ConnectionAttempt.Speech) {
        if let ask, !isKnown(connection, speech) {
            connection.question = CheckedConnection.Question(speech: speech)
            return ask(connection, speech)
        }
        var name: DomainName?
        if case .name(let spoken) = speech {
            guard let found = DomainName(ascii: spoken.name) else {
                return refuse(connection, attempt(connection, speech, []))
            }
            name = found
        }
        let rules = registry.rules(of: connection.endpoint, holding: connection.destination.address, by: name, now: now)
        let attempt = attempt(connection, speech, rules)
        guard isKnown(connection, speech) || hooks.allows(connection.endpoint, attempt) else {
            return refuse(connection, attempt)
        }
        if connection.allowed == nil {
            connection.allowed = attempt
            connection.allowedName = name
            hurried.remove(connection.token)
            hooks.event(connection.endpoint, .relayed(attempt))
        }
        if case .nothing = speech { connection.isOpaque = true }
    }

    /// Whether a client says the name for which it was let through: a later request needs no new answer of the DNS, as the
    /// connection is open, and names expire.
    private func isKnown(_ connection: CheckedConnection, _ speech: ConnectionAttempt.Speech) -> Bool {
        guard case .name(let spoken) = speech, let name = DomainName(ascii: spoken.name) else { return false }
        return connection.allowedName == name
    }

    /// Has a connection go on, or not, after what somebody else has judged.
    func answer(_ connection: CheckedConnection, isAllowed: Bool) {
        guard connections[connection.token] != nil, let question = connection.question else { return }
        connection.question = nil
        guard isAllowed else { return refuse(connection, attempt(connection, question.speech, [])) }
        if case .nothing = question.speech {
            connection.isOpaque = true
        } else {
            pass(connection, question.count)
        }
        advance(connection, isServer: false, [])
    }

    /// Lets a connection pass unread from its beginning.
    func letPass(_ connection: CheckedConnection) {
        let rules = registry.rules(of: connection.endpoint, holding: connection.destination.address, by: nil, now: now)
        let attempt = attempt(connection, .nothing(.otherProtocol), rules)
        connection.allowed = attempt
        connection.isOpaque = true
        hooks.event(connection.endpoint, .relayed(attempt))
    }

    private func attempt(_ connection: CheckedConnection, _ speech: ConnectionAttempt.Speech, _ rules: [Int])
        -> ConnectionAttempt
    {
        attempt(
            connection.endpoint,
            ConnectionAttempt(
                source: connection.source, destination: connection.destination, speech: speech, rules: rules))
    }

    /// An attempt with the names that hold its address now, where none was said.
    func attempt(_ endpoint: Int, _ attempt: ConnectionAttempt) -> ConnectionAttempt {
        guard case .nothing = attempt.speech else { return attempt }
        var attempt = attempt
        let holders = registry.holders(of: attempt.destination.address, endpoint: endpoint, now: now)
        attempt.names = Swift.Set(holders.values)
        return attempt
    }

    /// Ends a connection: with a word to the client, if none of the server's has gone before.
    private func refuse(_ connection: CheckedConnection, _ attempt: ConnectionAttempt) {
        hooks.event(connection.endpoint, .refused(attempt))
        guard connection.allowed == nil, connection.client.output.isEmpty, let farewell = Farewell.bytes(attempt.speech)
        else { return close(connection, isReset: true) }
        connection.isRefused = true
        connection.pending = []
        connection.deadline = now + RelayLimits.farewell
        hurried.insert(connection.token)
        if connection.server.events != nil { loop.remove(connection.server.socket.descriptor) }
        connection.server.events = nil
        connection.server.socket.resetOnClose()
        connection.client.output = farewell
        connection.client.isToldEnd = false
        advance(connection, isServer: false, [])
    }
}

/// What a refused client is told, in its own protocol.
enum Farewell {
    static func bytes(_ speech: ConnectionAttempt.Speech) -> [UInt8]? {
        guard case .name(let spoken) = speech else { return nil }
        switch spoken.version {
        // A fatal alert: unrecognized_name (RFC 6066, section 3).
        case .tls: return [21, 3, 3, 0, 2, 2, 112]
        case .http1:
            let text = "egret: no rule allows \(spoken.name) at this address\n"
            let head = "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: \(text.utf8.count)\r\n"
            return Array((head + "Connection: close\r\n\r\n" + text).utf8)
        case .http2: return nil
        }
    }
}
