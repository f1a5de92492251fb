// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc

/// What is sent back and forth.
enum TrafficKind: String, CaseIterable, ExpressibleByArgument {
    /// Round trips of one datagram.
    case udp
    /// Round trips over one connection.
    case tcp
    /// Connect, one round trip, close.
    case connect
    /// Datagrams one way, as fast as they go.
    case flood
}

/// The first byte of a datagram.
private enum Mark: UInt8 {
    case echo, count, tell
}

/// `egret-bench serve`: answers `ask`, until it is killed.
struct Serve: ParsableCommand {
    @Option var address = "0.0.0.0"
    @Option var port: UInt16 = 7001
    @Flag(help: "Datagrams; streams without it.") var datagrams = false

    func run() throws {
        let socket = try Sockets.make(datagrams: datagrams)
        try Sockets.bind(socket, address, port)
        if datagrams { serveDatagrams(socket) }
        _ = try Sockets.check(Int(listen(socket, 1024)), "listen")
        var bytes = [UInt8](repeating: 0, count: 2048)
        while true {
            let peer = accept(socket, nil, nil)
            guard peer >= 0 else { continue }
            var one: Int32 = 1
            unsafe setsockopt(peer, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
            while true {
                let count = Sockets.receive(peer, &bytes)
                guard count > 0, Sockets.send(peer, Array(bytes.prefix(count))) > 0 else { break }
            }
            close(peer)
        }
    }

    private func serveDatagrams(_ socket: Int32) -> Never {
        var bytes = [UInt8](repeating: 0, count: 2048)
        var counted: UInt32 = 0
        while true {
            Sockets.serve(socket, &bytes) { bytes, count in
                switch Mark(rawValue: bytes[0]) {
                case .count:
                    counted &+= 1
                    return nil
                case .tell:
                    for index in 0..<4 { bytes[index] = UInt8(truncatingIfNeeded: counted >> UInt32(8 * index)) }
                    counted = 0
                    return 4
                case .echo, nil: return count
                }
            }
        }
    }
}

/// `egret-bench ask`: sends for a while and prints the time of one operation.
struct Ask: ParsableCommand {
    @Option var address: String
    @Option var port: UInt16 = 7001
    @Option var kind: TrafficKind
    @Option var milliseconds = 250

    func run() throws {
        let patience = Duration.milliseconds(milliseconds)
        switch kind {
        case .udp, .tcp: try roundTrips(patience, datagrams: kind == .udp)
        case .connect: try connections(patience)
        case .flood: try flood(patience)
        }
    }

    private func roundTrips(_ patience: Duration, datagrams: Bool) throws {
        let socket = try Sockets.make(datagrams: datagrams)
        try Sockets.connect(socket, address, port)
        // The first round trip opens the connection; the next warm the caches.
        for _ in 0..<50 { try roundTrip(socket) }
        try report(patience) { try roundTrip(socket) }
    }

    private func connections(_ patience: Duration) throws {
        try report(patience) {
            let socket = try Sockets.make(datagrams: false)
            try Sockets.connect(socket, address, port)
            try roundTrip(socket)
            close(socket)
        }
    }

    private func flood(_ patience: Duration) throws {
        let socket = try Sockets.make(datagrams: true)
        try Sockets.connect(socket, address, port)
        _ = try ask(socket)
        let packet = [Mark.count.rawValue] + [UInt8](repeating: 0, count: 17)
        let start = ContinuousClock.now
        while start.duration(to: .now) < patience {
            for _ in 0..<64 { _ = Sockets.send(socket, packet) }
        }
        let sending = start.duration(to: .now).seconds
        let arrived = try ask(socket)
        Measurement.report(["nanoseconds": sending / Double(max(1, arrived)) * 1e9, "count": Double(arrived)])
    }

    /// Asks the server how many datagrams it has counted.
    private func ask(_ socket: Int32) throws -> UInt32 {
        var answer = [UInt8](repeating: 0, count: 64)
        for _ in 0..<5 {
            _ = Sockets.send(socket, [Mark.tell.rawValue, 0, 0, 0])
            if Sockets.receive(socket, &answer) == 4 {
                return (0..<4).reduce(0) { $0 | UInt32(answer[$1]) << UInt32(8 * $1) }
            }
        }
        throw ValidationError("no answer from \(address)")
    }

    private func roundTrip(_ socket: Int32) throws {
        var bytes = [UInt8](repeating: 0, count: 64)
        guard Sockets.send(socket, bytes) == 64, Sockets.receive(socket, &bytes) > 0 else {
            throw ValidationError("no answer from \(address)")
        }
    }

    private func report(_ patience: Duration, _ operation: () throws -> Void) throws {
        let start = ContinuousClock.now
        var count = 0
        while start.duration(to: .now) < patience {
            try operation()
            count += 1
        }
        let taken = start.duration(to: .now).seconds
        Measurement.report(["nanoseconds": taken / Double(max(1, count)) * 1e9, "count": Double(count)])
    }
}
