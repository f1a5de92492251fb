// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Testing

/// An agent ends and another starts, with a service manager that keeps the sockets between them.
extension AgentNameTests {
    /// Shell functions: `manage` starts an agent under a service manager, whose process is in `agent`; `restart` has it end the
    /// agent and start another half a second later, and returns in between.
    private static let manager = """
        cat >manager.py <<'PY'
        import fcntl, os, select, signal, socket, sys, time
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind("notify")
        store, wanted, told = [], [], open("told", "a", 1)

        def start():
            agent = os.fork()
            if agent: return agent
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            environment = dict(os.environ, NOTIFY_SOCKET=os.getcwd() + "/notify")
            if store:
                names = ":".join(name for name, _ in store)
                environment.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(store)), LISTEN_FDNAMES=names)
            kept = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, 100) for _, one in store]
            for place, one in enumerate(kept): os.dup2(one, 3 + place)
            os.execvpe(sys.argv[1], sys.argv[1:], environment)

        def hear(seconds):
            if not select.select([notify], [], [], seconds)[0]: return False
            text, descriptors, _, _ = socket.recv_fds(notify, 65536, 8)
            lines = dict(line.split("=", 1) for line in text.decode().split("\\n"))
            if "FDSTORE" in lines:
                for one in descriptors:
                    os.set_inheritable(one, False)
                    store.append((lines["FDNAME"], one))
            if "FDSTOREREMOVE" in lines:
                for entry in [entry for entry in store if entry[0] == lines["FDNAME"]]:
                    store.remove(entry)
                    os.close(entry[1])
            with open("stored.new", "w") as file: print(*sorted(name for name, _ in store), file=file)
            os.rename("stored.new", "stored")
            print(text.decode().split("\\n")[0], file=told)
            return True

        signal.signal(signal.SIGUSR1, lambda *_: wanted.append("restart"))
        signal.signal(signal.SIGTERM, lambda *_: wanted.append("end"))
        agent = start()
        while True:
            hear(0.02)
            if not wanted: continue
            os.kill(agent, signal.SIGTERM)
            while os.waitpid(agent, os.WNOHANG)[0] == 0: hear(0.005)
            while hear(0): pass
            print("ended", file=told)
            if wanted.pop(0) == "end": break
            time.sleep(0.5)
            agent = start()
        PY
        reaches() { for i in {1..2000}; do [ "$(grep -c "$1" told)" -ge $2 ] && return; sleep 0.01; done; echo "no $1"; }
        manage() {
            touch told
            python3 manager.py egret agent --state $PWD/agent --dns 198.51.100.20 "$@" >>$PWD/log 2>&1 & agent=$!
            reaches READY 1
        }
        restart() { kill -USR1 $agent; reaches ended $1; }
        # Questions, each of which is asked once: so many over UDP, 200 a second, and a twentieth of that over TCP.
        cat >ask.py <<'PY'
        import resource, select, socket, struct, sys, threading, time
        resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
        count, server = int(sys.argv[1]), ("198.51.100.20", 53)
        def question(i): return struct.pack(">HHHHHH", i, 0x100, 1, 0, 0, 0) + b"\\3www\\7example\\4test\\0\\0\\1\\0\\1"
        def answers(i, m): return len(m) > 12 and struct.unpack(">H", m[:2])[0] == i and m[3] & 15 == 0 and m[7] > 0
        streams, threads = [], []

        def stream(i):
            try:
                with socket.create_connection(server, 5) as s:
                    s.settimeout(5)
                    q = question(i)
                    s.sendall(struct.pack(">H", len(q)) + q)
                    m = b""
                    while len(m) < 2 or len(m) < 2 + struct.unpack(">H", m[:2])[0]:
                        more = s.recv(2048)
                        if not more: raise OSError("the end")
                        m += more
                    if answers(i, m[2:]): streams.append(i)
            except OSError as error: print("TCP", i, error, file=sys.stderr)

        poll, waiting, answered, longest, begin, i = select.epoll(), {}, 0, 0, time.monotonic(), 0
        while i < count or waiting:
            now = time.monotonic()
            if i < count and now >= begin + i / 200:
                s = socket.socket(type=socket.SOCK_DGRAM)
                s.connect(server)
                s.send(question(i))
                waiting[s.fileno()] = (s, i, now)
                poll.register(s, select.EPOLLIN)
                if i % 20 == 0:
                    threads.append(threading.Thread(target=stream, args=(i,)))
                    threads[-1].start()
                i += 1
                continue
            for number, _ in poll.poll(max(0.001, begin + i / 200 - now) if i < count else 0.05):
                s, n, at = waiting.pop(number)
                try:
                    if answers(n, s.recv(2048)): answered += 1
                    longest = max(longest, time.monotonic() - at)
                except OSError as error: print("UDP", n, error, file=sys.stderr)
                poll.unregister(number)
                s.close()
            for number in [number for number, (_, _, at) in waiting.items() if now - at > 5]:
                s, n, at = waiting.pop(number)
                print("UDP", n, "asked at", at - begin, "has no answer", file=sys.stderr)
                poll.unregister(number)
                s.close()
        for thread in threads: thread.join()
        print(f"the longest took {longest:.3f} s", file=sys.stderr)
        print(f"{answered} of {count} over UDP, {len(streams)} of {len(threads)} over TCP")
        PY

        """

