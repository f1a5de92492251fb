// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretLinux
import Synchronization

/// A transparent resolver: it answers, in the place of whatever server an endpoint asks, what the endpoint's rules allow.
///
/// The kernel leads the endpoints' traffic to port 53 here by destination NAT, of UDP and TCP, to an own address of the
/// family and to ``port``; where it was going is asked of connection tracking. Answers then come from the address that was
/// asked, without more ado. What comes without such a translation is not answered, nor what comes from an address of no
/// endpoint. When the process ends, names no longer resolve, and nothing opens.
///
/// It is one thread, in the network namespace in which it was started.
public final class NameProxy: Sendable {
    /// What the proxy calls, on its own thread: the calls hold up every other question meanwhile.
    public struct Hooks: Sendable {
        /// Puts endpoints' grants where their rules look, of each endpoint all or none, and returns when the kernel has
        /// acknowledged: why those endpoints have none that have none. It is called only while the rules that gave them are in
        /// force: see ``NameRegistry/changing(_:)``.
        public var commit: @Sendable (_ lots: [NameLot]) -> [Int: any Error]
        /// Has whoever counts what goes to names know their addresses, before ``commit`` opens any of them: with what ``note``
        /// is given afterwards. When it throws, nothing is opened, and the answer does not go out.
        public var prepare: @Sendable (_ endpoint: Int, _ holdings: Swift.Set<NameHolding>) throws -> Void
        /// Notes what answers give an endpoint where it outlives the process, after ``commit``: also what the kernel has already,
        /// by another name, and the addresses of counted names that no rule is about. Answers go out when it returns.
        public var note: @Sendable (_ endpoint: Int, _ holdings: Swift.Set<NameHolding>) throws -> Void
        /// By which way a question leaves that an endpoint asks of a server, over TCP (`isStream`) or UDP. What others are asked
        /// in that one's place is the host's own, and goes by the main table.
        public var departure: @Sendable (_ client: IPAddress, _ server: SocketAddress, _ isStream: Bool) -> Departure
        /// Is told what happens to an endpoint's questions.
        public var event: @Sendable (_ endpoint: Int, _ event: NameEvent) -> Void
        /// Is told of each question that could be read.
        public var question: @Sendable (_ endpoint: Int) -> Void
        /// Is told of a question that is refused before anything of it leaves the host, or whose answer a rule or a limit keeps
        /// from the client, besides ``event``: with the server that was asked, over TCP (`isStream`) or UDP.
        public var refusal: @Sendable (_ endpoint: Int, _ why: NameEvent, _ server: IPAddress, _ isStream: Bool) -> Void
        /// Is told, at most once, that the proxy has ended by itself: nobody is answered from then on. What is asked waits in the
        /// sockets, which stay open until ``NameProxy/stop()``. The proxy must not be stopped in the call itself.
        public var failed: @Sendable (_ error: LinuxError) -> Void

        /// Creates hooks.
        public init(
            commit: @escaping @Sendable (_ lots: [NameLot]) -> [Int: any Error],
            prepare: @escaping @Sendable (_ endpoint: Int, _ holdings: Swift.Set<NameHolding>) throws -> Void = {
                _, _ in
            },
            note: @escaping @Sendable (_ endpoint: Int, _ holdings: Swift.Set<NameHolding>) throws -> Void = { _, _ in
            },
            departure: @escaping @Sendable (IPAddress, SocketAddress, Bool) -> Departure = { _, _, _ in .main },
            event: @escaping @Sendable (_ endpoint: Int, _ event: NameEvent) -> Void = { _, _ in },
            question: @escaping @Sendable (_ endpoint: Int) -> Void = { _ in },
            refusal: @escaping @Sendable (Int, NameEvent, IPAddress, Bool) -> Void = { _, _, _, _ in },
            failed: @escaping @Sendable (_ error: LinuxError) -> Void = { _ in }
        ) {
            self.commit = commit
            self.prepare = prepare
            self.note = note
            self.departure = departure
            self.event = event
            self.question = question
            self.refusal = refusal
            self.failed = failed
        }
    }

    /// The endpoints, and what they hold.
    public let registry: NameRegistry
    /// The port of all four sockets, UDP and TCP, IPv4 and IPv6.
    public let port: UInt16
    private let loop: EventLoop
    private let stage: ProxyStage
    private let thread: Mutex<WorkThread?>
    private let places: Mutex<[ListeningPlace: Descriptor]>

    /// The sockets, until the work has ended: whoever keeps copies of them open can hand them to another proxy.
    public var sockets: [ListeningPlace: Descriptor] { places.withLock { $0 } }

