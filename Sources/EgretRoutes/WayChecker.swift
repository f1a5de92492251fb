// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux
import EgretPolicy

/// Asks for one way's health, time and again, by the way itself.
struct WayChecker {
    /// How often an open question is looked at.
    static let look = Duration.milliseconds(10)

    /// When there is something to do next.
    private(set) var due: MonotonicInstant

    private let check: RouteCheck
    /// The path that questions take from now on.
    var path: ProbeSocket.Path
    private let identifier: UInt16
    private var sequence: UInt16 = 0
    private var open: (socket: ProbeSocket, deadline: MonotonicInstant)?
    /// The request that has been sent on the open connection.
    private var exchange: HTTPExchange?
    private var nextQuestion: MonotonicInstant

    init(_ check: RouteCheck, by path: ProbeSocket.Path, identifier: UInt16, from now: MonotonicInstant) {
        self.check = check
        self.path = path
        self.identifier = identifier
        due = now
        nextQuestion = now
    }

    /// Does what is due.
    ///
    /// - Returns: Whether a question was answered, or was not in its time; `nil` if none has come to its end.
    mutating func serve(now: MonotonicInstant) -> Bool? {
        guard due <= now else { return nil }
        var outcome: Bool?
        if let (socket, deadline) = open {
            // A failure of the socket, such as "no route", is no answer: the question waits for its time to be over.
            let answer = (try? isAnswered(socket)) ?? nil
            if answer == nil, now < deadline {
                due = now + WayChecker.look
                return nil
            }
            outcome = answer ?? false
            open = nil
            exchange = nil
        } else if nextQuestion <= now {
            sequence &+= 1
            nextQuestion = now + .milliseconds(Int64(clamping: check.interval))
            guard let socket = try? ask() else {
                due = nextQuestion
                return false
            }
            open = (socket, now + .milliseconds(Int64(clamping: check.timeout)))
            due = now + .milliseconds(1)
            return nil
        }
        due = nextQuestion
        return outcome
    }

    private func ask() throws(LinuxError) -> ProbeSocket {
        let isIPv6 = check.address.family == .ipv6
        let bytes = check.address.networkBytes
        switch check.probe {
        case .tcp(_, let port), .http(_, let port, _):
            let socket = try ProbeSocket(.tcp, isIPv6: isIPv6, by: path)
            try socket.connect(to: bytes, port: port)
            return socket
        case .icmp:
            let socket = try ProbeSocket(.echo, isIPv6: isIPv6, by: path)
            try socket.connect(to: bytes, port: 0)
            try socket.send(echo.request)
            return socket
        }
    }

    private var echo: EchoMessage {
        EchoMessage(family: check.address.family, identifier: identifier, sequence: sequence)
    }

    private mutating func isAnswered(_ socket: ProbeSocket) throws(LinuxError) -> Bool? {
        switch check.probe {
        case .tcp: return try socket.isAccepted()
        case .icmp:
            while let packet = try socket.receive() {
                if echo.isReply(packet) { return true }
            }
            return nil
        case .http(let address, let port, let path):
            guard var exchange else {
                guard let isAccepted = try socket.isAccepted() else { return nil }
                if !isAccepted { return false }
                let exchange = HTTPExchange(address: address, port: port, path: path)
                try socket.send(exchange.request)
                self.exchange = exchange
                return nil
            }
            guard let bytes = try socket.receive() else { return nil }
            let answer = exchange.note(bytes)
            self.exchange = exchange
            return answer
        }
    }
}

extension MonotonicInstant {
    static func + (instant: MonotonicInstant, duration: Duration) -> MonotonicInstant {
        let (seconds, attoseconds) = duration.components
        let nanoseconds = UInt64(clamping: seconds).multipliedReportingOverflow(by: 1_000_000_000).partialValue
        return MonotonicInstant(
            nanoseconds: instant.nanoseconds &+ nanoseconds &+ UInt64(clamping: attoseconds / 1_000_000_000))
    }
}

extension IPAddress {
    /// The address as packets have it: 4 or 16 bytes.
    var networkBytes: [UInt8] {
        let count = family.bitWidth / 8
        return (0..<count).map { UInt8(truncatingIfNeeded: rawValue >> UInt128(8 * (count - 1 - $0))) }
    }
}
