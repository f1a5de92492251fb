// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretTesting
import Foundation
import Testing

/// The `egret` that was built with these tests.
enum Egret {
    /// The directory of the test bundle, where the build puts programs as well.
    static let directory: String = {
        let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") || $0.contains(".xctest/") }
        let path = bundle ?? "/proc/self/exe"
        let url = URL(fileURLWithPath: path).resolvingSymlinksInPath()
        var directory = url.path
        while let end = directory.range(of: "/", options: .backwards)?.lowerBound {
            directory = String(directory[..<end])
            if FileManager.default.isExecutableFile(atPath: directory + "/egret") { return directory }
        }
        return "/nonexistent"
    }()

    /// The program.
    static var path: String { directory + "/egret" }

    /// `PATH` with the program's directory first.
    static var searchPath: String {
        "\(directory):/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    }
}

/// A way into a host's network namespace from scripts on home, which has a `/run` of its own and so no `/run/netns`.
final class Gate {
    /// What nsenter's `--net=` takes.
    let path: String
    private let namespace: Descriptor

    init(to host: LabHost, of internet: TestInternet) throws {
        namespace = try Descriptor.open(internet.namespacePath(of: host))
        path = "/proc/\(CurrentProcess.identifier)/fd/\(namespace.number)"
    }
}

extension TestInternet {
    /// Runs `egret run` on home, in `/`, where every user may be.
    func egret(
        _ flags: [String],
        _ command: [String],
        standardInput: String = "",
        environment: [String: String] = [:],
        timeout: Duration = .seconds(120)
    ) throws -> ProgramOutput {
        try run(
            in: .home, ["env", "-C", "/", Egret.path, "run"] + flags + ["--"] + command, standardInput: standardInput,
            environment: environment, timeout: timeout)
    }

    /// Runs a script of bash on home, in `/`, where every user may be, with `egret` on its path.
    func script(
        _ text: String,
        environment: [String: String] = [:],
        timeout: Duration = .seconds(180)
    ) throws -> ProgramOutput {
        let all = environment.merging(["PATH": Egret.searchPath]) { $1 }
        return try run(in: .home, ["bash", "-c", "cd /\n" + text], environment: all, timeout: timeout)
    }

    /// Everything of Egret that can be found on home: empty when nothing is left.
    func remains() throws -> String {
        try script(
            """
            nft list ruleset
            # A run's link goes with its network namespace, which the kernel removes when it finds the time.
            for i in {1..400}; do ip -o link | grep -qE ': egret[0-9]' || break; sleep 0.05; done
            # One that an answer on its way holds is down, and the next run or `egret gc` removes it.
            ip -o link | grep -E ': egret[0-9]' | grep -q 'state DOWN' && egret gc >/dev/null
            ip -o link | grep -E ': egret[0-9]'
            find /run/egret -mindepth 1 2>/dev/null
            for f in ipv4/ip_forward ipv4/conf/eth0/forwarding ipv6/conf/all/forwarding \
                ipv6/conf/eth0/forwarding ipv6/conf/eth0/force_forwarding; do
                [ "$(cat /proc/sys/net/$f 2>/dev/null || echo 0)" = 0 ] || echo "$f is on"
            done
            [ "$(cat /proc/sys/net/netfilter/nf_conntrack_acct 2>/dev/null || echo 0)" = 0 ] || echo accounting is on
            true
            """
        ).standardOutput
    }
}

/// `--report json`, as a program reads it.
struct RunReportJSON: Decodable {
    struct Amount: Decodable, Equatable {
        var packets: UInt64
        var bytes: UInt64
    }
    struct Clause: Decodable {
        var policy: String?
        var rule: String
        var location: String?
    }
    struct Ending: Decodable {
        var exitCode: Int32
        var signal: Int32?
        var seconds: Double
    }
    struct Reached: Decodable {
        var destination: String
        var service: String
        var decidedBy: Clause
        var audited: Bool
        var connections: UInt64
        var sent: Amount
        var received: Amount
    }
    struct Refused: Decodable {
        var destination: String
        var service: String
        var verdict: String
        var reason: String
        var decidedBy: Clause?
        var logged: Amount
    }
    struct RefusedTotal: Decodable {
        var verdict: String
        var reason: String
        var total: Amount
        var unloggedPackets: UInt64
    }
    var version: Int
    var command: [String]
    var ending: Ending
    var reached: [Reached]
    var refused: [Refused]
    var refusedTotals: [RefusedTotal]
    var lostConnections: Bool
    var suggestedFlags: [String]

    /// Reads the report that a run wrote to its standard error.
    init(_ output: ProgramOutput) throws {
        self = try JSONDecoder().decode(RunReportJSON.self, from: Data(output.standardError.utf8))
    }
}
