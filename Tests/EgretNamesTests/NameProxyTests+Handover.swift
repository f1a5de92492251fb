// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux
import EgretNames
import EgretTesting
import Testing

/// A proxy ends, and another goes on with its sockets.
extension NameProxyTests {
    /// Starts a program on the client and waits until it has printed a word.
    private func start(_ program: String, on bench: NameBench, until word: String) throws -> RunningProgram {
        let client = try RunningProgram(["ip", "netns", "exec", NameBench.client, "python3", "-u", program])
        for _ in 0..<2_000 {
            if client.outputSoFar.contains(word) { return client }
            _ = try runProgram(["sleep", "0.005"])
        }
        throw LabError("starting \(program)", reason: client.outputSoFar)
    }

    /// Waits until the server that was started last has a question: the proxy has read it then.
    private func waitForQuestion(_ bench: NameBench) throws {
        for _ in 0..<2_000 {
            if bench.serverOutput.contains("asked") { return }
            _ = try runProgram(["sleep", "0.005"])
        }
        throw LabError("waiting for a question", reason: bench.serverOutput)
    }

    @Test("what is asked between two proxies waits in the sockets, over both families and protocols, and is answered")
    func handover() throws {
        let bench = try NameBench([.allow(0, "www.example.test")])
        try bench.startKnot()
        #expect(try bench.short(NameBench.knot, "www.example.test").count == 2)
        let sockets = bench.proxy.sockets
        #expect(sockets.count == 4)
        bench.proxy.finish(within: .seconds(2))
        #expect(bench.proxy.sockets.isEmpty)
        let program = try bench.file(
            "between.py",
            """
            import socket, struct
            q = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + b"\\3www\\7example\\4test\\0\\0\\1\\0\\1"
            waiting = []
            for server in ("\(NameBench.knot)", "\(NameBench.knot6)"):
                u = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM)
                u.sendto(q, (server, 53)); waiting.append((u, 0))
                c = socket.create_connection((server, 53), 5)
                c.sendall(struct.pack(">H", len(q)) + q); waiting.append((c, 2))
            print("asked")
            for s, start in waiting:
                s.settimeout(20)
                print(s.recv(2048)[start + 7])
            """)
        let client = try start(program, on: bench, until: "asked")
        let sets = try NameSets(table: "names") { _, rule, family in "rule\(rule)-\(family)" }
        let next = try NameProxy(
            registry: bench.proxy.registry, port: bench.proxy.port, former: sockets, isHeld: true,
            hooks: NameProxy.Hooks(commit: { sets.commit($0) }))
        defer { next.stop() }
        #expect(next.port == bench.proxy.port)
        for (place, socket) in sockets { #expect(next.sockets[place] === socket) }
        // Not before it is told to.
        _ = try runProgram(["sleep", "0.2"])
        #expect(client.outputSoFar == "asked\n")
        next.begin()
        #expect(client.wait(timeout: .seconds(40)).standardOutput == "asked\n2\n2\n2\n2\n")
    }

    @Test("more questions than an endpoint may have under way have waited, and each is answered")
    func backlog() throws {
        let bench = try NameBench([.allow(0, "www.example.test")])
        let server = try bench.file(
            "patient.py",
            """
            import collections, select, socket, time
            s = socket.socket(type=socket.SOCK_DGRAM)
            s.setsockopt(socket.SOL_SOCKET, 33, 1 << 22)
            s.bind(("\(NameBench.liar)", 53)); print("ready", flush=True)
            queue = collections.deque()
            while True:
                wait = max(0, queue[0][0] - time.monotonic()) if queue else None
                if select.select([s], [], [], wait)[0]:
                    q, peer = s.recvfrom(4096)
                    question = q[12:q.index(b"\\0", 12) + 5]
                    record = b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\4\\xcb\\0\\x71\\x0a"
                    answer = q[:2] + b"\\x81\\x80\\0\\1\\0\\1\\0\\0\\0\\0" + question + record
                    queue.append((time.monotonic() + 0.1, answer, peer))
                while queue and queue[0][0] <= time.monotonic(): s.sendto(*queue.popleft()[1:])
            """)
        try bench.startServer(["python3", server], ready: "ready")
        let sockets = bench.proxy.sockets
        bench.proxy.finish(within: .seconds(2))
        let program = try bench.file(
            "many.py",
            """
            import socket, struct
            u = socket.socket(type=socket.SOCK_DGRAM); u.settimeout(10)
            u.setsockopt(socket.SOL_SOCKET, 33, 1 << 22)
            for i in range(700):
                q = struct.pack(">HHHHHH", i, 0x100, 1, 0, 0, 0) + b"\\3www\\7example\\4test\\0\\0\\1\\0\\1"
                u.sendto(q, ("\(NameBench.liar)", 53))
            print("asked")
            ids = set()
            try:
                while len(ids) < 700:
                    m = u.recv(2048)
                    if m[7] == 1: ids.add(m[:2])
            except OSError: pass
            print(len(ids))
            """)
        let client = try start(program, on: bench, until: "asked")
        let sets = try NameSets(table: "names") { _, rule, family in "rule\(rule)-\(family)" }
        let next = try NameProxy(
            registry: bench.proxy.registry, port: bench.proxy.port, former: sockets,
            hooks: NameProxy.Hooks(commit: { sets.commit($0) }))
        defer { next.stop() }
        #expect(client.wait(timeout: .seconds(60)).standardOutput == "asked\n700\n")
    }

    @Test("a socket that does not fit is left alone, and another is opened at the port")
    func misfit() throws {
        let bench = try NameBench([.allow(0, "www.example.test")])
        try bench.startKnot()
        var sockets = bench.proxy.sockets
        bench.proxy.finish(within: .seconds(2))
        sockets[.datagrams4] = sockets[.datagrams6]
        let sets = try NameSets(table: "names") { _, rule, family in "rule\(rule)-\(family)" }
        let next = try NameProxy(
            registry: bench.proxy.registry, port: bench.proxy.port, former: sockets,
            hooks: NameProxy.Hooks(commit: { sets.commit($0) }))
        defer { next.stop() }
        #expect(next.sockets[.datagrams4] !== sockets[.datagrams4])
        #expect(next.sockets[.datagrams6] === sockets[.datagrams6])
        for transport in ["+notcp", "+tcp"] {
            #expect(try bench.short(NameBench.knot, transport, "www.example.test").count == 2)
        }
    }

    @Test("a proxy that finishes answers what it has read, and ends the connections of clients")
    func finishing() throws {
        let bench = try NameBench([.allow(0, "www.example.test")])
        let server = try bench.file(
            "late.py",
            """
            import socket, time
            s = socket.socket(type=socket.SOCK_DGRAM); s.bind(("\(NameBench.liar)", 53)); print("ready", flush=True)
            while True:
                q, peer = s.recvfrom(4096)
                print("asked", flush=True); time.sleep(1)
                question = q[12:q.index(b"\\0", 12) + 5]
                record = b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\4\\xcb\\0\\x71\\x0a"
                s.sendto(q[:2] + b"\\x81\\x80\\0\\1\\0\\1\\0\\0\\0\\0" + question + record, peer)
            """)
        try bench.startServer(["python3", server], ready: "ready")
        let program = try bench.file(
            "ask.py",
            """
            import socket, struct
            def q(name): return struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + name + b"\\0\\0\\1\\0\\1"
            c = socket.create_connection(("\(NameBench.liar)", 53), 5); c.settimeout(20)
            m = q(b"\\4evil\\4test"); c.sendall(struct.pack(">H", len(m)) + m); print("refused", c.recv(512)[5] & 15)
            u = socket.socket(type=socket.SOCK_DGRAM); u.settimeout(20)
            u.sendto(q(b"\\3www\\7example\\4test"), ("\(NameBench.liar)", 53))
            print("asked")
            print("answers", u.recv(512)[7]); print("ended", c.recv(512) == b"")
            """)
        let client = try start(program, on: bench, until: "asked")
        try waitForQuestion(bench)
        let begin = ContinuousClock.now
        bench.proxy.finish(within: .seconds(20))
        #expect(ContinuousClock.now - begin < .seconds(10))
        #expect(client.wait(timeout: .seconds(40)).standardOutput == "refused 5\nasked\nanswers 1\nended True\n")
    }

    @Test("a proxy that finishes waits no longer than it may")
    func finishingLate() throws {
        let bench = try NameBench([.allow(0, "www.example.test")])
        let server = try bench.file(
            "mute.py",
            """
            import socket
            s = socket.socket(type=socket.SOCK_DGRAM); s.bind(("\(NameBench.liar)", 53)); print("ready", flush=True)
            while True: s.recvfrom(4096); print("asked", flush=True)
            """)
        try bench.startServer(["python3", server], ready: "ready")
        let program = try bench.file(
            "mute-ask.py",
            """
            import socket, struct
            q = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + b"\\3www\\7example\\4test\\0\\0\\1\\0\\1"
            u = socket.socket(type=socket.SOCK_DGRAM); u.sendto(q, ("\(NameBench.liar)", 53))
            print("asked")
            """)
        let client = try start(program, on: bench, until: "asked")
        try waitForQuestion(bench)
        let begin = ContinuousClock.now
        bench.proxy.finish(within: .milliseconds(300))
        let took = ContinuousClock.now - begin
        #expect(took >= .milliseconds(290) && took < .seconds(2), "\(took)")
        #expect(client.wait().succeeded)
    }
}
