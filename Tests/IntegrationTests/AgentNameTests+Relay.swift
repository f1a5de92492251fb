// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Testing

/// Connections by name over the end of an agent, which another process holds.
extension AgentNameTests {
    @Test("connections by name outlive a killed agent and a restart, and end by policies that come then")
    func outliving() throws {
        try expect(
            "anoutlive",
            """
            lab; start; allow a 'www.example.test, files.example.test'
            fetch() { inside a curl -sk -m 60 --limit-rate 4M $1.example.test/bytes/$2 | wc -c >$3; }
            fetch http://www 100000000 plain & plain=$!; fetch https://www 100000000 tls & tls=$!
            fetch https://files 100000000 files & files=$!
            head -c 80000000 /dev/zero >body
            inside a curl -sk -m 60 --limit-rate 4M --data-binary @body https://www.example.test/ >up & up=$!
            sleep 1; stat -c '%a %F' /run/egret/names-*.relay; egret get status | grep held
            for i in 1 2; do killed; sleep 1; start; sleep 0.5; done
            kill $agent; wait $agent 2>/dev/null; sleep 0.5; start
            # Another connection of the same endpoint, by the next agent and the same relay.
            get a https://www.example.test
            allow a www.example.test; wait $files; [ $(cat files) -lt 100000000 ] && echo files ended
            wait $plain $tls $up; echo $(cat plain) $(cat tls); grep -o 80000000 up
            grep -c 'connections to names go on with this process alone' log
            # Nobody has rules about names any more.
            fetch https://www 100000000 last & last=$!
            sleep 1; killed; start; egret delete EgressPolicy/a >/dev/null; wait $last
            [ $(cat last) -lt 100000000 ] && echo the last ended; ls /run/egret/*.relay 2>/dev/null
            finish
            """,
            prints: """
                600 socket
                held       4 connections
                a: 200
                files ended
                100000000 100000000
                80000000
                0
                the last ended
                """)
    }

    @Test("a connection of HTTP goes on with its name while no agent runs, and waits for one with another")
    func keptAlive() throws {
        try expect(
            "analive",
            """
            cat >keep.py <<'PY'
            import http.client, sys
            c = http.client.HTTPConnection("www.example.test", timeout=30)
            def ask(name):
                c.request("GET", "/", headers={"Host": name})
                r = c.getresponse(); r.read()
                print(name, r.status, flush=True)
            for name in sys.stdin:
                try: ask(name.strip())
                except OSError as error: print(type(error).__name__, flush=True)
            PY
            said() { for i in {1..300}; do [ "$(wc -l <kept)" -ge $1 ] && return; sleep 0.05; done; echo not said; }
            lab; start; allow a 'www.example.test, other.example.test'; ask a other.example.test
            mkfifo names; inside a python3 keep.py <names >kept & client=$!; exec 5>names
            echo www.example.test >&5; said 1; killed
            echo www.example.test >&5; said 2
            echo other.example.test >&5; sleep 1; wc -l <kept
            start 5>&-; said 3
            allow a www.example.test
            echo other.example.test >&5; said 4
            exec 5>&-; wait $client; cat kept; finish
            """,
            prints: """
                status: NOERROR
                2
                www.example.test 200
                www.example.test 200
                other.example.test 200
                ConnectionResetError
                """)
    }

    @Test("where the relay is killed, its connections end, and the agent has another one hold the next")
    func lostRelay() throws {
        try expect(
            "anlostrelay",
            """
            lab; start; allow a www.example.test
            fetch() { inside a curl -sk -m 60 --limit-rate 4M https://www.example.test/bytes/$1 | wc -c >$2; }
            relay() { pgrep -f '^egret-relay$' -P $agent; }
            fetch 100000000 first & first=$!
            sleep 1; former=$(relay); awk '/^(Seccomp_filters|CapEff|NoNewPrivs)/ { print $1, $2 }' /proc/$former/status
            kill -9 $former; wait $first; [ $(cat first) -lt 100000000 ] && echo the first ended
            for i in {1..100}; do [ -n "$(relay)" ] && [ "$(relay)" != $former ] && break; sleep 0.05; done
            grep -c 'connections to names go on with this process alone' log
            fetch 20000000 second & second=$!
            sleep 1; killed; wait $second; cat second
            start; get a https://www.example.test; finish
            """,
            prints: """
                CapEff: 0000000000000000
                NoNewPrivs: 1
                Seccomp_filters: 2
                the first ended
                1
                20000000
                a: 200
                """)
    }
}
