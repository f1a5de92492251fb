// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import Testing

@Suite("Terminals and signals")
struct TerminalTests {
    private func shell(_ script: String) -> ChildOperation {
        .execute(Command("/bin/sh", arguments: ["sh", "-c", NativeString(script)]))
    }

    private func onTerminal(_ pair: PseudoTerminal, _ script: String) throws -> ChildProcess {
        let terminal = pair.terminal.descriptor
        return try ChildProcess.spawn([
            .startSession, .claimTerminal(terminal), .duplicate(terminal, onto: 0), .duplicate(terminal, onto: 1),
            .duplicate(terminal, onto: 2), .takeTerminal(terminal), .resetSignals(), shell(script),
        ])
    }

    private func read(_ pair: PseudoTerminal, until text: String) throws -> String {
        var seen = ""
        var poll = Poll()
        poll.add(pair.controller)
        while !seen.contains(text), try !poll.wait(timeout: .seconds(5)).isEmpty {
            seen += String(decoding: try pair.controller.read(upTo: 4_096), as: UTF8.self)
        }
        return seen
    }

    @Test("a command on a pseudo-terminal has it as its controlling terminal")
    func controlling() throws {
        let pair = try PseudoTerminal()
        try pair.terminal.setSize(Terminal.Size(rows: 33, columns: 99))
        #expect(try pair.terminal.size() == Terminal.Size(rows: 33, columns: 99))
        let child = try onTerminal(pair, "test -t 0 && stty size </dev/tty && echo end")
        #expect(try read(pair, until: "end").contains("33 99"))
        #expect(try child.waitForEnd() == .exited(0))
    }

    @Test("the interrupt key reaches the foreground group")
    func interruptKey() throws {
        let pair = try PseudoTerminal()
        let child = try onTerminal(pair, "echo ready; exec sleep 100")
        _ = try read(pair, until: "ready")
        try pair.controller.write([3])
        #expect(try child.waitForEnd() == .signaled(.interrupt, coreDumped: false))
    }

    @Test("what is not a terminal is not taken for one")
    func notTerminal() throws {
        #expect(Terminal(try Descriptor.open("/dev/null")) == nil)
        let error = #expect(throws: LinuxError.self) {
            try ChildProcess.spawn([.takeTerminal(Descriptor.open("/dev/null")), .exit(0)])
        }
        #expect(error?.errno == .notTerminal)
    }

    @Test("a blocked signal is read from its descriptor with its sender")
    func signalDescriptor() throws {
        // On a thread of its own: the mask is the thread's, and so is a signal read.
        try OwnThread.run {
            let signals = try SignalDescriptor(SignalSet([.windowChange]))
            #expect(try signals.next() == nil)
            #expect(try SignalSet.blocked().contains(.windowChange))
            let me = CurrentProcess.thread
            // The default of SIGWINCH is to be ignored, so other threads do not mind.
            try CurrentProcess.sendToThread(.windowChange, me)
            let record = try #require(try signals.next())
            #expect(record.signal == .windowChange)
            #expect(record.sender == UInt32(CurrentProcess.identifier))
        }
    }

    @Test("a pidfd is readable once the child has ended")
    func pidfd() throws {
        let (read, write) = try Descriptor.pipe()
        let waiting = try ChildProcess.start([.awaitByte(from: read), .exit(0)])
        var poll = Poll()
        poll.add(waiting.child.descriptor)
        #expect(try poll.wait(timeout: .milliseconds(20)).isEmpty)
        try write.write([1])
        #expect(try poll.wait(timeout: .seconds(5))[waiting.child.descriptor].contains(.readable))
        poll.remove(waiting.child.descriptor)
        #expect(try poll.wait(timeout: .zero).isEmpty)
        #expect(try waiting.confirm().waitForEnd() == .exited(0))
    }

    @Test("a process can die by the signal its command died by")
    func succumb() async {
        await #expect(processExitsWith: .signal(15)) {
            try Signal.terminate.setIgnored(true)
            try SignalSet.setBlocked(.all)
            try CurrentProcess.succumb(to: .terminate)
        }
    }

    @Test("signals have their names")
    func names() {
        #expect(Signal.terminate.description == "SIGTERM")
        #expect(Signal.windowChange.description == "SIGWINCH")
        #expect(Signal(rawValue: 40).description == "signal 40")
        #expect(SignalSet([.hangup, .interrupt, Signal(rawValue: 99)]).rawValue == 3)
    }
}
