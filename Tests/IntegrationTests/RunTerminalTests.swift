// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretTesting
import Testing

/// What a person at a keyboard meets. In typed lines, `$((…))` keeps the echo from being taken for the output.
@Suite("a run at a terminal", .serialized, .requiresRoot)
struct RunTerminalTests {
    private func withShell(_ name: String, _ body: (TerminalSession) throws -> Void) throws {
        try withInternet(name) { internet in
            let session = try TerminalSession(internet, ["bash", "--norc", "--noediting", "-i"])
            try session.expect("outer> ")
            try body(session)
            try session.run("echo jobs $(jobs | wc -l)", "jobs 0")
            try session.run(
                "stty -a | grep -o 'isig icanon iexten echo ' | sed 's/^/tty /'", "tty isig icanon iexten echo")
            try session.type("exit\n")
            #expect(try session.waitForEnd(within: .seconds(5))?.isEnd == true)
            let remains = try internet.remains()
            #expect(remains == "")
        }
    }

    @Test("an interactive shell has its terminal, its size and job control, and gives the terminal back")
    func shell() throws {
        try withShell("rtshell") { outer in
            try outer.type("PS1='inner> ' egret run --report none -- bash --norc --noediting -i\n")
            let greeting = try outer.expect("inner> ")
            #expect(!greeting.contains("no job control"))
            try outer.run("stty size", "31 97")
            try outer.run("sh -c 'echo r$((1 + 1)); exec sleep 100'", "r2")
            try outer.type("\u{1a}")
            try outer.expect("Stopped")
            try outer.run("jobs; echo n$((40 + 2))", "n42")
            try outer.run("fg", "exec sleep 100")
            Poll.sleep(.milliseconds(100))
            try outer.type("\u{3}")
            try outer.expect("inner> ", typingAgain: "\u{3}")
            try outer.run("echo i$?", "i130")
            try outer.run("(exit 3); echo c$?", "c3")
            try outer.run("sleep 0.1 & wait; echo b$?", "b0")
            try outer.type("exit 7\n")
            try outer.expect("outer> ")
            try outer.run("echo code $?", "code 7")
            try outer.run("cat | sed -u s/x/y/", "\r\n")
            try outer.run("xx", "yx")
            try outer.type("\u{4}")
        }
    }

    @Test("Ctrl-Z stops a run as its shell sees it, fg and bg go on with it")
    func stop() throws {
        try withShell("rtstop") { outer in
            try outer.type(
                "egret run --report none -- sh -c 'trap \"\" INT; echo r$((1 + 1)); read x; echo got $x; exit 5'\n")
            try outer.expect("r2")
            try outer.type("\u{1a}")
            try outer.expect("Stopped")
            try outer.expect("outer> ")
            try outer.run("echo s$?", "s148")
            try outer.run("jobs -s | wc -l", "1")
            try outer.type("bg\n")
            // In the background it may not read: it is stopped again.
            try outer.run("until jobs -s | grep -q .; do sleep 0.05; done; echo n$(jobs -s | wc -l)", "n1")
            try outer.type("fg\n")
            try outer.expect("egret run")
            try outer.run("hello", "got hello")
            try outer.run("echo e$?", "e5")
        }
    }

    @Test("a shell inside can suspend itself, and is back in the foreground after fg")
    func suspend() throws {
        try withShell("rtsusp") { outer in
            try outer.type("PS1='inner> ' egret run --report none -- bash --norc --noediting -i\n")
            try outer.expect("inner> ")
            try outer.type("suspend\n")
            try outer.expect("Stopped")
            try outer.run("echo s$((2 + 2))", "s4")
            try outer.type("fg\n")
            try outer.run("echo f$((2 + 3))", "f5")
            try outer.run("sh -c 'echo r$((1 + 1)); exec sleep 50'", "r2")
            try outer.type("\u{3}")
            try outer.run("echo i$?", "i130")
            try outer.type("exit\n")
            try outer.expect("outer> ")
        }
    }

