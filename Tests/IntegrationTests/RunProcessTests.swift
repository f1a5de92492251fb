// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Testing

/// Exit codes, pipes and signals, as scripts meet them. Each script prints one line for each fact.
@Suite("a run in a script", .serialized, .requiresRoot)
struct RunProcessTests {
    private func expect(
        _ script: String,
        in internet: TestInternet,
        prints expected: String,
        _ location: SourceLocation = #_sourceLocation
    ) throws {
        let output = try internet.script("r() { egret run --report none \"$@\"; }\n" + script)
        #expect(output.standardOutput == expected + "\n", "\(output.standardError)", sourceLocation: location)
    }

    @Test("exit codes are the command's, or Egret's own from 125 to 127")
    func exitCodes() throws {
        try withInternet("rpexit") { internet in
            try expect(
                """
                ulimit -c 0
                for c in 0 1 42 124 255; do r -- sh -c "exit $c"; echo $?; done
                r -- /nonexistent/program; echo $?
                r -- no-such-program-anywhere; echo $?
                r -- /etc/passwd; echo $?
                r -- /etc; echo $?
                r -- ''; echo $?
                r --allow nonsense -- echo ran; echo $?
                r --user no-such-user -- echo ran; echo $?
                r; echo $?
                r --no-such-option -- echo ran; echo $?
                r --report-file /nonexistent/file -- echo ran; echo $?
                r --log-file /nonexistent/file -- echo ran; echo $?
                for s in TERM KILL INT SEGV PIPE; do r -- sh -c "kill -$s \\$\\$"; echo $?; done
                """,
                in: internet,
                prints: """
                    0
                    1
                    42
                    124
                    255
                    127
                    127
                    126
                    126
                    127
                    125
                    125
                    125
                    125
                    125
                    125
                    143
                    137
                    130
                    139
                    141
                    """)
            let remains = try internet.remains()
            #expect(remains == "")
        }
    }

    @Test("pipes and files are the command's own, open or closed")
    func pipes() throws {
        try withInternet("rppipe") { internet in
            try expect(
                """
                echo x | r -- cat | tr x y
                r -- yes | head -1; echo ${PIPESTATUS[0]}
                f=$(mktemp); echo from file >$f; r -- cat <$f; r -- sh -c 'echo more; exit 3' >>$f; echo $?; cat $f; rm $f
                r -- sh -c 'echo to stderr >&2' 2>&1
                r -- sh -c 'ls -l /proc/self/fd | grep -c "[0-9] -> "' 5</etc/passwd 9>/dev/null
                r -- sh -c 'test -e /proc/self/fd/1 && echo open >&2 || echo closed >&2' 2>&1 >&-
                r -- sh -c 'test -e /proc/self/fd/0 && echo open || echo closed' <&-
                r -- sh -c 'test -e /proc/self/fd/2 && echo open || echo closed' 2>&-
                r -- sh -c 'exit 6' <&- >&- 2>&-; echo $?
                egret run -- sh -c 'exit 7' 2>&-; echo $?
                egret run -- sh -c 'exit 8' 2>/dev/full; echo $?
                (egret run -- sh -c 'exit 9' 2>&1; echo $? >&2) 2>&1 >/dev/null | tail -1
                """,
                in: internet,
                prints: """
                    y
                    y
                    141
                    from file
                    3
                    from file
                    more
                    to stderr
                    4
                    closed
                    closed
                    closed
                    6
                    7
                    8
                    9
                    """)
            let remains = try internet.remains()
            #expect(remains == "")
        }
    }

