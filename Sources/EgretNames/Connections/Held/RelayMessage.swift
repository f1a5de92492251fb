// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretGreetingWire
import EgretLinux
import EgretPolicy

/// What an agent and the process that holds connections say to each other, a message each.
///
/// ```
///   keeper ──► agent   greeting(version, next)  held(…) held(…) …  listed   ended(number)   asks(number, speech)
///   agent ──► keeper   take(…)+2 descriptors   end(number)   endAll   judged(number, …)   answer(number, allowed)
/// ```
///
/// The first byte says which it is. `greeting` and `endAll` are the same in all versions, so that an agent that does not know the
/// keeper's version can end what it could not judge.
enum RelayMessage: Hashable, Sendable {
    /// The keeper's first: its version, and the number of the next connection.
    case greeting(version: UInt16, next: UInt64)
    /// A connection that the keeper has.
    case held(HeldConnection)
    /// That was all it has.
    case listed
    /// A connection has ended, and what it has moved, as the client's end saw it.
    case ended(UInt64, InternetSocket.Volume?)
    /// The client of a connection says something that was not judged yet.
    case asks(UInt64, ConnectionAttempt.Speech)

    /// The agent hands over a connection: the client's descriptor comes with it, and the server's.
    case take(HeldConnection, HandedState)
    /// A connection is to be reset.
    case end(UInt64)
    /// All of them are.
    case endAll
    /// A connection was judged again.
    case judged(UInt64, moment: Int64, until: Int64?)
    /// Whether a connection may go on.
    case answer(UInt64, isAllowed: Bool)

    /// The version of all but what is the same in all.
    static let version: UInt16 = 1
    /// The most bytes of a message.
    static let largest = 160 * 1_024
    /// The most bytes that come with a connection which changes hands, of both directions.
    static let mostBytes = 128 * 1_024
    /// The most rules, and names, that come with a connection.
    static let mostRules = 1_024

    private enum Kind: UInt8 {
        case greeting = 1
        case held
        case listed
        case ended
        case asks
        case take = 16
        case end
        case endAll
        case judged
        case answer
    }

    private var kind: Kind {
        switch self {
        case .greeting: .greeting
        case .held: .held
        case .listed: .listed
        case .ended: .ended
        case .asks: .asks
        case .take: .take
        case .end: .end
        case .endAll: .endAll
        case .judged: .judged
        case .answer: .answer
        }
    }

    /// The message's bytes.
    var bytes: [UInt8] {
        var writer = RelayWriter()
        writer.put(kind.rawValue)
        switch self {
        case .greeting(let version, let next):
            writer.put(version)
            writer.put(next)
        case .held(let connection): writer.put(connection)
        case .listed, .endAll: break
        case .ended(let number, let volume):
            writer.put(number)
            writer.put(volume != nil)
            if let volume {
                for count in [
                    volume.bytesReceived, volume.segmentsReceived, volume.bytesSent, volume.segmentsSent,
                ] { writer.put(count) }
            }
        case .asks(let number, let speech):
            writer.put(number)
            writer.put(speech)
        case .take(let connection, let state):
            writer.put(connection)
            writer.put(state)
        case .end(let number): writer.put(number)
        case .judged(let number, let moment, let until):
            writer.put(number)
            writer.put(moment)
            writer.put(time: until)
        case .answer(let number, let isAllowed):
            writer.put(number)
            writer.put(isAllowed)
        }
        return writer.bytes
    }

    /// Reads a message.
    ///
    /// - Throws: An error if it is none of this version.
    init(_ bytes: ArraySlice<UInt8>) throws(RelayFormatError) {
        var reader = RelayReader(bytes)
        guard let kind = Kind(rawValue: try reader.number()) else { throw RelayFormatError() }
        switch kind {
        case .greeting:
            let version: UInt16 = try reader.number()
            self = .greeting(version: version, next: try reader.number())
            // Another version may say more.
            if version != RelayMessage.version { return }
        case .held: self = .held(try reader.connection())
        case .listed: self = .listed
        case .ended:
            let number: UInt64 = try reader.number()
            var volume: InternetSocket.Volume?
            if try reader.flag() { volume = try reader.volume() }
            self = .ended(number, volume)
        case .asks:
            let number: UInt64 = try reader.number()
            self = .asks(number, try reader.speech())
        case .take:
            let connection = try reader.connection()
            self = .take(connection, try reader.state())
        case .end: self = .end(try reader.number())
        case .endAll: self = .endAll
        case .judged:
            let number: UInt64 = try reader.number()
            let moment: Int64 = try reader.number()
            self = .judged(number, moment: moment, until: try reader.time())
        case .answer:
            let number: UInt64 = try reader.number()
            self = .answer(number, isAllowed: try reader.flag())
        }
        guard reader.isAtEnd else { throw RelayFormatError() }
    }
}

extension RelayWriter {
    fileprivate mutating func put(_ address: SocketAddress) {
        put(address.isIPv6)
        put(address.high)
        put(address.low)
        put(address.scope)
        put(address.port)
    }

    fileprivate mutating func put(_ version: GreetingProtocol) {
        switch version {
        case .tls: put(UInt8(0))
        case .http1: put(UInt8(1))
        case .http2: put(UInt8(2))
        }
    }

