// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretGreetingWire
public import EgretLinux
import Synchronization

/// Stands between an endpoint and the servers that it may reach by name, and lets pass what says an allowed name.
///
/// The kernel leads connections here: by `tproxy`, or by destination NAT. A connection to an address that the endpoint
/// does not hold by any name is reset. Then the client's first bytes decide, and in HTTP every request again. Bytes that need
/// not be read are moved inside the kernel. When the process ends, its connections do too, but for those that another process
/// holds (``hold(by:)``).
///
/// It is one thread, in the network namespace in which it was started.
public final class ConnectionProxy: Sendable {
    /// What the proxy calls, on its own thread: the calls hold up every other connection meanwhile.
    public struct Hooks: Sendable {
        /// What becomes of a new connection to an address that some rule holds, before anything was said: nothing has gone
        /// to the server yet.
        public var begin: @Sendable (_ endpoint: Int, _ destination: SocketAddress) -> Beginning
        /// Whether a connection may go on. Without a name this lets it pass unread from then on.
        public var allows: @Sendable (_ endpoint: Int, _ attempt: ConnectionAttempt) -> Bool
        /// Is told what happens to an endpoint's connections.
        public var event: @Sendable (_ endpoint: Int, _ event: ConnectionEvent) -> Void
        /// Is told, at most once, that the proxy has ended by itself, and its connections with it. Who connects waits in the
        /// sockets, which stay open until ``ConnectionProxy/stop()``. The proxy must not be stopped in the call itself.
        public var failed: @Sendable (_ error: LinuxError) -> Void
        /// What a connection is described by that is handed to the process which holds connections: its endpoint's link, when it
        /// was judged last, and when a rule's time ends it if nobody judges it before.
        public var describe:
            @Sendable (_ endpoint: Int, _ attempt: ConnectionAttempt) -> (link: String, moment: Int64?, until: Int64?)
        /// Whether a connection that is held since a former proxy is the endpoint's, and may go on.
        public var resumes: @Sendable (_ endpoint: Int, _ connection: HeldConnection) -> Bool
        /// Is told that the process which holds connections is not there any more, or of no use: the reason, and whether it is of
        /// another version, which must not be asked again.
        public var lost: @Sendable (_ reason: String, _ isOther: Bool) -> Void

        /// Creates hooks. By default a connection may go on if it says a name by which some rule reaches the address.
        public init(
            begin: @escaping @Sendable (_ endpoint: Int, _ destination: SocketAddress) -> Beginning = { _, _ in .read },
            allows: @escaping @Sendable (_ endpoint: Int, _ attempt: ConnectionAttempt) -> Bool = { _, attempt in
                if case .name = attempt.speech { !attempt.rules.isEmpty } else { false }
            },
            event: @escaping @Sendable (_ endpoint: Int, _ event: ConnectionEvent) -> Void = { _, _ in },
            failed: @escaping @Sendable (_ error: LinuxError) -> Void = { _ in },
            describe:
                @escaping @Sendable (_ endpoint: Int, _ attempt: ConnectionAttempt) -> (
                    link: String, moment: Int64?, until: Int64?
                ) = { _, _ in (link: "", moment: nil, until: nil) },
            resumes: @escaping @Sendable (_ endpoint: Int, _ connection: HeldConnection) -> Bool = { _, _ in false },
            lost: @escaping @Sendable (_ reason: String, _ isOther: Bool) -> Void = { _, _ in }
        ) {
            self.begin = begin
            self.allows = allows
            self.event = event
            self.failed = failed
            self.describe = describe
            self.resumes = resumes
            self.lost = lost
        }
    }

    /// What becomes of a new connection.
    public enum Beginning: Hashable, Sendable {
        /// What the client says decides.
        case read
        /// It passes unread: nothing that could be said stands in its way.
        case pass
        /// It is refused: nothing that could be said would help.
        case refuse
    }

