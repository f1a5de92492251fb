// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretTesting
import Foundation
import Testing

@Suite("what a command line that is no command is told")
struct UsageTests {
    private func egret(_ arguments: [String], under program: [String] = []) throws -> ProgramOutput {
        let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let path = URL(fileURLWithPath: tests).deletingLastPathComponent().appendingPathComponent("egret").path
        return try runProgram(program + [path] + arguments)
    }

    @Test(
        "what is missing or wrong is said, and how to write it",
        arguments: [
            (["publish", "8080:80/tcp"], "Missing expected argument '<namespace>'"),
            (["publish", "8080:80/tcp"], "Usage: egret publish <ports> <namespace> [--host-ip <address>]"),
            (["publish", "8080:80/tcp", "ns0", "--form", "192.0.2.1"], "did you mean --from?"),
            (["help", "nope"], "egret: unknown command nope\n       see egret --help\n"),
            (["help", "network", "delete"], "unknown command delete; did you mean rm?"),
            (["doctor", "ns0", "--to", "192.0.2.1:443"], "the port goes with --port"),
            (["limit", "shop/web"], "[--connections <number>]"),
        ])
    func mistakes(_ arguments: [String], _ expected: String) throws {
        let output = try egret(arguments)
        #expect(output.status == 64 && output.standardOutput == "")
        #expect(output.standardError.contains(expected), "\(output.standardError)")
    }

    @Test(
        "who may not is told the whole command, as root may run it",
        arguments: [
            (["doctor", "ns0", "--to", "192.0.2.1"], "doctor ns0 --to 192.0.2.1"),
            (["publish", "8080:80/tcp", "ns0"], "publish 8080:80/tcp ns0"),
            (["network", "rm", "a b"], "network rm 'a b'"),
        ])
    func sudo(_ arguments: [String], _ words: String) throws {
        let isRoot = CurrentProcess.effectiveUser == 0
        let output = try egret(
            arguments, under: isRoot ? ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] : [])
        #expect(
            output.standardError.hasSuffix("\n       run it as: sudo egret \(words)\n"), "\(output.standardError)")
    }

    @Test("help of a command that there is, is printed")
    func help() throws {
        for arguments in [["help"], ["help", "help"], ["help", "network", "create"], ["publish", "--help"]] {
            let output = try egret(arguments)
            #expect(output.status == 0 && output.standardError == "", "\(arguments): \(output.standardError)")
            #expect(output.standardOutput.contains("USAGE: egret"), "\(arguments)")
        }
    }
}
