// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretTesting
import Testing

/// A program on a pseudo-terminal, and a person who types and reads.
final class TerminalSession {
    let terminal: PseudoTerminal
    let child: ChildProcess
    private var unread = ""
    private var hasEnded = false

    /// Starts a program of home's as the leader of a session that has the terminal.
    init(_ internet: TestInternet, _ arguments: [String], environment: [String: String] = [:]) throws {
        terminal = try PseudoTerminal()
        try terminal.terminal.setSize(Terminal.Size(rows: 31, columns: 97))
        let end = terminal.terminal.descriptor
        var variables = Environment.current
        for (name, value) in internet.environment { variables[name] = value }
        for (name, value) in ["PATH": Egret.searchPath, "TERM": "xterm", "PS1": "outer> "] { variables[name] = value }
        variables["NO_COLOR"] = nil
        for (name, value) in environment { variables[name] = value }
        let line = internet.commandLine(in: .home, arguments).map { NativeString($0) }
        let program = try #require(line.first)
        child = try ChildProcess.spawn([
            .startSession, .claimTerminal(end), .duplicate(end, onto: 0), .duplicate(end, onto: 1),
            .duplicate(end, onto: 2), .takeTerminal(end), .closeDescriptors(3...UInt32.max), .resetSignals(),
            .execute(Command(program, arguments: line, environment: variables)),
        ])
    }

    deinit {
        // Once it has been waited for, its number may be another's.
        if hasEnded { return }
        try? CurrentProcess.send(.kill, to: -child.identifier)
        try? child.signal(.kill)
        _ = try? child.waitForEnd()
    }

    /// Waits for the program's end; `nil` if it did not end in time.
    func waitForEnd(within limit: Duration) throws -> ChildProcess.Status? {
        var poll = Poll()
        poll.add(child.descriptor)
        if try poll.wait(timeout: limit).isEmpty { return nil }
        hasEnded = true
        return try child.waitForEnd()
    }

    /// Types: control characters are keys.
    func type(_ text: String) throws {
        try terminal.controller.write(text)
    }

    /// Waits until a program that the shell was told to start is the one that keys go to.
    ///
    /// A shell that is interrupted between reading a line and starting the command goes back to its prompt without the
    /// command, which then takes the terminal away from it.
    func waitForForeground(_ program: String, _ location: SourceLocation = #_sourceLocation) throws {
        let keyboard = try #require(Terminal(terminal.controller))
        let deadline = ContinuousClock.now + .seconds(15)
        while ContinuousClock.now < deadline {
            let name = try? File.read("/proc/\(keyboard.foregroundGroup())/comm")
            if name == Array("\(program)\n".utf8) { return }
            Poll.sleep(.milliseconds(1))
        }
        Issue.record("“\(program)” did not come to the foreground; read meanwhile: \(unread)", sourceLocation: location)
    }

    /// Reads until the text appears, and forgets what was read up to its end.
    ///
    /// With a key, the key is typed again once after a second, as a person would: a busy shell can lose an interrupt
    /// between reading a line and starting the command.
    ///
    /// - Returns: What was read up to there; all of it, if the text did not come in time.
    @discardableResult
    func expect(
        _ text: String,
        within limit: Duration = .seconds(15),
        typingAgain key: String? = nil,
        _ location: SourceLocation = #_sourceLocation
    ) throws -> String {
        let deadline = ContinuousClock.now + limit
        var again = key.map { ($0, ContinuousClock.now + .seconds(1)) }
        var poll = Poll()
        poll.add(terminal.controller)
        while true {
            if let range = unread.firstRange(of: text) {
                let seen = String(unread[..<range.upperBound])
                unread = String(unread[range.upperBound...])
                return seen
            }
            guard ContinuousClock.now < deadline else { break }
            if let (key, moment) = again, ContinuousClock.now > moment {
                try type(key)
                again = nil
            }
            if try poll.wait(timeout: .milliseconds(100)).isEmpty { continue }
            guard let bytes = try? terminal.controller.read(upTo: 4_096), !bytes.isEmpty else { break }
            unread += String(decoding: bytes, as: UTF8.self)
        }
        Issue.record("“\(text)” did not appear, but: \(unread.debugDescription)", sourceLocation: location)
        return unread
    }

    /// Waits for a text as output: typed text is echoed, so the command line must not contain it.
    func run(_ line: String, _ expected: String, _ location: SourceLocation = #_sourceLocation) throws {
        try type(line + "\n")
        try expect(expected, location)
    }
}