    /// How it stands in the way.
    public struct Settings: Sendable {
        /// Whether connections come by `tproxy`; else they come by destination NAT.
        public var isTransparent = true
        /// Whether connections that come by destination NAT may be translated to an address that is not this host's, if a
        /// routing rule has them delivered here: needs `CAP_NET_ADMIN`.
        public var hasStandIn = false
        /// Whether connections that come by `tproxy` go on from their own source address; all others go on from an
        /// address of this host.
        public var keepsSource = true
        /// The mark of the packets to servers (`SO_MARK`), by which rules and routes know them.
        public var mark: UInt32?
        /// By which way a connection to a server leaves. Is asked when the connection is made, and never again for it.
        public var departure: @Sendable (_ client: SocketAddress, _ server: SocketAddress) -> Departure = { _, _ in
            .main
        }
        /// The differentiated-services code point of a connection to a server, 0 to 63, by the endpoint and where it goes; `nil`
        /// for the host's own choice. Is asked when the connection is made, and never again for it.
        public var codePoint: @Sendable (_ endpoint: Int, _ server: SocketAddress) -> UInt8? = { _, _ in nil }
        /// The protocols in which a name is looked for, by the endpoint and the port that it asks for.
        public var protocols: @Sendable (_ endpoint: Int, _ port: UInt16) -> Swift.Set<GreetingProtocol> = { _, _ in
            Swift.Set(GreetingProtocol.allCases)
        }
        /// How long a client may take to say a name.
        public var patience: Duration = .seconds(10)
        /// Connections of all endpoints at a time.
        public var connections = 4_096
        /// Connections of one endpoint at a time.
        public var connectionsPerEndpoint = 1_024

        /// The defaults.
        public init() {}

        /// Whether the sockets are transparent (`IP_TRANSPARENT`).
        public var needsTransparency: Bool { isTransparent || hasStandIn }
    }

    /// The endpoints, and what they hold.
    public let registry: NameRegistry
    /// The port of both sockets, IPv4 and IPv6.
    public let port: UInt16
    private let loop: EventLoop
    private let orders: RelayOrders
    private let thread: Mutex<WorkThread?>
    private let places: Mutex<[ListeningPlace: Descriptor]>

    /// The sockets, until the work has ended: whoever keeps copies of them open can hand them to another proxy.
    public var sockets: [ListeningPlace: Descriptor] { places.withLock { $0 } }

    /// Opens the sockets and starts to work.
    ///
    /// - Parameters:
    ///   - registry: The endpoints, the same as the `NameProxy`'s.
    ///   - wanted: The port, 0 for one that is free.
    ///   - settings: How it stands in the way.
    ///   - former: The sockets of a former proxy at the same port, to be used again: who waits there is accepted. Those that do
    ///     not fit (``ListeningPlace/mismatch(of:port:isTransparent:)``) are left alone.
    ///   - isHeld: Whether nobody is accepted before ``begin()``: who comes before its endpoint is known is reset.
    ///   - hooks: What is called.
    /// - Throws: `LinuxError` if a socket cannot be had, or the port is taken. A host without IPv6 is none.
    public init(
        registry: NameRegistry, port wanted: UInt16 = 0, settings: Settings = Settings(),
        former: [ListeningPlace: Descriptor] = [:], isHeld: Bool = false, hooks: Hooks = Hooks()
    ) throws(LinuxError) {
        self.registry = registry
        loop = try EventLoop()
        let fitting = former.filter { place, socket in
            place.mismatch(of: socket, port: wanted, isTransparent: settings.needsTransparency) == nil
        }
        let listeners = try ConnectionProxy.open(wanted, settings, fitting)
        port = try listeners[0].ownAddress().port
        places = Mutex(
            Dictionary(
                zip([ListeningPlace.stream4, .stream6], listeners.map(\.descriptor)),
                uniquingKeysWith: { first, _ in first }))
        let orders = RelayOrders(isHeld: isHeld)
        self.orders = orders
        let work = try RelayLoop(
            registry: registry, hooks: hooks, settings: settings, loop: loop, listeners: listeners, port: port)
        let handle = CarriedWork(work)
        thread = Mutex(try WorkThread("egret-checks") { handle.work.run(orders) })
    }

    deinit { stop() }

    /// How many connections another process holds (``hold(by:)``), those of a former proxy included whose endpoints have not come
    /// yet; 0 where none does.
    public var heldConnections: Int { orders.held }

    /// Whether it still waits for ``begin()``.
    public var isHeld: Bool { orders.isHeld }

    /// Begins to accept, where the proxy was told to wait for that.
    public func begin() {
        if orders.begin() { loop.wake() }
    }

    /// Hands connections that were let through to another process from now on (``ConnectionKeeper``), and takes those on the books
    /// that it has: they are judged, and end if they may not go on, or if their endpoints are not there when that is settled.
    ///
    /// - Parameter socket: A connection to the process.
    public func hold(by socket: MessageSocket) {
        orders.hold(by: socket)
        loop.wake()
    }

    /// Ends the connections that a process holds: where no proxy is any more that could judge them.
    ///
    /// - Parameter socket: A connection to the process, which is not used again.
    public static func endConnections(heldBy socket: MessageSocket) { RelayCustody(socket).endAll() }

