// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Foundation

extension TestInternet {
    /// The command line that runs `arguments` on a host, for whoever starts programs in a way of their own.
    ///
    /// `nsenter` becomes the program, so process, terminal, signals and exit code are the program's. On `home` the
    /// program also sees home's files: the lab's resolver in `/etc/resolv.conf`, and a `/run` of its own.
    ///
    /// On `home` the program starts in `workingDirectory`; elsewhere, and without it, where the caller is.
    public func commandLine(
        in host: LabHost,
        _ arguments: [String],
        workingDirectory: String? = nil
    ) -> [String] {
        var line = ["nsenter", "--net=\(namespacePath(of: host))"]
        if host == .home, let keeper = homeKeeper {
            line += [
                "--mount=/proc/\(keeper)/ns/mnt",
                "--wdns=\(workingDirectory ?? FileManager.default.currentDirectoryPath)",
            ]
        }
        return line + ["--"] + arguments
    }

    /// Runs a program on a host to its end.
    ///
    /// `environment` is added to the caller's environment. After `timeout` the program's process group is killed, and
    /// the output says so. Throws ``LabError`` when it could not be started. A program that fails is not an error here.
    public func run(
        in host: LabHost,
        _ arguments: [String],
        standardInput: String = "",
        environment: [String: String] = [:],
        timeout: Duration = .seconds(30)
    ) throws(LabError) -> ProgramOutput {
        try start(in: host, arguments, standardInput: standardInput, environment: environment).wait(timeout: timeout)
    }

    /// Starts a program on a host in the background; see ``run(in:_:standardInput:environment:timeout:)``.
    public func start(
        in host: LabHost,
        _ arguments: [String],
        standardInput: String = "",
        environment: [String: String] = [:]
    ) throws(LabError) -> RunningProgram {
        try RunningProgram(
            commandLine(in: host, arguments),
            standardInput: standardInput,
            environment: markedEnvironment.merging(environment) { $1 }
        )
    }

    /// What programs on the lab's hosts find in their environment: the lab's name, and its authority for curl and
    /// OpenSSL, so that `curl https://www.example.test/` needs no option.
    public var environment: [String: String] {
        ["EGRET_LAB": name, "CURL_CA_BUNDLE": authorityPath, "SSL_CERT_FILE": authorityPath]
    }

    /// The caller's environment, and the lab's: whatever is started for the lab can be recognised by it.
    private var markedEnvironment: [String: String] {
        ProcessInfo.processInfo.environment.merging(environment) { $1 }
    }

    /// Runs a program that builds the lab, on the machine itself.
    func runTool(_ arguments: [String], standardInput: String = "") throws(LabError) -> ProgramOutput {
        try runProgram(arguments, standardInput: standardInput, environment: markedEnvironment)
    }

    /// Runs a step that has to succeed.
    func perform(_ operation: String, _ arguments: [String], in host: LabHost) throws(LabError) {
        let output = try run(in: host, arguments)
        guard output.succeeded else { throw LabError(operation, reason: output.complaint) }
    }

    /// The process that keeps home's view of files alive.
    var homeKeeper: Int32? {
        let text = try? String(contentsOfFile: "\(directory)/home.pid", encoding: .utf8)
        return text.flatMap { Int32($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
    }
}
