// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretLinux
import Synchronization

/// Stands in the way of the first datagrams that an endpoint sends to servers that it may reach by name, until QUIC's
/// Initial packets in them have said one.
///
/// The kernel leads them here by `tproxy`, or drops them and copies them here. When the name may pass, the caller has the kernel let the flow through
/// (``Hooks/pass``), and what has come is dropped: the client sends it again, as the first packets of a connection that
/// every rule, limit, budget and translation meets like any other's. When it may not, the client hears at once that nobody is
/// there for it. Nothing ever leaves from here but that answer.
///
/// It is one thread, in the network namespace in which it was started.
public final class DatagramProxy: Sendable {
    /// What the proxy calls, on its own thread: the calls hold up every other flow meanwhile.
    public struct Hooks: Sendable {
        /// What becomes of a new flow to an address that some rule holds, before anything was read.
        public var begin: @Sendable (_ endpoint: Int, _ destination: SocketAddress) -> ConnectionProxy.Beginning
        /// Whether a flow may pass.
        public var allows: @Sendable (_ endpoint: Int, _ attempt: ConnectionAttempt) -> Bool
        /// Has the kernel let the flow through, and, where its packets were led here, forget what it knows of them. It may be
        /// called again. When it throws, nothing has been let through that was not before.
        public var pass: @Sendable (_ endpoint: Int, _ attempt: ConnectionAttempt) throws -> Void
        /// Is told what happens to an endpoint's flows.
        public var event: @Sendable (_ endpoint: Int, _ event: ConnectionEvent) -> Void
        /// Is told, at most once, that the proxy has ended by itself: what is led to it from then on is dropped.
        public var failed: @Sendable (_ error: LinuxError) -> Void

        /// Creates hooks.
        public init(
            begin: @escaping @Sendable (_ endpoint: Int, _ destination: SocketAddress) -> ConnectionProxy.Beginning,
            allows: @escaping @Sendable (_ endpoint: Int, _ attempt: ConnectionAttempt) -> Bool,
            pass: @escaping @Sendable (_ endpoint: Int, _ attempt: ConnectionAttempt) throws -> Void,
            event: @escaping @Sendable (_ endpoint: Int, _ event: ConnectionEvent) -> Void = { _, _ in },
            failed: @escaping @Sendable (_ error: LinuxError) -> Void = { _ in }
        ) {
            self.begin = begin
            self.allows = allows
            self.pass = pass
            self.event = event
            self.failed = failed
        }
    }

    /// The port of both sockets, IPv4 and IPv6; `nil` where copies are read.
    public let port: UInt16?
    private let loop: EventLoop
    private let isStopped: StopSign
    private let thread: Mutex<WorkThread?>

    /// Opens the sockets and starts to work.
    ///
    /// - Parameters:
    ///   - registry: The endpoints, the same as the `NameProxy`'s.
    ///   - patience: How long a client may take to say a name.
    ///   - hooks: What is called.
    /// - Throws: `LinuxError` if a socket cannot be had. A host without IPv6 is none.
    public convenience init(
        registry: NameRegistry, patience: Duration = .seconds(10), hooks: Hooks
    ) throws(LinuxError) {
        let sockets = try DatagramProxy.open()
        let port = try sockets[0].ownAddress().port
        try self.init(
            registry, port: port, from: LedDatagrams(sockets, port: port), DatagramLoop.Room(), patience, hooks)
    }

    /// Begins to read copies of datagrams, of all endpoints of a host, and to work.
    ///
    /// The kernel drops what it copies, so that nothing is to be forgotten.
    ///
    /// - Parameters:
    ///   - registry: The endpoints, the same as the `NameProxy`'s.
    ///   - group: The group of nfnetlink_log that they are copied by. Nobody else may read it.
    ///   - patience: How long a client may take to say a name.
    ///   - hooks: What is called.
    /// - Throws: `NetlinkError` if somebody else reads the group or the kernel has no such groups, `LinuxError` if something
    ///   else cannot be had.
    public convenience init(
        registry: NameRegistry, copiedBy group: UInt16, patience: Duration = .seconds(10), hooks: Hooks
    ) throws {
        try self.init(registry, port: nil, from: CopiedDatagrams(group: group), .ofHost, patience, hooks)
    }

    private init(
        _ registry: NameRegistry, port: UInt16?, from source: any DatagramSource, _ room: DatagramLoop.Room,
        _ patience: Duration, _ hooks: Hooks
    ) throws(LinuxError) {
        loop = try EventLoop()
        self.port = port
        let sign = StopSign()
        isStopped = sign
        let work = try DatagramLoop(
            registry: registry, hooks: hooks, loop: loop, source: source, room: room,
            patience: patience.milliseconds)
        let carried = CarriedWork(work)
        thread = Mutex(try WorkThread("egret-datagrams") { carried.work.run(sign) })
    }

    deinit { stop() }

    /// Ends the work, and waits for it. Flows that were let through go on.
    public func stop() {
        isStopped.set()
        loop.wake()
        let started = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        started?.join()
    }

    private static func open() throws(LinuxError) -> [InternetSocket] {
        try ListeningPlace.openPair((.datagrams4, .datagrams6), at: 0) { (place, port) throws(LinuxError) in
            try .divertedDatagrams(at: place.address(port), receiveBuffer: 1 << 20)
        }
    }
}

/// Tells the loop to end.
final class StopSign: Sendable {
    private let value = Mutex(false)

    var isSet: Bool { value.withLock(\.self) }

    func set() { value.withLock { $0 = true } }
}
