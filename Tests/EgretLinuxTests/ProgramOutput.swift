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
        let (read, write) = try Descriptor.pipe()
        let command = Command(
            NativeString(program),
            arguments: ([program] + arguments).map { NativeString($0) },
            environment: environment
        )
        let operations: [ChildOperation] =
            [.duplicate(write, onto: 1), .resetSignals()] + setUp + [.execute(command)]
        let child = try startAndForget(write, in: namespaces, joining: processNamespace, operations)
        let bytes = try read.readToEnd()
        return ProgramOutput(status: try child.waitForEnd(), text: String(decoding: bytes, as: UTF8.self))
    }

    /// Consumes the write end, so that the read end sees the end of file.
    private static func startAndForget(
        _ write: consuming Descriptor,
        in namespaces: NamespaceKinds,
        joining processNamespace: Namespace?,
        _ operations: consuming [ChildOperation]
    ) throws -> ChildProcess {
        try ChildProcess.spawn(in: namespaces, joining: processNamespace, operations)
    }

    static func shell(_ script: String, setUp: [ChildOperation] = []) throws -> ProgramOutput {
        try of("/bin/sh", ["-c", script], setUp: setUp)
    }

    static func python(_ script: String, setUp: [ChildOperation] = []) throws -> ProgramOutput {
        try of(Privileges.python, ["-c", script], setUp: setUp)
    }
}
