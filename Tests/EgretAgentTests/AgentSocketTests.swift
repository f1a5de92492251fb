// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgent
import EgretAgentAPI
import EgretAgentClient
import EgretLinux
import EgretTesting
import Foundation
import Testing

@Suite("The agent's socket")
struct AgentSocketTests {
    private let folder: TemporaryDirectory
    private var path: String { folder.path + "/run/agent.sock" }

    init() throws {
        folder = try TemporaryDirectory()
    }

    private func start(members: UInt32? = nil) async throws -> AgentServer {
        try await AgentServer.start(ScriptedService(), at: path, members: members)
    }

    private func status(_ path: String) async throws -> AgentStatus {
        try await blocking { try AgentClient(AgentAddress(chosen: path)).status() }
    }

    @Test("the directory and the socket are closed to others")
    func modes() async throws {
        let server = try await start()
        #expect(try File.status(folder.path + "/run").mode == 0o700)
        #expect(try File.status(path).mode == 0o600)
        await server.stop()
    }

    @Test("a socket that an agent left behind is replaced")
    func stale() async throws {
        try Directory.make(folder.path + "/run")
        _ = try UnixSocket.bind(path)
        #expect(File.exists(path))
        let server = try await start()
        #expect(try await status(path) == ScriptedService.status)
        await server.stop()
    }

    @Test("a second agent at the same socket is refused, and the first is not disturbed")
    func second() async throws {
        let server = try await start()
        let problem = await #expect(throws: AgentSocketProblem.self) { try await start() }
        #expect(problem?.message == "another agent listens at \(path)")
        #expect(try await status(path) == ScriptedService.status)
        await server.stop()
        let next = try await start()
        #expect(try await status(path) == ScriptedService.status)
        await next.stop()
    }

    @Test("a second agent with the same store is refused, and says what to do")
    func secondWithStore() async throws {
        let lock = try #require(try FileLock.tryAcquire(folder.path + "/agent.lock"))
        let places = AgentProcess.Places(state: folder.path, runtime: folder.path)
        let error = await #expect(throws: AgentProcess.AlreadyRunning.self) {
            _ = try await AgentProcess.start(places) { _ in }
        }
        #expect(error?.description == "another agent works with \(folder.path) already")
        #expect(error?.advice.contains("systemctl stop egret-agent") == true)
        #expect(error?.advice.contains("--state") == true)
        withExtendedLifetime(lock) {}
    }

    @Test("somebody who listens there without the agent's lock is not replaced")
    func listener() async throws {
        try Directory.make(folder.path + "/run")
        let stranger = try RunningProgram([
            "/usr/bin/python3", "-c",
            """
            import socket, sys
            server = socket.socket(socket.AF_UNIX)
            server.bind(sys.argv[1])
            server.listen()
            while True: server.accept()
            """, path,
        ])
        while (try? UnixSocket.connect(to: path)) == nil { try await Task.sleep(for: .milliseconds(10)) }
        let problem = await #expect(throws: AgentSocketProblem.self) { try await start() }
        #expect(problem?.message == "another agent listens at \(path)")
        stranger.send(signal: 9)
        #expect(stranger.wait().status == 137)
        let server = try await start()
        await server.stop()
    }

    @Test("a file that is no socket, and a path that is too long, are left alone and said")
    func unsuitable() async throws {
        try Directory.make(folder.path + "/run")
        try File.write(path, Array("mine".utf8))
        let problem = await #expect(throws: AgentSocketProblem.self) { try await start() }
        #expect(problem?.message == "\(path) is there, and is no socket")
        #expect(try File.readText(path) == "mine")
        let long = folder.path + "/" + String(repeating: "x", count: 108)
        let tooLong = await #expect(throws: AgentSocketProblem.self) {
            try await AgentServer.start(ScriptedService(), at: long)
        }
        #expect(tooLong?.advice == "name a shorter one with --socket")
    }

    /// What curl says of the status as another user.
    private func ask(_ arguments: [String]) async throws -> ProgramOutput {
        try await blocking { [path] in
            try runProgram(
                ["setpriv"] + arguments + ["curl", "-sS", "--unix-socket", path, "http://egret/v1/status"])
        }
    }

    @Test("another user is refused by the file's mode, and by name if the file is open to him", .requiresRoot)
    func stranger() async throws {
        let server = try await start()
        let closed = try await ask(["--reuid=65534", "--regid=65534", "--clear-groups"])
        #expect(!closed.succeeded)
        // Somebody opens what the agent had closed.
        for (file, mode) in [(folder.path, 0o755), (folder.path + "/run", 0o755), (path, 0o666)] {
            try File.changeMode(of: file, to: UInt32(mode))
        }
        let open = try await ask(["--reuid=65534", "--regid=65534", "--clear-groups"])
        #expect(open.standardOutput.contains(#""code":"forbidden","message":"the user 65534 may not use the agent""#))
        await server.stop()
    }

    @Test("members of the socket's group may use it, whichever of their groups it is, and nobody else", .requiresRoot)
    func group() async throws {
        try File.changeMode(of: folder.path, to: 0o755)
        let server = try await start(members: 4242)
        #expect(try File.status(path).group == 4242)
        #expect(try File.status(path).mode == 0o660)
        #expect(try File.status(folder.path + "/run").mode == 0o710)
        for groups in [["--regid=4242", "--clear-groups"], ["--regid=65534", "--groups=1,4242"]] {
            let output = try await ask(["--reuid=65534"] + groups)
            #expect(output.standardOutput.contains(#""process":4711"#), "\(output.standardError)")
        }
        #expect(try await !ask(["--reuid=65534", "--regid=4243", "--clear-groups"]).succeeded)
        try File.changeMode(of: folder.path + "/run", to: 0o755)
        try File.changeMode(of: path, to: 0o666)
        let open = try await ask(["--reuid=65534", "--regid=4243", "--groups=1,2,3"])
        #expect(open.standardOutput.contains(#""code":"forbidden""#))
        await server.stop()
    }

    @Test("the client believes nobody but root and its own user", .requiresRoot)
    func impostor() async throws {
        try File.changeMode(of: folder.path, to: 0o777)
        let socket = folder.path + "/agent.sock"
        let impostor = try RunningProgram([
            "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c",
            "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); s.accept()",
            socket,
        ])
        while !File.exists(socket) { try await Task.sleep(for: .milliseconds(10)) }
        try await Task.sleep(for: .milliseconds(100))
        let error = await #expect(throws: AgentClientError.self) { try await status(socket) }
        #expect(error?.message == "who listens at \(socket) is the user 65534, and not root")
        #expect(impostor.wait().succeeded)
    }
}

extension Trait where Self == ConditionTrait {
    /// Needs to become other users.
    static var requiresRoot: ConditionTrait {
        .enabled(if: CurrentProcess.isRoot || Environment.current["CI"] != nil, "needs root")
    }
}
