// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Reads every name that a client says on a connection, and tells which bytes may pass before the next is judged.
///
/// It is fed the bytes that have not passed yet, from the first of them on, whenever there are more:
///
/// ```
///   client's bytes ──► [ not passed yet ] ── next ──► name: judge it, then let so many bytes pass
///                                                 ──► pass: let so many bytes pass
///                                                 ──► needsMore, opaque, none …
/// ```
///
/// A TLS connection says one name, in one hello or, if the server wants so, in two. In HTTP every request says one. It
/// never traps, and holds little more than its caller does.
public struct SpokenNameReader: Sendable {
    /// The most bytes that are held back for a name.
    public static let longestGreeting = 65_536

    /// What there is to do.
    public enum Step: Hashable, Sendable {
        /// Nothing, until there are more bytes.
        case needsMore
        /// So many bytes say a name. If it is allowed, they pass.
        case name(SpokenName, count: Int, Upgrade)
        /// So many bytes say nothing; they pass.
        case pass(Int)
        /// The client asked for another protocol: the server's answer decides. Nothing passes before
        /// ``SpokenNameReader/serverAnswered(with:)``.
        case awaitsServer
        /// Everything from here on passes: no name will be said that could be read.
        case opaque
        /// There is no name, and there will be none: nothing passes.
        case none(Greeting.Absence)
    }

    /// What a request asks the server to speak from then on.
    public enum Upgrade: Hashable, Sendable {
        /// The same as before.
        case none
        /// HTTP/2.
        case http2
        /// WebSocket, which is not read: it has messages between the client and this server alone (RFC 6455).
        case webSocket
    }

    private enum State {
        case start
        case hello(HelloAssembler, taken: Int)
        /// Behind a hello, until the server has spoken: it may want a second one.
        case secondHello(HelloAssembler, taken: Int, SpokenName)
        case http1(HTTP1Requests)
        case http2(HTTP2Requests)
        case awaitsServer(HTTP1Requests, Upgrade)
        case opaque
        case failed(Greeting.Absence)
    }

    private let allowed: Swift.Set<GreetingProtocol>
    private var state = State.start

    /// Starts at a connection's first byte.
    ///
    /// - Parameter allowed: The protocols that are read; others are ``Greeting/Absence/otherProtocol``.
    public init(_ allowed: Swift.Set<GreetingProtocol> = Swift.Set(GreetingProtocol.allCases)) {
        self.allowed = allowed
    }

    /// Says what there is to do next.
    ///
    /// - Parameter pending: All bytes that have come and not passed. The caller lets pass what a step says before it asks
    ///   again.
    /// - Returns: The step. After `needsMore` there is none before more bytes come.
    public mutating func next(_ pending: ArraySlice<UInt8>) -> Step {
        do throws(GreetingFailure) {
            let step = try step(pending)
            if step == .needsMore, pending.count >= SpokenNameReader.longestGreeting { throw GreetingFailure(.tooLong) }
            return step
        } catch {
            state = .failed(error.absence)
            return .none(error.absence)
        }
    }

    private mutating func step(_ pending: ArraySlice<UInt8>) throws(GreetingFailure) -> Step {
        if case .failed(let absence) = state { return .none(absence) }
        if case .opaque = state { return .opaque }
        if case .awaitsServer = state { return .awaitsServer }
        guard let first = pending.first else { return .needsMore }
        switch state {
        case .start:
            guard let found = try SpokenNameReader.begin(first, pending, allowed) else { return .needsMore }
            state = found
            return try step(pending)
        case .hello(var assembler, let taken):
            guard let (name, rest) = try assembler.append(pending.dropFirst(taken)) else {
                state = .hello(assembler, taken: pending.count)
                return .needsMore
            }
            state = .secondHello(HelloAssembler(skipsOtherRecords: true), taken: 0, name)
            return .name(name, count: pending.count - rest, .none)
        case .secondHello(var assembler, let taken, let first):
            return try secondHello(pending, &assembler, taken, first)
        case .http1(var requests):
            if requests.mayTurnToHTTP2, let isPreface = HTTP2Requests.begins(pending) {
                guard isPreface else { return .needsMore }
                guard allowed.contains(.http2) else { throw GreetingFailure(.otherProtocol) }
                state = .http2(HTTP2Requests())
                return try self.step(pending)
            }
            let step = try requests.next(pending)
            state = .http1(requests)
            if case .name(_, _, let upgrade) = step, upgrade != .none { state = .awaitsServer(requests, upgrade) }
            return step
        case .http2(var requests):
            let step = try requests.next(pending)
            state = .http2(requests)
            return step
        case .awaitsServer, .opaque, .failed: return .needsMore
        }
    }

    /// Tells the protocol by its beginning.
    private static func begin(
        _ first: UInt8, _ pending: ArraySlice<UInt8>, _ allowed: Swift.Set<GreetingProtocol>
    ) throws(GreetingFailure) -> State? {
        let kind: GreetingProtocol
        if first == 22 {
            kind = .tls
        } else if let isPreface = HTTP2Requests.begins(pending) {
            guard isPreface else { return nil }
            kind = .http2
        } else {
            kind = .http1
        }
        guard allowed.contains(kind) else { throw GreetingFailure(.otherProtocol) }
        switch kind {
        case .tls: return .hello(HelloAssembler(), taken: 0)
        case .http1: return .http1(HTTP1Requests())
        case .http2: return .http2(HTTP2Requests())
        }
    }

    /// Reads on after a hello. Early data passes; a second hello must say the first one's name.
    private mutating func secondHello(
        _ pending: ArraySlice<UInt8>, _ assembler: inout HelloAssembler, _ taken: Int, _ first: SpokenName
    ) throws(GreetingFailure) -> Step {
        if let (name, rest) = try assembler.append(pending.dropFirst(taken)) {
            guard name.name == first.name else { throw GreetingFailure(.severalNames) }
            state = .opaque
            return .pass(pending.count - rest)
        }
        if assembler.hasBegun {
            state = .secondHello(assembler, taken: pending.count, first)
            return .needsMore
        }
        state = .secondHello(assembler, taken: 0, first)
        return .pass(pending.count)
    }

    /// Whether the server's first bytes matter: for ``serverAnswered(with:)``.
    public var awaitsAnswer: Bool {
        switch state {
        case .secondHello, .awaitsServer: true
        default: false
        }
    }

    /// Takes the first bytes that the server has sent on the connection, all of them at each call.
    ///
    /// Call it for as long as ``awaitsAnswer`` says so; 43 bytes are enough. Then ask for the next step again.
    public mutating func serverAnswered(with bytes: some RandomAccessCollection<UInt8>) {
        switch state {
        case .secondHello(_, let taken, _):
            // Behind what is held back of a second hello nothing is let pass unread.
            if taken == 0, ServerHello.isRetry(bytes) == false { state = .opaque }
        case .awaitsServer(let requests, let upgrade):
            let switched = Array("HTTP/1.1 101".utf8)
            if bytes.count < switched.count, bytes.elementsEqual(switched.prefix(bytes.count)) { return }
            if !bytes.starts(with: switched) {
                state = .http1(requests)
            } else if upgrade == .http2, allowed.contains(.http2) {
                state = .http2(HTTP2Requests())
            } else {
                state = upgrade == .webSocket ? .opaque : .failed(.otherProtocol)
            }
        default: break
        }
    }
}