    /// Says that all endpoints are known that were there when the proxy began: what the holding process has of others ends. Without
    /// that it ends a minute after it was told of.
    public func settle() {
        orders.settle()
        loop.wake()
    }

    /// As ``stop()``, but what another process holds goes on.
    public func leave() {
        orders.leave()
        stop()
    }

    /// Ends the work and all connections, and waits for it. Nobody else is accepted: who has the sockets open too finds there who
    /// has come since.
    public func stop() {
        orders.stop()
        loop.wake()
        let started = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        started?.join()
        places.withLock { $0 = [:] }
    }

    /// Resets connections that may go on no more: after an endpoint's rules have changed.
    ///
    /// - Parameter mustEnd: Is asked, on the proxy's thread, of every connection that has said a name or passed without
    ///   one; `rules` of the attempt are the numbers of those by which it began, which other rules may have by now:
    ///   ``ConnectionJudge/decide(_:open:since:)`` heeds that. What it has said since does not matter.
    public func reset(where mustEnd: @escaping @Sendable (_ endpoint: Int, _ attempt: ConnectionAttempt) -> Bool) {
        orders.add(mustEnd)
        loop.wake()
    }

    /// Resets all connections that leave by a way whose mark is none of these: nobody knows any more where they would go.
    public func reset(besides marks: Swift.Set<UInt32>) {
        orders.keep(marks)
        loop.wake()
    }

    private static func open(_ wanted: UInt16, _ settings: Settings, _ former: [ListeningPlace: Descriptor])
        throws(LinuxError) -> [InternetSocket]
    {
        try ListeningPlace.openPair((.stream4, .stream6), at: wanted) { (place, port) throws(LinuxError) in
            if let socket = former[place] { return try .listener(adopting: socket, backlog: 1_024) }
            let own = place.address(port)
            return try settings.needsTransparency
                ? .transparentListener(at: own) : .listener(at: own, backlog: 1_024)
        }
    }
}

/// What other threads want of the loop.
final class RelayOrders: Sendable {
    typealias Test = @Sendable (_ endpoint: Int, _ attempt: ConnectionAttempt) -> Bool

    private struct State {
        var isHeld: Bool
        var isStopped = false
        var tests: [Test] = []
        /// The marks that connections by ways may have; `nil` where nothing has changed about them.
        var marks: Swift.Set<UInt32>?
        /// Who holds connections from now on.
        var holder: MessageSocket?
        var isSettled = false
        /// Whether what is held ends with the work.
        var endsHeld = false
        var leaves = false
        /// How many connections another process holds.
        var held = 0
    }

    private let state: Mutex<State>

    init(isHeld: Bool = false) { state = Mutex(State(isHeld: isHeld)) }

    /// Whether nobody is accepted yet.
    var isHeld: Bool { state.withLock { $0.isHeld } }

    /// Has the work begin.
    ///
    /// - Returns: Whether it was held until now.
    func begin() -> Bool {
        state.withLock { state in
            defer { state.isHeld = false }
            return state.isHeld
        }
    }

    var isStopped: Bool { state.withLock { $0.isStopped } }

    /// Whether what another process holds ends with the work: not where that ends by itself.
    var endsHeld: Bool { state.withLock { $0.endsHeld } }

    /// Whether all endpoints are known that were there.
    var isSettled: Bool { state.withLock { $0.isSettled } }

    /// How many connections another process holds, by what the loop has said last.
    var held: Int { state.withLock { $0.held } }

    func note(held count: Int) { state.withLock { $0.held = count } }

    func stop() {
        state.withLock { state in
            state.isStopped = true
            state.endsHeld = !state.leaves
        }
    }

    func leave() { state.withLock { $0.leaves = true } }

    func settle() { state.withLock { $0.isSettled = true } }

    func hold(by socket: MessageSocket) { state.withLock { $0.holder = socket } }

    func takeHolder() -> MessageSocket? {
        state.withLock { state in
            defer { state.holder = nil }
            return state.holder
        }
    }

    func add(_ test: @escaping Test) { state.withLock { $0.tests.append(test) } }

    /// What was not to be kept for a moment has gone, whatever came after it.
    func keep(_ marks: Swift.Set<UInt32>) {
        state.withLock { state in state.marks = state.marks.map { $0.intersection(marks) } ?? marks }
    }

    func takeMarks() -> Swift.Set<UInt32>? {
        state.withLock { state in
            defer { state.marks = nil }
            return state.marks
        }
    }

    func takeTests() -> [Test] {
        state.withLock { state in
            defer { state.tests = [] }
            return state.tests
        }
    }
}