    @Test("an upgrade loses no question: those that were read are answered, the others wait for the next agent")
    func handover() throws {
        try withNames("anhandover") { internet in
            let directory = try TemporaryDirectory()
            let output = try internet.script(
                "cd \(directory.path)\n" + AgentNameTests.helpers + AgentNameTests.manager + """
                    lab; manage; allow a 'www.example.test, slow.example.test'
                    get a https://www.example.test; cat stored
                    inside a python3 ask.py 1600 >asked & asking=$!
                    sleep 2
                    # Its answer takes a second: it is under way when the agent is told to end.
                    ask a +time=5 slow.example.test >slow & slow=$!
                    sleep 0.3; restart 1; wait $slow; cat slow
                    # A connection while there is no agent.
                    get a --resolve www.example.test:443:203.0.113.10 https://www.example.test
                    reaches READY 2; grep -o 'goes on with .* agent' log; cat stored
                    wait $asking; cat asked
                    # Nobody has rules about names any more.
                    egret delete EgressPolicy/a >/dev/null
                    for i in {1..200}; do [ -z "$(cat stored)" ] && break; sleep 0.05; done; cat stored
                    finish
                    cat log >&2
                    """, timeout: .seconds(300))
            #expect(
                output.standardOutput == """
                    a: 200
                    checks-tcp4 checks-tcp6 questions-tcp4 questions-tcp6 questions-udp4 questions-udp6
                    status: NOERROR
                    a: 200
                    goes on with 6 sockets of a former agent
                    checks-tcp4 checks-tcp6 questions-tcp4 questions-tcp6 questions-udp4 questions-udp6
                    1600 of 1600 over UDP, 80 of 80 over TCP


                    """, "\(output.standardError)")
            // The agent that had read it has answered it, and has sent it once more meanwhile, as if it were lost.
            let asked = internet.resolverLog(of: .friend).filter { $0.lowercased() == "udp a slow.example.test" }
            #expect(asked.count == 2, "\(asked)")
            let remains = try internet.remains()
            #expect(remains.split(separator: "\n").filter { !$0.hasSuffix(".lock") } == [])
        }
    }

    @Test("where the store of policies is gone, the sockets stay kept until policies are applied again")
    func lostStore() throws {
        try expect(
            "anlost",
            AgentNameTests.manager + """
                lab; manage; allow a www.example.test; get a https://www.example.test
                restart 1; rm -f agent/agent.sqlite*; reaches READY 2; cat stored
                allow a www.example.test; get a https://www.example.test
                grep -o 'goes on with .* agent' log; cat stored
                finish
                """,
            prints: """
                a: 200
                checks-tcp4 checks-tcp6 questions-tcp4 questions-tcp6 questions-udp4 questions-udp6
                a: 200
                goes on with 6 sockets of a former agent
                checks-tcp4 checks-tcp6 questions-tcp4 questions-tcp6 questions-udp4 questions-udp6
                """)
    }

    @Test("what a service manager promises and does not hand over is told, and the agent works and ends as ever")
    func promised() throws {
        try expect(
            "anpromised",
            """
            lab
            sh -c 'export LISTEN_PID=$$ LISTEN_FDS=40
            exec egret agent --state $PWD/agent --dns 198.51.100.20' >>log 2>&1 & agent=$!
            for i in {1..200}; do egret get status >/dev/null 2>&1 && break; sleep 0.05; done
            allow a www.example.test; get a https://www.example.test
            grep -q 'is not what the service manager says, unknown: nothing is open there' log && echo told
            kill $agent; for i in {1..400}; do jobs -pr | grep -qx $agent || break; sleep 0.05; done
            jobs -pr | grep -cx $agent; grep -c 'ended; the kernel goes on' log
            finish
            """,
            prints: """
                a: 200
                told
                0
                1
                """)
    }
}
