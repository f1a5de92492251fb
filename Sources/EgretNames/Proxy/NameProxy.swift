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
        /// Puts an endpoint's grants where its rules look, all or none, and returns when the kernel has acknowledged. It is
        /// called only while the rules that gave them are in force: see ``NameRegistry/changing(_:)``.
        public var commit: @Sendable (_ endpoint: Int, _ grants: [NameGrant]) throws -> Void
        /// Notes what answers give an endpoint where it outlives the process, after ``commit``: also what the kernel has
        /// already, by another name. Answers go out when it returns.
        public var note: @Sendable (_ endpoint: Int, _ holdings: Swift.Set<NameHolding>) throws -> Void
        /// Is told what happens to an endpoint's questions.
        public var event: @Sendable (_ endpoint: Int, _ event: NameEvent) -> Void
        /// Is told of each question that could be read.
        public var question: @Sendable (_ endpoint: Int) -> Void
        /// Is told of a question that is refused before anything of it leaves the host, besides ``event``: with the server
        /// that was asked, over TCP (`isStream`) or UDP.
        public var refusal: @Sendable (_ endpoint: Int, _ why: NameEvent, _ server: IPAddress, _ isStream: Bool) -> Void

        /// Creates hooks.
        public init(
            commit: @escaping @Sendable (_ endpoint: Int, _ grants: [NameGrant]) throws -> Void,
            note: @escaping @Sendable (_ endpoint: Int, _ holdings: Swift.Set<NameHolding>) throws -> Void = { _, _ in
            },
            event: @escaping @Sendable (_ endpoint: Int, _ event: NameEvent) -> Void = { _, _ in },
            question: @escaping @Sendable (_ endpoint: Int) -> Void = { _ in },
            refusal: @escaping @Sendable (Int, NameEvent, IPAddress, Bool) -> Void = { _, _, _, _ in }
        ) {
            self.commit = commit
            self.note = note
            self.event = event
            self.question = question
            self.refusal = refusal
        }
    }

    /// The endpoints, and what they hold.
    public let registry: NameRegistry
    /// The port of all four sockets, UDP and TCP, IPv4 and IPv6.
    public let port: UInt16
    private let loop: EventLoop
    private let stopFlag = StopFlag()
    private let thread: Mutex<WorkThread?>

    /// Opens the sockets and starts to work.
    ///
    /// - Parameters:
    ///   - registry: The endpoints; they may come and go later.
    ///   - wanted: The port, 0 for one that is free.
    ///   - isTransparent: Whether questions may be translated to an address that is not this host's, if a routing rule has
    ///     them delivered here: needs `CAP_NET_ADMIN`.
    ///   - trust: Whom servers over TLS must be vouched for by; without it none of them is asked.
    ///   - hooks: What is called.
    /// - Throws: `LinuxError` if a socket cannot be had, or the port is taken. A host without IPv6 is none.
    public init(
        registry: NameRegistry, port wanted: UInt16 = 0, isTransparent: Bool = false, trust: ServerTrust? = nil,
        hooks: Hooks
    ) throws(LinuxError) {
        self.registry = registry
        loop = try EventLoop()
        let sockets = try NameProxy.open(wanted, isTransparent)
        port = sockets.port
        let work = try ProxyLoop(
            registry: registry, hooks: hooks, loop: loop, datagrams: sockets.datagrams, listeners: sockets.listeners,
            port: sockets.port, trust: trust)
        let handle = Handle(work)
        let stopFlag = self.stopFlag
        let started = try WorkThread("egret-names") { handle.work.run { stopFlag.isSet } }
        thread = Mutex(started)
    }

    deinit { stop() }

    /// Ends the work, and waits for it. Questions that wait get no answer.
    public func stop() {
        stopFlag.set()
        loop.wake()
        let started = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        started?.join()
    }

    private struct Sockets {
        var datagrams: [InternetSocket]
        var listeners: [InternetSocket]
        var port: UInt16
    }

    /// Sockets of both families and protocols on one port.
    private static func open(_ wanted: UInt16, _ isTransparent: Bool) throws(LinuxError) -> Sockets {
        func datagrams(_ own: SocketAddress) throws(LinuxError) -> InternetSocket {
            try .datagrams(at: own, receiveBuffer: 4 << 20, isTransparent: isTransparent)
        }
        func listener(_ own: SocketAddress) throws(LinuxError) -> InternetSocket {
            let socket: InternetSocket =
                try isTransparent ? .transparentListener(at: own, backlog: 128) : .listener(at: own)
            // By itself the kernel would keep megabytes of each client's questions.
            try socket.setBuffers(bytes: 131_072)
            return socket
        }
        var last = LinuxError(.again, operation: "find a free port")
        for _ in 0..<(wanted == 0 ? 32 : 1) {
            do throws(LinuxError) {
                let first = try datagrams(SocketAddress(ipv4: 0, port: wanted))
                let port = try first.ownAddress().port
                var sockets = Sockets(
                    datagrams: [first], listeners: [try listener(SocketAddress(ipv4: 0, port: port))], port: port)
                do throws(LinuxError) {
                    sockets.datagrams.append(try datagrams(SocketAddress(ipv6: 0, port: port)))
                    sockets.listeners.append(try listener(SocketAddress(ipv6: 0, port: port)))
                } catch {
                    // EAFNOSUPPORT: a kernel without IPv6.
                    if error.errno != .familyNotSupported { throw error }
                }
                return sockets
            } catch {
                last = error
            }
        }
        throw last
    }
}

/// Carries the work to its thread, which is the only one to touch it from then on.
private final class Handle: @unchecked Sendable {
    let work: ProxyLoop
    init(_ work: ProxyLoop) { self.work = work }
}

/// Tells the thread to stop.
private final class StopFlag: Sendable {
    private let flag = Atomic(false)
    var isSet: Bool { flag.load(ordering: .acquiring) }
    func set() { flag.store(true, ordering: .releasing) }
}