    /// Opens the sockets and starts to work.
    ///
    /// - Parameters:
    ///   - registry: The endpoints; they may come and go later.
    ///   - wanted: The port, 0 for one that is free.
    ///   - isTransparent: Whether questions may be translated to an address that is not this host's, if a routing rule has
    ///     them delivered here: needs `CAP_NET_ADMIN`.
    ///   - former: The sockets of a former proxy at the same port, to be used again: what waits there is answered. Those that
    ///     do not fit (``ListeningPlace/mismatch(of:port:isTransparent:)``) are left alone.
    ///   - isHeld: Whether nothing is read before ``begin()``: what asks before its endpoint is known gets no answer.
    ///   - trust: Whom servers over TLS must be vouched for by.
    ///   - laterTrust: Says so when such a server is asked for the first time, where `trust` does not. Without either none of them
    ///     is asked.
    ///   - pause: For how long others are asked first after a server was silent.
    ///   - hooks: What is called.
    /// - Throws: `LinuxError` if a socket cannot be had, or the port is taken. A host without IPv6 is none.
    public init(
        registry: NameRegistry, port wanted: UInt16 = 0, isTransparent: Bool = false,
        former: [ListeningPlace: Descriptor] = [:], isHeld: Bool = false, trust: ServerTrust? = nil,
        laterTrust: (@Sendable () throws -> ServerTrust)? = nil, pauseAfterSilence pause: Duration = .seconds(30),
        hooks: Hooks
    ) throws(LinuxError) {
        self.registry = registry
        loop = try EventLoop()
        let fitting = former.filter { place, socket in
            place.mismatch(of: socket, port: wanted, isTransparent: isTransparent) == nil
        }
        let sockets = try NameProxy.open(wanted, isTransparent, fitting)
        port = sockets.port
        places = Mutex(sockets.places)
        let stage = ProxyStage(isHeld ? .held : .working)
        self.stage = stage
        let work = try ProxyLoop(
            registry: registry, hooks: hooks, loop: loop, datagrams: sockets.datagrams, listeners: sockets.listeners,
            port: sockets.port, trust: trust, laterTrust: laterTrust,
            silentServers: SilentServers(pause: pause.milliseconds))
        let handle = CarriedWork(work)
        let started = try WorkThread("egret-names") { handle.work.run(stage) }
        thread = Mutex(started)
    }

    deinit { stop() }

    /// Whether it still waits for ``begin()``.
    public var isHeld: Bool { stage.step == .held }

    /// Begins to read, where the proxy was told to wait for that.
    public func begin() {
        if stage.begin() { loop.wake() }
    }

    /// Ends the work, and waits for it. Questions that wait get no answer.
    public func stop() {
        stage.stop()
        join()
    }

    /// Ends the work when every question that was read has its answer, and waits for that.
    ///
    /// Nothing more is taken from the sockets: who has them open too finds there what has come since. Connections of clients
    /// that were accepted are served until nothing more comes there.
    ///
    /// - Parameter limit: How long it may take. What has no answer then gets none.
    public func finish(within limit: Duration) {
        stage.finish(until: BootClock.milliseconds + limit.milliseconds)
        join()
    }

    private func join() {
        loop.wake()
        let started = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        started?.join()
        places.withLock { $0 = [:] }
    }

    private struct Sockets {
        var datagrams: [InternetSocket] = []
        var listeners: [InternetSocket] = []
        var places: [ListeningPlace: Descriptor] = [:]
        var port: UInt16

        mutating func add(_ datagrams: InternetSocket, _ place: ListeningPlace) {
            self.datagrams.append(datagrams)
            places[place] = datagrams.descriptor
        }

        mutating func add(listener: InternetSocket, _ place: ListeningPlace) {
            listeners.append(listener)
            places[place] = listener.descriptor
        }
    }

    /// Sockets of both families and protocols on one port.
    private static func open(_ wanted: UInt16, _ isTransparent: Bool, _ former: [ListeningPlace: Descriptor])
        throws(LinuxError) -> Sockets
    {
        func datagrams(_ place: ListeningPlace, _ port: UInt16) throws(LinuxError) -> InternetSocket {
            if let socket = former[place] { return try .datagrams(adopting: socket, receiveBuffer: 4 << 20) }
            return try .datagrams(at: place.address(port), receiveBuffer: 4 << 20, isTransparent: isTransparent)
        }
        func listener(_ place: ListeningPlace, _ port: UInt16) throws(LinuxError) -> InternetSocket {
            let socket: InternetSocket
            let own = place.address(port)
            if let former = former[place] {
                socket = try .listener(adopting: former, backlog: 128)
            } else if isTransparent {
                socket = try .transparentListener(at: own, backlog: 128)
            } else {
                socket = try .listener(at: own)
            }
            // By itself the kernel would keep megabytes of each client's questions.
            try socket.setBuffers(bytes: 131_072)
            return socket
        }
        return try ListeningPlace.open(at: wanted) { () throws(LinuxError) in
            let first = try datagrams(.datagrams4, wanted)
            let port = try first.ownAddress().port
            var sockets = Sockets(port: port)
            sockets.add(first, .datagrams4)
            sockets.add(listener: try listener(.stream4, port), .stream4)
            do throws(LinuxError) {
                sockets.add(try datagrams(.datagrams6, port), .datagrams6)
                sockets.add(listener: try listener(.stream6, port), .stream6)
            } catch {
                // EAFNOSUPPORT: a kernel without IPv6.
                if error.errno != .familyNotSupported { throw error }
            }
            return sockets
        }
    }
}
