// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretGreetingWire
import EgretLinux

extension RelayLoop {
    /// Does what can be done now that an end is ready.
    func advance(_ connection: CheckedConnection, isServer: Bool, _ events: EventLoop.Events) {
        do throws(LinuxError) {
            if isServer && !connection.isConnected && !connection.isRefused {
                guard try finishConnecting(connection, events) else { return }
            }
            if events.contains(.error),
                let error = (isServer ? connection.server : connection.client).socket.takeError()
            {
                throw LinuxError(error, operation: "relay")
            }
            if connection.isRefused {
                try bidFarewell(connection)
            } else {
                let canRead = events.contains(.readable) || events.contains(.hungUp)
                try passUp(connection, canRead: canRead && !isServer)
                guard connections[connection.token] != nil, !connection.isRefused else { return }
                try passDown(connection, canRead: canRead && isServer)
            }
        } catch {
            // What broke one end breaks the other, and in the same way.
            return close(connection, isReset: true)
        }
        settle(connection)
    }

    /// Whether the connection to the server is there now.
    private func finishConnecting(_ connection: CheckedConnection, _ events: EventLoop.Events) throws(LinuxError)
        -> Bool
    {
        if let error = connection.server.socket.takeError() {
            hooks.event(connection.endpoint, .unreachable(connection.destination, error))
            close(connection, isReset: true)
            return false
        }
        guard events.contains(.writable) else { return false }
        // From here the way to this host leads past what it lets in.
        if let own = try? connection.server.socket.ownAddress(), own.address == connection.destination.address {
            hooks.event(connection.endpoint, .denied(connection.destination))
            close(connection, isReset: true)
            return false
        }
        connection.isConnected = true
        return true
    }

    /// From the client to the server.
    private func passUp(_ connection: CheckedConnection, canRead: Bool) throws(LinuxError) {
        let (client, server) = (connection.client, connection.server)
        if connection.splicesUp {
            try splice(from: client, to: server, canRead: canRead)
        } else {
            if canRead, !client.isEnded, connection.roomUp > 0 {
                if let bytes = try client.socket.receive(upTo: connection.roomUp) {
                    client.isEnded = bytes.isEmpty
                    connection.pending += bytes
                    keepHistory(connection, bytes)
                }
            }
            read(connection)
            guard connections[connection.token] != nil, !connection.isRefused else { return }
            if client.isEnded, connection.allowed == nil {
                // It says no name any more: what it has said passes as it is, or not at all.
                judge(connection, .nothing(.silent))
                guard connections[connection.token] != nil, !connection.isRefused else { return }
                read(connection)
            }
            if connection.isConnected {
                let before = server.output.count
                try write(server)
                connection.passed += before - server.output.count
            }
            // It ended in the middle of saying a name: that does not pass. Nor does what waits for an answer of a server
            // that has ended.
            let isHeldBack = connection.question != nil || (connection.reader.awaitsAnswer && !server.isEnded)
            if client.isEnded, !isHeldBack { connection.pending = [] }
        }
        guard client.isEnded, !server.isToldEnd, connection.isConnected else { return }
        if connection.pending.isEmpty && server.output.isEmpty && (client.pipe?.count ?? 0) == 0 {
            server.socket.endWriting()
            server.isToldEnd = true
        }
    }

    /// From the server to the client: not before it is known whom the client has asked for.
    private func passDown(_ connection: CheckedConnection, canRead: Bool) throws(LinuxError) {
        guard connection.allowed != nil else { return }
        let (client, server) = (connection.client, connection.server)
        if canRead {
            connection.hasHeardServer = true
            if !connection.isOpaque { connection.history = nil }
        }
        if connection.splicesDown {
            try splice(from: server, to: client, canRead: canRead)
        } else {
            if canRead, !server.isEnded, connection.isConnected, connection.roomDown > 0 {
                if let bytes = try server.socket.receive(upTo: connection.roomDown) {
                    server.isEnded = bytes.isEmpty
                    client.output += bytes
                    if connection.reader.awaitsAnswer, connection.serverHead.count < 43 {
                        connection.serverHead += bytes.prefix(43 - connection.serverHead.count)
                        connection.reader.serverAnswered(with: connection.serverHead)
                        try passUp(connection, canRead: false)
                        guard connections[connection.token] != nil, !connection.isRefused else { return }
                    }
                }
            }
            try write(client)
        }
        guard server.isEnded else { return }
        if client.isEnded, connection.reader.awaitsAnswer, !server.isToldEnd {
            try passUp(connection, canRead: false)
            guard connections[connection.token] != nil, !connection.isRefused else { return }
        }
        guard !client.isToldEnd else { return }
        if client.output.isEmpty && (server.pipe?.count ?? 0) == 0 {
            client.socket.endWriting()
            client.isToldEnd = true
        }
    }

