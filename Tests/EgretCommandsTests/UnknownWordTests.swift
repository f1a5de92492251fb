// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretTesting
import Testing

@testable import EgretCommands

@Suite("words that a command does not know")
struct UnknownWordTests {
    @Test(
        "the nearest command or option is named",
        arguments: [
            (["explan"], "unknown command explan; did you mean explain?", "egret"),
            (["rum", "--", "true"], "unknown command rum; did you mean run?", "egret"),
            (["zzzzzz"], "unknown command zzzzzz", "egret"),
            (["explain", "--alow", "x"], "unknown option --alow; did you mean --allow?", "egret explain"),
            (["explain", "--pots=1"], "unknown option --pots; did you mean --port?", "egret explain"),
            (["gc", "--allow"], "unknown option --allow", "egret gc"),
            (["explain", "--xyzzyx", "x"], "unknown option --xyzzyx", "egret explain"),
            (["run", "--polcy", "-"], "unknown option --polcy; did you mean --policy?", "egret run"),
            (["help", "nope"], "unknown command nope", "egret"),
            (["help", "network", "creat"], "unknown command creat; did you mean create?", "egret network"),
            (["network", "help"], "unknown command help", "egret network"),
            (["network", "list"], "unknown command list; did you mean ls?", "egret network"),
            (["network", "delete", "br0"], "unknown command delete; did you mean rm?", "egret network"),
            (["network", "show", "br0"], "unknown command show; did you mean inspect?", "egret network"),
            (["rm", "x"], "unknown command rm; did you mean delete?", "egret"),
            (["publish", "list"], "unknown command list; did you mean ls?", "egret publish"),
            (
                ["publish", "8080:80/tcp", "ns0", "--form", "192.0.2.1"],
                "unknown option --form; did you mean --from?", "egret publish add"
            ),
            (["publish", "--form=192.0.2.1"], "unknown option --form; did you mean --from?", "egret publish add"),
            (["explain", "--a\u{1b}[31mllow"], "unknown option --a\\u{1b}[31mllow", "egret explain"),
        ])
    func unknown(_ arguments: [String], _ message: String, _ command: String) throws {
        let unknown = try #require(UnknownWord.find(in: arguments, of: EgretCommand.self))
        #expect(unknown.lines[0].hasPrefix("egret: \(message)"))
        #expect(unknown.meant == nil || unknown.lines[0] == "egret: \(message)")
        #expect(unknown.lines[1] == "       see \(command) --help")
    }

    @Test(
        "what is known, a value, or behind -- is not found",
        arguments: [
            [], ["run", "--allow", "x", "--", "--alow"], ["explain", "-f", "-", "--to=x"], ["help", "run"],
            ["--version"], ["explain", "--help"], ["gc", "-o", "json"], ["run", "--dns", "-1"],
            ["publish", "8080:80/tcp"], ["publish", "--from", "192.0.2.1", "8080:80/tcp"], ["publish", "add", "ns0"],
            ["nat", "br0"], ["help", "network", "create"], ["help", "help"],
        ])
    func known(_ arguments: [String]) {
        #expect(UnknownWord.find(in: arguments, of: EgretCommand.self) == nil)
    }

    @Test("egret run names the option that was meant, and knows all its own")
    func run() {
        #expect(RunFailure.unknownOption("--alow=1").message == "unknown option --alow=1; did you mean --allow?")
        #expect(RunFailure.unknownOption("--expose-sockets").message.hasSuffix("did you mean --expose-socket?"))
        #expect(RunFailure.unknownOption("--q").message == "unknown option --q")
    }

    @Test("a command that cannot be executed is told as a shell tells it")
    func notExecuted() throws {
        func failure(_ command: String, _ errno: Errno) -> String {
            RunFailure.cannotExecute(command, LinuxError(errno, operation: "run", object: command)).message
        }
        let directory = try TemporaryDirectory()
        let script = directory.path + "/script"
        try write("#!/nonexistent/interpreter\n", to: script)
        #expect(failure("no-such", .noEntry) == "no-such: command not found")
        #expect(failure("./no-such", .noEntry) == "./no-such: No such file or directory")
        #expect(failure(script, .noEntry) == "\(script): the program that is to interpret it does not exist")
        #expect(failure("/etc", .accessDenied) == "/etc: Is a directory")
        #expect(failure("/etc/passwd", .accessDenied) == "/etc/passwd: Permission denied")
        #expect(failure("a\u{1b}c", .noEntry) == "a\\u{1b}c: command not found")
    }
}
