// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretTesting
import Foundation

/// `egret-lab shell HOST`
struct Shell: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Open a shell on a host.")

    @OptionGroup var options: LabOptions

    @Argument(help: "The host.")
    var host: LabHost = .home

    func run() throws {
        let lab = try options.existingLab()
        printError("On \(lab.name)-\(host.name). Leave with exit. The lab's authority: \(lab.authorityPath)")
        let prompt = ["PS1": "\(lab.name)-\(host.name) \\w # "]
        try enter(lab, host, ["bash", "--norc", "-i"], environment: prompt)
    }
}

/// `egret-lab run HOST -- COMMAND…`
struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a command on a host; its terminal, signals and exit code are the command's."
    )

    @OptionGroup var options: LabOptions

    @Argument(help: "The host.")
    var host: LabHost

    @Argument(parsing: .postTerminator, help: "The command and its arguments, after --.")
    var command: [String]

    func run() throws {
        try enter(try options.existingLab(), host, command, environment: [:])
    }
}

/// Becomes the command, with the directory of this program first on `PATH`, so that `egret` is the one built here.
private func enter(_ lab: TestInternet, _ host: LabHost, _ command: [String], environment: [String: String]) throws {
    let all = lab.environment.merging(environment) { $1 }.merging(["PATH": pathWithOwnDirectory()]) { $1 }
    try replaceProcess(with: lab.commandLine(in: host, command), environment: all)
}

/// `PATH` with `directory` in front; without one, the directory that this program lies in.
func pathWithOwnDirectory(_ directory: String? = nil) -> String {
    let own = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().path
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin"
    return "\(directory ?? own):\(path)"
}

/// Writes a line to standard error.
func printError(_ line: String) {
    FileHandle.standardError.write(Data((line + "\n").utf8))
}
