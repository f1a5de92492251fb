// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Testing

/// What Egret says before the command starts.
@Suite("hints of a run", .serialized, .requiresRoot)
struct RunHintTests {
    private let root =
        "egret: warning: the command runs as root and can touch root's files; --user runs it as somebody else"

    private func hints(_ internet: TestInternet, _ flags: String...) throws -> [String] {
        let output = try internet.egret(flags, ["true"]).standardError
        return output.split(separator: "\n").map(String.init).filter { $0.hasPrefix("egret: warning: ") }
    }

    @Test("that names do not resolve is said once, with the flag that helps, and only then")
    func resolver() throws {
        try withInternet("rhint") { internet in
            let silent = try hints(internet, "--user", "nobody", "--allow", "*:53/udp")
            #expect(silent == [])
            let hint = try #require(try hints(internet, "--user", "nobody", "--allow", "203.0.113.10").first)
            let flag = try #require(hint.split(separator: "; add ").last)
            #expect(hint.hasPrefix("egret: warning: names do not resolve: no rule lets queries to "))
            #expect(
                try hints(
                    internet, "--user", "nobody", String(flag.split(separator: " ")[0]),
                    String(flag.split(separator: " ")[1])) == [])
            let loopback = try hints(internet, "--user", "nobody", "--dns", "127.0.0.1", "--allow", "*")
            #expect(loopback.filter { $0.contains("127.0.0.1 is on the host's loopback") }.count == 1)
        }
    }

    @Test("that a command runs as root is said, unless it was asked for or nobody reads it")
    func rootUser() throws {
        try withInternet("rhroot") { internet in
            #expect(try hints(internet, "--allow", "*:53/udp").contains(root))
            #expect(try hints(internet, "--user", "root", "--allow", "*:53/udp").contains(root) == false)
            #expect(try hints(internet, "--report", "none") == [])
            let json = try internet.egret(["--report", "json"], ["true"]).standardError
            #expect(json.hasPrefix("{") && json.contains("names do not resolve"))
        }
    }

    @Test("a socket to expose that does not exist stops the run")
    func exposed() throws {
        try withInternet("rhexp") { internet in
            let output = try internet.script(
                """
                egret run --expose-socket /run/no-such.sock --expose-socket run/docker.sock -- echo ran; echo $?
                """)
            #expect(output.standardOutput == "125\n")
            #expect(
                output.standardError == """
                    egret: --expose-socket /run/no-such.sock: there is nothing at this path
                    egret: --expose-socket run/docker.sock: the path must begin with /

                    """)
        }
    }
}