    /// Keeps what a client says for who takes its connection over, as long as it can be taken over.
    private func keepHistory(_ connection: CheckedConnection, _ bytes: [UInt8]) {
        guard let count = connection.history?.count else { return }
        if connection.isOpaque || count + bytes.count > RelayMessage.mostBytes {
            connection.history = nil
        } else {
            connection.history? += bytes
        }
    }

    private func write(_ side: CheckedConnection.Side) throws(LinuxError) {
        guard !side.output.isEmpty else { return }
        let sent = try side.socket.send(side.output[...])
        side.output.removeFirst(sent)
    }

    /// Moves bytes inside the kernel, as long as there are some and room for them, within the round's share.
    private func splice(from source: CheckedConnection.Side, to sink: CheckedConnection.Side, canRead: Bool)
        throws(LinuxError)
    {
        if source.pipe == nil, canRead { source.pipe = try? SplicePipe(capacity: RelayLimits.pipe) }
        guard let pipe = source.pipe else {
            // For want of descriptors.
            source.copies = canRead
            return
        }
        try pipe.drain(to: sink.socket)
        guard canRead else { return }
        moving: for _ in 0..<RelayLimits.moves where !source.isEnded && pipe.count == 0 {
            switch try pipe.fill(from: source.socket) {
            case .nothing: break moving
            case .ended: source.isEnded = true
            case .moved(let count):
                source.moved = min(source.moved + count, RelayLimits.largeTransfer)
                try pipe.drain(to: sink.socket)
            }
        }
        if source.moved >= RelayLimits.largeTransfer, !source.hasLargePipe, largePipes < RelayLimits.largePipes {
            source.hasLargePipe = true
            largePipes += 1
            pipe.grow(to: RelayLimits.largePipe)
        }
    }

    /// Has the refused client take its answer, and then its leave.
    private func bidFarewell(_ connection: CheckedConnection) throws(LinuxError) {
        let client = connection.client
        try write(client)
        if client.output.isEmpty && !client.isToldEnd {
            client.socket.endWriting()
            client.isToldEnd = true
        }
        for _ in 0..<RelayLimits.moves where !client.isEnded {
            guard let bytes = try client.socket.receive(upTo: RelayLimits.read) else { return }
            client.isEnded = bytes.isEmpty
        }
    }

    /// Waits for what is wanted next, or closes what is done.
    func settle(_ connection: CheckedConnection) {
        guard connections[connection.token] != nil else { return }
        let (client, server) = (connection.client, connection.server)
        if client.isDone && (server.isDone || connection.isRefused) { return close(connection, isReset: false) }
        if handOver(connection) { return }
        var (wantsClient, wantsServer): (EventLoop.Events, EventLoop.Events) = ([], [])
        if !client.isEnded {
            let isRoom = connection.splicesUp ? (client.pipe?.count ?? 0) == 0 : connection.roomUp > 0
            if isRoom || connection.isRefused { wantsClient.insert(.readable) }
        }
        if !client.output.isEmpty || (server.pipe?.count ?? 0) > 0 { wantsClient.insert(.writable) }
        if !connection.isRefused {
            if connection.isConnected && !server.isEnded && connection.allowed != nil {
                let isRoom = connection.splicesDown ? (server.pipe?.count ?? 0) == 0 : connection.roomDown > 0
                if isRoom { wantsServer.insert(.readable) }
            }
            if !connection.isConnected || !server.output.isEmpty || (client.pipe?.count ?? 0) > 0 {
                wantsServer.insert(.writable)
            }
        }
        wait(client, wantsClient, connection.token, isOver: client.isDone)
        wait(server, wantsServer, connection.token + 1, isOver: server.isDone || connection.isRefused)
    }

    private func wait(_ side: CheckedConnection.Side, _ events: EventLoop.Events, _ token: UInt64, isOver: Bool) {
        // An end that has hung up would be ready again and again, also while nothing is wanted of it.
        if isOver || events.isEmpty {
            if side.events != nil { loop.remove(side.socket.descriptor) }
            side.events = nil
        } else if side.events == nil {
            if (try? loop.add(side.socket.descriptor, events, token: token)) != nil { side.events = events }
        } else if side.events != events {
            try? loop.change(side.socket.descriptor, events, token: token)
            side.events = events
        }
    }
}
