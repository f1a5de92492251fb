// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretLinux

/// Waits for a command as a shell's `exec` would have left no one to wait: its signals, stops and continues pass
/// through, and Egret is seen to do what the command does.
///
/// The command shares Egret's process group, so that what the terminal sends reaches both, and pipelines and job
/// control work as without Egret. Egret takes no terminal signal to heart; a stop stops it too.
///
/// Make it before anything else is made: from then on the signals are blocked and wait to be read, so that none ends
/// Egret half-way, and a stop does not leave others waiting for the host's lock.
public struct Supervisor {
    private let signals: SignalDescriptor
    private let terminal: Terminal?
    private let wasInForeground: Bool

    /// Signals that are passed on to the command.
    private static let relayed: [Signal] = [.hangup, .interrupt, .quit, .terminate, .user1, .user2]

    /// Blocks the signals that the command is to have.
    public init() throws(LinuxError) {
        try Supervisor.setStoppable(false)
        signals = try SignalDescriptor(SignalSet(Supervisor.relayed + [.child, .continue]))
        terminal = Terminal.controlling()
        wasInForeground = terminal.flatMap { try? $0.foregroundGroup() } == CurrentProcess.group
    }

    /// The first signal that came before there was a command, and would have ended it; `nil` if none did.
    ///
    /// - Parameter ignored: The signals that the command would have ignored.
    /// - Returns: `nil` if there was none.
    /// - Throws: An error if the signals cannot be read.
    public func earlySignal(ignoring ignored: SignalSet) throws(LinuxError) -> Signal? {
        while let record = try signals.next() {
            let ends = record.signal != .child && record.signal != .continue
            if ends && !ignored.contains(record.signal) { return record.signal }
        }
        return nil
    }

    /// The stop key works while the command runs, and not while the host's lock may be held.
    private static func setStoppable(_ isStoppable: Bool) throws(LinuxError) {
        let stop = SignalSet([.terminalStop])
        let blocked = try SignalSet.blocked()
        try SignalSet.setBlocked(isStoppable ? blocked.subtracting(stop) : blocked.union(stop))
    }

    /// Waits until the command ends.
    ///
    /// - Parameters:
    ///   - child: The command.
    ///   - sources: Descriptors to wait for meanwhile, each with what to do when it is readable.
    /// - Returns: How the command ended. The terminal, if Egret had it, is Egret's again.
    /// - Throws: What waiting, the terminal or a source throws.
    public func wait(
        for child: ChildProcess,
        serving sources: [(descriptor: Descriptor, serve: () throws -> Void)]
    ) throws -> ChildProcess.Status {
        // What came while the command was being started may have missed it.
        try relaySignals(to: child, alsoFromTerminal: true)
        try Supervisor.setStoppable(true)
        defer {
            takeTerminalBack()
            try? Supervisor.setStoppable(false)
        }
        var poll = Poll()
        poll.add(signals.descriptor)
        poll.add(child.descriptor)
        for source in sources { poll.add(source.descriptor) }
        while true {
            let ready = try poll.wait()
            for source in sources where !ready[source.descriptor].isEmpty { try source.serve() }
            if !ready[signals.descriptor].isEmpty { try relaySignals(to: child) }
            if let status = try child.wait([.noHang, .untraced, .continued]) {
                if status.isEnd { return status }
                if case .stopped(let signal) = status { try stop(with: child, by: signal) }
            }
        }
    }

    private func relaySignals(to child: ChildProcess, alsoFromTerminal: Bool = false) throws {
        while let record = try signals.next() {
            switch record.signal {
            case .child, .continue: continue
            case .interrupt where record.isFromTerminal && !alsoFromTerminal: continue
            case .quit where record.isFromTerminal && !alsoFromTerminal: continue
            default: try? child.signal(record.signal)
            }
        }
    }

    /// Stops as the command has stopped; once continued, continues the command.
    ///
    /// A stop by the terminal has reached Egret as well and is over when this is called. A stop that the command
    /// asked for by itself has not: whoever waits for Egret must see one.
    private func stop(with child: ChildProcess, by signal: Signal) throws {
        let group = terminal.flatMap { try? $0.foregroundGroup() }
        takeTerminalBack()
        try CurrentProcess.succumb(to: signal)
        if let terminal, let group, group != CurrentProcess.group, isInForeground {
            try? terminal.setForegroundGroup(group)
        }
        try? child.signalGroup(.continue)
        try? child.signal(.continue)
    }

    private var isInForeground: Bool {
        terminal.flatMap { try? $0.foregroundGroup() } == CurrentProcess.group
    }

    /// An interactive shell puts itself into the foreground and, in another pid namespace, cannot name the group
    /// to give the terminal back to.
    private func takeTerminalBack() {
        guard let terminal, wasInForeground, !isInForeground else { return }
        try? terminal.setForegroundGroup(CurrentProcess.group)
    }
}

extension SignalDescriptor.Record {
    /// Whether the terminal sent it, and so sent it to the command as well: `SI_KERNEL`.
    fileprivate var isFromTerminal: Bool { code > 0 }
}