    @Test("the interrupt and quit keys end a run as they end its command")
    func keys() throws {
        try withShell("rtkeys") { outer in
            try outer.run("ulimit -c 0; echo l$((1 + 0))", "l1")
            try outer.type("egret run --report none -- sh -c 'echo r$((1 + 1)); exec sleep 100'\n")
            try outer.expect("r2")
            try outer.type("\u{3}")
            try outer.run("echo s$?", "s130")
            try outer.type("egret run --report none -- sh -c 'echo r$((1 + 2)); exec sleep 100'\n")
            try outer.expect("r3")
            try outer.type("\u{1c}")
            try outer.expect("Quit")
            try outer.run("echo s$?", "s131")
            try outer.type(
                "egret run --report none -- sh -c 'trap \"echo t$((3 + 3)); exit 9\" INT; echo r$((1 + 3)); while :; do sleep 0.1; done'\n"
            )
            try outer.expect("r4")
            try outer.type("\u{3}")
            try outer.expect("t6")
            try outer.run("echo s$?", "s9")
        }
    }

    @Test("an editor opens, stops, goes on and leaves the terminal as it was")
    func editor() throws {
        try withShell("rtvim") { outer in
            try outer.run("cd $(mktemp -d); echo d$((1 + 1))", "d2")
            try outer.type("egret run --report none -- vim.tiny -u NONE -N file\n")
            try outer.expect("~")
            try outer.type("ione two\u{1b}:w\r")
            try outer.expect("written")
            try outer.type(":suspend\r")
            try outer.expect("Stopped")
            try outer.run("cat file", "one two")
            try outer.type("fg\n")
            try outer.expect("one two")
            try outer.type("\u{1a}")
            try outer.expect("Stopped")
            try outer.type("fg\n")
            try outer.expect("one two")
            try outer.type("othree\u{1b}:wq\r")
            try outer.expect("outer> ")
            try outer.run("tail -1 file; pwd=$PWD; cd /; rm -r $pwd", "three")
        }
    }

    @Test("a change of the window's size reaches the command")
    func windowSize() throws {
        try withShell("rtsize") { outer in
            try outer.type(
                "egret run --report none -- bash -c 'trap \"stty size; exit\" WINCH; echo r$((1 + 1)); while :; do sleep 0.1; done'\n"
            )
            try outer.expect("r2")
            try outer.terminal.terminal.setSize(Terminal.Size(rows: 50, columns: 120))
            try outer.expect("50 120")
            try outer.expect("outer> ")
        }
    }

    @Test("a run in the background does not take the terminal, and is heard of when it ends")
    func background() throws {
        try withShell("rtback") { outer in
            try outer.run("egret run --report none -- sh -c 'sleep 0.4; exit 4' & echo b$((1 + 1))", "b2")
            try outer.run("wait $!; echo w$?", "w4")
            try outer.run("egret run --report none -- true | egret run --report none -- cat; echo p$?", "p0")
            try outer.run("egret run --report none -- bash -c 'bash -ic \"exit 6\"'; echo n$?", "n6")
        }
    }

    @Test("the report has colour at a terminal, and none with NO_COLOR or TERM=dumb")
    func colour() throws {
        try withShell("rtcol") { outer in
            try outer.type("egret run -- true; echo e$((1 + 1))\n")
            #expect(try outer.expect("e2").contains("\u{1b}[1megret: \u{1b}[0m"))
            for setting in ["NO_COLOR=1", "TERM=dumb"] {
                try outer.type("\(setting) egret run -- true; echo e$((1 + 2))\n")
                let text = try outer.expect("e3")
                #expect(text.contains("egret: true ended") && !text.contains("\u{1b}[1m"))
            }
        }
    }

    @Test("the interrupt key during set-up or tear-down leaves nothing behind")
    func interruptedSetUp() throws {
        try withShell("rtintr") { outer in
            for step in 0..<12 {
                try outer.type("egret run --report none -- sleep 100; echo d$((7 * 6))\n")
                try outer.waitForForeground("egret")
                Poll.sleep(.milliseconds(6 * step))
                try outer.type("\u{3}")
                try outer.expect("outer> ")
            }
        }
    }
}

extension Poll {
    /// Waits for nothing but the time.
    static func sleep(_ time: Duration) {
        var poll = Poll()
        _ = try? poll.wait(timeout: time)
    }
}
