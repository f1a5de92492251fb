// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux

/// Runs a program to its end and keeps what it printed.
struct ProgramOutput {
    var status: ChildProcess.Status
    var text: String

    var lines: [String] { text.split(separator: "\n").map(String.init) }

    /// `setUp` runs in the child just before exec, with standard output already in place.
    static func of(
        _ program: String,
        _ arguments: [String] = [],
        environment: Environment = .current,
        in namespaces: NamespaceKinds = [],
        joining processNamespace: Namespace? = nil,
        setUp: [ChildOperation] = []
    ) throws -> ProgramOutput {
        let (child, read) = try start(program, arguments, environment, namespaces, processNamespace, setUp)
        let bytes = try read.readToEnd()
        return ProgramOutput(status: try child.waitForEnd(), text: String(decoding: bytes, as: UTF8.self))
    }

    /// A scope of its own for the write end, so that the read end sees the end of file.
    private static func start(
        _ program: String,
        _ arguments: [String],
        _ environment: Environment,
        _ namespaces: NamespaceKinds,
        _ processNamespace: Namespace?,
        _ setUp: [ChildOperation]
    ) throws -> (ChildProcess, Descriptor) {
        let (read, write) = try Descriptor.pipe()
        let command = Command(
            NativeString(program),
            arguments: ([program] + arguments).map { NativeString($0) },
            environment: environment
        )
        let operations: [ChildOperation] =
            [.duplicate(write, onto: 1), .resetSignals()] + setUp + [.execute(command)]
        return (try ChildProcess.spawn(in: namespaces, joining: processNamespace, operations), read)
    }

    static func shell(_ script: String, setUp: [ChildOperation] = []) throws -> ProgramOutput {
        try of("/bin/sh", ["-c", script], setUp: setUp)
    }

    static func python(_ script: String, setUp: [ChildOperation] = []) throws -> ProgramOutput {
        try of(Privileges.python, ["-c", script], setUp: setUp)
    }
}
