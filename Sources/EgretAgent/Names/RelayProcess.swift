// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretNames
import Synchronization

/// The process that holds connections by name once they were let through, so that they go on when the agent's process ends.
///
/// It is the agent's own program under another name, with no capability, no new privileges, and no way to open a socket: it has
/// those that are handed to it. Once it works it can open no file and execute no program either (`SeccompFilter.passing(by:)`).
/// Agents of one network namespace use it one after the other. It ends by itself.
public final class RelayProcess: Sendable {
    /// What the program is called when it is to be that process.
    public static let name = "egret-relay"
    /// The number of the descriptor at which it listens.
    private static let listenerNumber: Int32 = 3

    /// What it may ask the kernel for from its first instruction on. It accepts agents and never opens a socket, so that what is
    /// wrong in it could not reach whoever listens to root at some unix socket.
    static var filter: SeccompFilter {
        .egress(SeccompFilter.EgressOptions(addressFamilies: [], netlinkProtocols: []))
    }

    /// Where the kernel says and hears which process is to end first when memory is short: from -1,000, never, to 1,000.
    private static func scorePath(of process: Int32) -> String { "/proc/\(process)/oom_score_adj" }
    /// The relay's score. The agent's unit has -900, which is too low for a process whose memory grows with what endpoints do.
    /// Somewhat less than 0, so that many small processes of an endpoint do not have the kernel choose the one that holds the
    /// connections of all: a tenth of the machine's memory is as if the relay did not have it.
    private static let ownScore = -100

    /// The score that the relay is given; `nil` where it keeps what it inherits, as that is no lower: lowering it takes a
    /// capability.
    ///
    /// - Parameter inherited: What the kernel says of this process.
    /// - Returns: The score.
    static func score(inherited: String?) -> Int? {
        let words = (inherited ?? "").split(whereSeparator: \.isWhitespace)
        guard let known = words.first.flatMap({ Int($0) }), known < ownScore else { return nil }
        return ownScore
    }

    /// Gives a relay its score. One that cannot get it works all the same.
    ///
    /// - Parameters:
    ///   - place: Where the kernel hears it.
    ///   - inherited: What the kernel says of this process.
    ///   - log: Hears why it cannot get it.
    static func setScore(at place: String, inherited: String?, log: (String) -> Void) {
        guard let own = RelayProcess.score(inherited: inherited) else { return }
        do throws(LinuxError) {
            try File.write(place, Array("\(own)".utf8))
        } catch {
            log("the relay keeps the agent's oom_score_adj: \(error)")
        }
    }

    private let path: String
    private let log: @Sendable (String) -> Void
    /// Those that this process has started, as far as they are not known to have ended.
    private let children = Mutex<[ChildProcess]>([])

    /// Describes the process; nothing is started yet.
    ///
    /// - Parameters:
    ///   - path: Its socket.
    ///   - log: Takes lines for whoever runs the agent; called on any thread.
    init(path: String, log: @escaping @Sendable (String) -> Void = { _ in }) {
        self.path = path
        self.log = log
    }

    /// Connects to the process, and starts it if it does not run.
    ///
    /// - Parameter isOther: Whether the one that runs is of no use: it is left to end.
    /// - Returns: The connection.
    /// - Throws: `LinuxError` if it cannot be had.
    func connect(besides isOther: Bool = false) throws(LinuxError) -> MessageSocket {
        reap()
        if !isOther, let socket = try running() { return socket }
        try start()
        guard let socket = try running() else {
            throw LinuxError(.connectionRefused, operation: "connect to", object: path)
        }
        return socket
    }

    /// Ends the connections that nobody judges any more, and forgets the process: it ends when it has nothing to do.
    func endConnections() {
        reap()
        guard File.exists(path) else { return }
        do throws(LinuxError) {
            if let socket = try running() { ConnectionProxy.endConnections(heldBy: socket) }
        } catch {
            // Nobody who may be listened to is there.
        }
        try? File.remove(path)
    }

    /// Takes note of the end of processes that this one has started.
    func reap() {
        children.withLock { children in
            children = children.filter { child in
                let status = try? child.wait(.noHang)
                return !(status?.isEnd ?? false)
            }
        }
    }

    private func running() throws(LinuxError) -> MessageSocket? {
        let socket: MessageSocket
        do throws(LinuxError) {
            socket = try MessageSocket.connect(to: path)
        } catch {
            if error.errno == .noEntry || error.errno == .connectionRefused { return nil }
            throw error
        }
        let peer = try PeerCredentials(ofSocket: socket.descriptor.number)
        guard peer.user == CurrentProcess.effectiveUser else {
            throw LinuxError(.accessDenied, operation: "trust the process at", object: path)
        }
        return socket
    }

    private func start() throws(LinuxError) {
        if File.exists(path) { try File.remove(path) }
        let listener = try MessageSocket.bind(path)
        try File.changeMode(of: path, to: 0o600)
        try listener.listen()
        var environment = Environment.current
        for name in ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"] { environment[name] = nil }
        let command = Command(
            "/proc/self/exe", arguments: [NativeString(RelayProcess.name)], environment: environment)
        let started = try ChildProcess.spawn([
            .startSession, .open("/dev/null", as: 0), .open("/dev/null", .writeOnly, as: 1),
            // Not the agent's: whoever reads that to its end would wait for this process.
            .open("/dev/null", .writeOnly, as: 2),
            .duplicate(listener.descriptor, onto: RelayProcess.listenerNumber),
            .closeOnExecute(UInt32(RelayProcess.listenerNumber + 1)...UInt32.max), .changeDirectory("/"),
            .clearAmbientCapabilities, .setCapabilities(effective: [], permitted: [], inheritable: []),
            .forbidNewPrivileges, .installFilter(RelayProcess.filter.program()),
            // splice(2) would end the process where the other end has gone.
            .resetSignals(ignoring: SignalSet([.brokenPipe])), .execute(command),
        ])
        children.withLock { $0.append(started) }
        RelayProcess.setScore(
            at: RelayProcess.scorePath(of: started.identifier),
            inherited: try? File.readText(RelayProcess.scorePath(of: CurrentProcess.identifier), limit: 64), log: log)
    }

    /// Is the process, if this one was started as that, and ends with it.
    ///
    /// - Parameters:
    ///   - arguments: This process's arguments, its own name first.
    ///   - tell: Hears why it cannot work.
    /// - Returns: The exit code; `nil` if this is another process.
    public static func run(_ arguments: [String], telling tell: (String) -> Void) -> Int32? {
        guard arguments == [name] else { return nil }
        try? CurrentProcess.raiseOpenFileLimit()
        do throws(LinuxError) {
            let listener = try MessageSocket(try Descriptor(inherited: listenerNumber))
            let keeper = try ConnectionKeeper(at: listener)
            // Nothing has come yet, and all is open that it opens itself.
            try CurrentProcess.confine(by: .passing(by: CurrentProcess.identifier))
            try keeper.run()
            return 0
        } catch {
            tell("\(error)")
            return 1
        }
    }
}
