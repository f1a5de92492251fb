// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretGreetingWire
public import EgretLinux
import Synchronization

/// Stands between an endpoint and the servers that it may reach by name, and lets pass what says an allowed name.
///
/// The kernel leads connections here: by `tproxy`, or by destination NAT. A connection to an address that the endpoint
/// does not hold by any name is reset. Then the client's first bytes decide, and in HTTP every request again. Bytes that need
/// not be read are moved inside the kernel. When the process ends, its connections do too.
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

        /// Creates hooks. By default a connection may go on if it says a name by which some rule reaches the address.
        public init(
            begin: @escaping @Sendable (_ endpoint: Int, _ destination: SocketAddress) -> Beginning = { _, _ in .read },
            allows: @escaping @Sendable (_ endpoint: Int, _ attempt: ConnectionAttempt) -> Bool = { _, attempt in
                if case .name = attempt.speech { !attempt.rules.isEmpty } else { false }
            },
            event: @escaping @Sendable (_ endpoint: Int, _ event: ConnectionEvent) -> Void = { _, _ in }
        ) {
            self.begin = begin
            self.allows = allows
            self.event = event
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
    }

    /// The endpoints, and what they hold.
    public let registry: NameRegistry
    /// The port of both sockets, IPv4 and IPv6.
    public let port: UInt16
    private let loop: EventLoop
    private let orders: RelayOrders
    private let thread: Mutex<WorkThread?>

    /// Opens the sockets and starts to work.
    ///
    /// - Parameters:
    ///   - registry: The endpoints, the same as the `NameProxy`'s.
    ///   - wanted: The port, 0 for one that is free.
    ///   - settings: How it stands in the way.
    ///   - hooks: What is called.
    /// - Throws: `LinuxError` if a socket cannot be had, or the port is taken. A host without IPv6 is none.
    public init(
        registry: NameRegistry, port wanted: UInt16 = 0, settings: Settings = Settings(), hooks: Hooks = Hooks()
    ) throws(LinuxError) {
        self.registry = registry
        loop = try EventLoop()
        let listeners = try ConnectionProxy.open(wanted, settings)
        port = try listeners[0].ownAddress().port
        let orders = RelayOrders()
        self.orders = orders
        let work = try RelayLoop(
            registry: registry, hooks: hooks, settings: settings, loop: loop, listeners: listeners, port: port)
        let handle = Handle(work)
        thread = Mutex(try WorkThread("egret-checks") { handle.work.run(orders) })
    }

    deinit { stop() }

    /// Ends the work and all connections, and waits for it.
    public func stop() {
        orders.stop()
        loop.wake()
        let started = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        started?.join()
    }

    /// Resets connections that may go on no more: after an endpoint's rules have changed.
    ///
    /// - Parameter mustEnd: Is asked, on the proxy's thread, of every connection that has said a name or passed without
    ///   one; `rules` of the attempt are the numbers of those by which it began, which other rules may have by now:
    ///   ``ConnectionJudge/decide(_:open:)`` heeds that. What it has said since does not matter.
    public func reset(where mustEnd: @escaping @Sendable (_ endpoint: Int, _ attempt: ConnectionAttempt) -> Bool) {
        orders.add(mustEnd)
        loop.wake()
    }

    private static func open(_ wanted: UInt16, _ settings: Settings) throws(LinuxError) -> [InternetSocket] {
        func listener(_ own: SocketAddress) throws(LinuxError) -> InternetSocket {
            try settings.isTransparent || settings.hasStandIn
                ? .transparentListener(at: own) : .listener(at: own, backlog: 1_024)
        }
        var last = LinuxError(.again, operation: "find a free port")
        for _ in 0..<(wanted == 0 ? 32 : 1) {
            do throws(LinuxError) {
                let first = try listener(SocketAddress(ipv4: 0, port: wanted))
                let port = try first.ownAddress().port
                do throws(LinuxError) {
                    return [first, try listener(SocketAddress(ipv6: 0, port: port))]
                } catch {
                    // EAFNOSUPPORT: a kernel without IPv6.
                    if error.errno == .familyNotSupported { return [first] }
                    throw error
                }
            } catch {
                last = error
            }
        }
        throw last
    }
}

/// Carries the work to its thread, which is the only one to touch it from then on.
private final class Handle: @unchecked Sendable {
    let work: RelayLoop
    init(_ work: RelayLoop) { self.work = work }
}

/// What other threads want of the loop.
final class RelayOrders: Sendable {
    typealias Test = @Sendable (_ endpoint: Int, _ attempt: ConnectionAttempt) -> Bool

    private let state = Mutex((isStopped: false, tests: [Test]()))

    var isStopped: Bool { state.withLock { $0.isStopped } }

    func stop() { state.withLock { $0.isStopped = true } }

    func add(_ test: @escaping Test) { state.withLock { $0.tests.append(test) } }

    func takeTests() -> [Test] {
        state.withLock { state in
            defer { state.tests = [] }
            return state.tests
        }
    }
}