    fileprivate mutating func put(_ speech: ConnectionAttempt.Speech) {
        switch speech {
        case .name(let spoken):
            put(true)
            put(spoken.version)
            put(spoken.name)
            put(spoken.hasEncryptedName)
        case .nothing(let absence):
            put(false)
            put(absence.rawValue)
        }
    }

    fileprivate mutating func put(time: Int64?) {
        put(time != nil)
        if let time { put(time) }
    }

    fileprivate mutating func put(_ connection: HeldConnection) {
        put(connection.number)
        let attempt = connection.attempt
        put(attempt.source)
        put(attempt.destination)
        put(attempt.speech)
        put(UInt32(clamping: attempt.rules.count))
        for rule in attempt.rules { put(Int64(rule)) }
        put(UInt32(clamping: attempt.names.count))
        for name in attempt.names.map(\.text).sorted() { put(name) }
        put(connection.link)
        put(time: connection.moment)
        put(time: connection.until)
        put(connection.wayMark != nil)
        if let mark = connection.wayMark { put(mark) }
    }

    fileprivate mutating func put(_ state: HandedState) {
        put(UInt8(clamping: state.protocols.count))
        for version in GreetingProtocol.allCases where state.protocols.contains(version) { put(version) }
        for flag in [
            state.isOpaque, state.hasClientEnded, state.hasServerEnded, state.isClientTold, state.isServerTold,
        ] { put(flag) }
        put(UInt32(clamping: state.passed))
        put(state.fromClient)
        put(state.fromServer)
    }
}

extension RelayReader {
    fileprivate mutating func address() throws(RelayFormatError) -> SocketAddress {
        let isIPv6 = try flag()
        let (high, low): (UInt64, UInt64) = (try number(), try number())
        let scope: UInt32 = try number()
        let port: UInt16 = try number()
        if isIPv6 { return SocketAddress(ipv6: UInt128(high) << 64 | UInt128(low), port: port, scope: scope) }
        guard high == 0, scope == 0, let address = UInt32(exactly: low) else { throw RelayFormatError() }
        return SocketAddress(ipv4: address, port: port)
    }

    fileprivate mutating func version() throws(RelayFormatError) -> GreetingProtocol {
        switch try number(UInt8.self) {
        case 0: return .tls
        case 1: return .http1
        case 2: return .http2
        default: throw RelayFormatError()
        }
    }

    fileprivate mutating func speech() throws(RelayFormatError) -> ConnectionAttempt.Speech {
        if try flag() {
            let version = try version()
            let name = try text()
            return .name(SpokenName(name, version, hasEncryptedName: try flag()))
        }
        guard let absence = Greeting.Absence(rawValue: try text()) else { throw RelayFormatError() }
        return .nothing(absence)
    }

    /// A number of things, of which there are not too many.
    private mutating func count() throws(RelayFormatError) -> Int {
        let count = Int(try number(UInt32.self))
        guard count <= RelayMessage.mostRules else { throw RelayFormatError() }
        return count
    }

    fileprivate mutating func time() throws(RelayFormatError) -> Int64? {
        guard try flag() else { return nil }
        return try number(Int64.self)
    }

    fileprivate mutating func connection() throws(RelayFormatError) -> HeldConnection {
        let number: UInt64 = try number()
        let (source, destination) = (try address(), try address())
        let speech = try speech()
        var rules: [Int] = []
        for _ in 0..<(try count()) { rules.append(Int(try self.number(Int64.self))) }
        var names: Swift.Set<DomainName> = []
        for _ in 0..<(try count()) {
            guard let name = DomainName(ascii: try text()) else { throw RelayFormatError() }
            names.insert(name)
        }
        var connection = HeldConnection(
            number: number,
            attempt: ConnectionAttempt(
                source: source, destination: destination, speech: speech, rules: rules, names: names),
            link: try text())
        connection.moment = try time()
        connection.until = try time()
        if try flag() { connection.wayMark = try self.number(UInt32.self) }
        return connection
    }

    fileprivate mutating func state() throws(RelayFormatError) -> HandedState {
        var state = HandedState()
        for _ in 0..<(try number(UInt8.self)) { state.protocols.insert(try version()) }
        state.isOpaque = try flag()
        state.hasClientEnded = try flag()
        state.hasServerEnded = try flag()
        state.isClientTold = try flag()
        state.isServerTold = try flag()
        state.passed = Int(try number(UInt32.self))
        state.fromClient = try bytes()
        state.fromServer = try bytes()
        guard state.passed <= state.fromClient.count,
            state.fromClient.count + state.fromServer.count <= RelayMessage.mostBytes
        else { throw RelayFormatError() }
        return state
    }

    fileprivate mutating func volume() throws(RelayFormatError) -> InternetSocket.Volume {
        let (bytesReceived, segmentsReceived): (UInt64, UInt64) = (try number(), try number())
        let (bytesSent, segmentsSent): (UInt64, UInt64) = (try number(), try number())
        return InternetSocket.Volume(
            bytesReceived: bytesReceived, segmentsReceived: segmentsReceived, bytesSent: bytesSent,
            segmentsSent: segmentsSent)
    }
}