    @Test("a signal sent to Egret reaches the command once, and an ignored one stays ignored")
    func signals() throws {
        try withInternet("rpsig") { internet in
            try expect(
                """
                set -m; f=$(mktemp)
                for s in TERM INT HUP USR1 USR2 QUIT; do
                    : >$f
                    setsid -w egret run --report none -- bash -c "trap 'echo got $s' $s; echo up >$f; for i in {1..8}; do \\
                        sleep 0.05; done; exit 5" &
                    until [ -s $f ]; do sleep 0.02; done
                    kill -$s $(pgrep -P $! -x egret || echo $!)
                    wait $!; echo $?
                done
                rm $f
                """,
                in: internet,
                prints: ["TERM", "INT", "HUP", "USR1", "USR2", "QUIT"].map { "got \($0)\n5" }.joined(separator: "\n"))
            try expect(
                """
                set -m; f=$(mktemp)
                nohup egret run --report none -- bash -c "kill -HUP \\$\\$; grep SigIgn /proc/self/status | tail -c2; \\
                    echo up >$f; sleep 0.3; exit 4" 2>/dev/null &
                until [ -s $f ]; do sleep 0.02; done
                kill -HUP $!
                wait $!; echo $?
                rm $f
                setsid -w egret run --report none -- sh -c ': </dev/tty' 2>/dev/null; echo $?
                timeout 0.3 egret run --report none -- sleep 10; echo $?
                f=$(mktemp); egret run --report none -- sh -c "echo up >$f; sleep 10" &
                until [ -s $f ]; do sleep 0.02; done
                kill -KILL $!; wait $!; echo $?; rm $f
                """,
                in: internet,
                prints: "1\n4\n2\n124\n137")
            let collected = try internet.script("egret gc")
            #expect(collected.standardOutput.hasPrefix("removed egret"))
            let remains = try internet.remains()
            #expect(remains == "")
        }
    }

    @Test("arguments, environment, mask and directory reach the command byte for byte")
    func bytes() throws {
        try withInternet("rpbytes") { internet in
            try expect(
                #"""
                r -- printf '%s|' $'a\nb' '' ' ' $'\xff\xfe' 'é' -- --allow | od -An -tx1 -v | tr -d ' \n'; echo
                ODD=$'\xff\x01=' r -- sh -c 'printf %s "$ODD"' | od -An -tx1 | tr -d ' \n'; echo
                env -i "PATH=$PATH" 'BASH_FUNC_x%%=() { :; }' '1=2' r=1 egret run --report none -- env | grep -v PATH | sort
                umask 027; r -- sh -c umask; umask 022
                d=$(mktemp -d)/$'dir \xfe\n'; mkdir "$d"; cd "$d"; r -- pwd | tail -c 4 | od -An -tx1 | tr -d ' \n'; echo
                r -- sh -c 'echo kept >file'; cat file; cd /; rm -r "${d%/*}"
                mkdir /run/only-here; cd /run/only-here; r -- pwd 2>/dev/null; echo $?; cd /; rmdir /run/only-here
                d=$(mktemp -d); cd $d; rmdir $d; r -- echo ran 2>&1 | grep -c 'working directory'; cd /
                mkdir -p /run/egret/x; cd /run/egret/x; r -- true 2>/dev/null; echo $?; cd /; rmdir /run/egret/x; rmdir /run/egret
                r -- sh -c 'ulimit -n; nice' >/dev/null; echo $?
                """#,
                in: internet,
                prints: """
                    610a627c7c207cfffe7cc3a97c2d2d7c2d2d616c6c6f777c
                    ff013d
                    1=2
                    BASH_FUNC_x%%=() { :; }
                    r=1
                    0027
                    20fe0a0a
                    kept
                    125
                    1
                    125
                    0
                    """)
            let remains = try internet.remains()
            #expect(remains == "")
        }
    }

    @Test("a command that makes daemons takes them with it at its end")
    func daemons() throws {
        try withInternet("rpdaemon") { internet in
            try expect(
                """
                f=$(mktemp); chmod 666 $f
                r -- sh -c "setsid sh -c '(sleep 1.2345; echo late >$f) & sleep 1.2345' >/dev/null 2>&1 & \\
                    (setsid nohup sleep 1.2345 >/dev/null 2>&1 &); sleep 0.1; exit 3"; echo $?
                pgrep -fxc 'sleep 1.2345'; sleep 1.3; cat $f; rm $f
                """,
                in: internet,
                prints: "3\n0")
            let remains = try internet.remains()
            #expect(remains == "")
        }
    }
}
