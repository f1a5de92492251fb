// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import Testing

@Suite("Children")
struct SpawnTests {
    private static func command(_ program: NativeString, _ arguments: NativeString...) -> Command {
        Command(program, arguments: [program] + arguments)
    }

    @Test("the exit code of a command comes back", arguments: [0, 1, 42, 255] as [Int32])
    func exitCode(code: Int32) throws {
        #expect(try ProgramOutput.shell("exit \(code)").status == .exited(code))
    }

    @Test("death by a signal is told from an exit code")
    func deathBySignal() throws {
        #expect(try ProgramOutput.shell("kill -TERM $$").status == .signaled(.terminate, coreDumped: false))
    }

    @Test("a stop and a continuation are seen")
    func stopAndContinue() throws {
        let (read, write) = try Descriptor.pipe()
        let child = try ChildProcess.spawn([
            .duplicate(read, onto: 0), .resetSignals(),
            .execute(Self.command("/bin/sh", "-c", "kill -STOP $$; read line; exit 7")),
        ])
        #expect(try child.wait(.untraced) == .stopped(.stop))
        #expect(try child.wait([.untraced, .noHang]) == nil)
        try child.signal(.continue)
        #expect(try child.wait(.continued) == .continued)
        try write.write("go on\n")
        #expect(try child.waitForEnd() == .exited(7))
    }

    @Test("a failed step is named with its errno and leaves no child")
    func failedStep() throws {
        let error = #expect(throws: LinuxError.self) {
            try ChildProcess.spawn([
                .setCreationMask(0o22), .changeDirectory("/no/such/place"), .execute(Self.command("/bin/true")),
            ])
        }
        #expect(error?.errno == .noEntry)
        #expect(error?.description == "cannot change directory to /no/such/place: ENOENT (No such file or directory)")
    }

    @Test("what cannot be executed gives the exit codes of a shell")
    func unexecutable() throws {
        let missing = #expect(throws: LinuxError.self) {
            try ChildProcess.spawn([.execute(Self.command("no-such-program-here"))])
        }
        #expect(missing?.exitCodeOfShell == 127)
        let refused = #expect(throws: LinuxError.self) {
            try ChildProcess.spawn([.execute(Self.command("/etc/passwd"))])
        }
        #expect(refused?.errno == .accessDenied)
        #expect(refused?.exitCodeOfShell == 126)
        let empty = #expect(throws: LinuxError.self) { try ChildProcess.spawn([.execute(Self.command(""))]) }
        #expect(empty?.exitCodeOfShell == 127)
    }

    @Test("a name is searched for, and a directory that refuses is remembered")
    func search() throws {
        #expect(try ProgramOutput.of("true").status == .exited(0))
        var command = Command(
            "sh", arguments: ["sh", "-c", "exit 3"], environment: Environment(entries: ["PATH=/nowhere"]))
        #expect(command.candidates.map(\.description) == ["/nowhere/sh"])
        command.searchPath = "/nowhere::/bin"
        #expect(command.candidates.map(\.description) == ["/nowhere/sh", "./sh", "/bin/sh"])
        #expect(try ChildProcess.spawn([.resetSignals(), .execute(command)]).waitForEnd() == .exited(3))
    }

    @Test("a file without #! is given to the shell")
    func scriptWithoutInterpreter() throws {
        let path = "/tmp/egret-test-script-\(CurrentProcess.identifier)"
        try File.write(path, Array("exit $(($1 + 1))\n".utf8), mode: 0o755)
        defer { try? File.remove(path) }
        #expect(try ProgramOutput.of(path, ["4"]).status == .exited(5))
    }

    @Test("arguments that are not UTF-8 arrive unchanged")
    func rawArguments() throws {
        let argument = NativeString(bytes: [0xff, 0x41, 0xfe])
        let command = Command(
            "/bin/sh", arguments: ["sh", "-c", #"test "$1" = "$(printf '\377A\376')""#, "sh", argument])
        #expect(try ChildProcess.spawn([.resetSignals(), .execute(command)]).waitForEnd() == .exited(0))
    }

    @Test("signals are at their defaults and unblocked, but for those asked to be ignored")
    func signals() throws {
        let output = try ProgramOutput.of(
            "/bin/cat",
            ["/proc/self/status"],
            setUp: [.resetSignals(ignoring: SignalSet([.hangup]), blocking: SignalSet([.user1]))]
        )
        #expect(output.lines.contains("SigIgn:\t0000000000000001"))
        #expect(output.lines.contains("SigBlk:\t0000000000000200"))
        #expect(output.lines.contains("SigCgt:\t0000000000000000"))
    }

    @Test("only the descriptors given are open in the command")
    func descriptors() throws {
        let kept = try Descriptor.open("/dev/null")
        let output = try ProgramOutput.of(
            "/bin/ls",
            ["/proc/self/fd"],
            setUp: [.duplicate(kept, onto: 7), .closeDescriptors(8...UInt32.max), .closeOnExecute(3...6)]
        )
        // 3 is the directory that ls reads.
        #expect(output.lines == ["0", "1", "2", "3", "7"])
    }

    @Test("a descriptor duplicated onto the report pipe's number does not break the report")
    func reportOutOfTheWay() throws {
        let null = try Descriptor.open("/dev/null")
        let error = #expect(throws: LinuxError.self) {
            try ChildProcess.spawn(
                (3..<64).map { .duplicate(null, onto: $0) } + [.execute(Self.command("/no/such/program"))]
            )
        }
        #expect(error?.errno == .noEntry)
    }

    @Test("descriptors in steps are the caller's, also when an earlier step takes their number")
    func exchange() throws {
        let (firstRead, firstWrite) = try Descriptor.pipe()
        let (secondRead, secondWrite) = try Descriptor.pipe()
        let child = try ChildProcess.spawn([
            .duplicate(firstWrite, onto: secondWrite.number), .duplicate(secondWrite, onto: firstWrite.number),
            .resetSignals(),
            .execute(
                Command(
                    "/bin/sh",
                    arguments: [
                        "sh", "-c",
                        NativeString(
                            "echo crossed >/dev/fd/\(firstWrite.number); echo over >/dev/fd/\(secondWrite.number)"),
                    ]
                )
            ),
        ])
        #expect(try child.waitForEnd() == .exited(0))
        #expect(try firstRead.read(upTo: 100) == Array("over\n".utf8))
        #expect(try secondRead.read(upTo: 100) == Array("crossed\n".utf8))
    }

    @Test("a child waits at the barrier and ends if no byte ever comes")
    func barrier() throws {
        let (read, write) = try Descriptor.pipe()
        let started = try ChildProcess.start([.awaitByte(from: read), .exit(9)])
        #expect(try started.child.wait(.noHang) == nil)
        try write.write([0])
        #expect(try started.confirm().waitForEnd() == .exited(9))
    }

    @Test("a child at the barrier ends when the other end is gone")
    func abandonedBarrier() throws {
        func abandon() throws -> ChildProcess {
            let (read, write) = try Descriptor.pipe()
            // The child's own copy of the write end has to go, or it would wait for itself.
            return try ChildProcess.start([
                .closeDescriptors(UInt32(write.number)...UInt32(write.number)), .awaitByte(from: read), .exit(9),
            ]).child
        }
        #expect(try abandon().waitForEnd() == .exited(137))
    }

    @Test("limits, creation mask, session and environment are as asked")
    func surroundings() throws {
        let command = Command(
            "/bin/sh",
            arguments: ["sh", "-c", "test $(ulimit -n) = 77 && test $(umask) = 0027 && test \"$ONLY\" = x"],
            environment: Environment(entries: ["ONLY=x"])
        )
        let child = try ChildProcess.spawn([
            .startSession, .setCreationMask(0o27), .setLimit(.openFiles, soft: 77, hard: 77), .resetSignals(),
            .execute(command),
        ])
        #expect(try child.waitForEnd() == .exited(0))
    }

    @Test("files, directories and links are made by steps")
    func fileSteps() throws {
        let base = "/tmp/egret-test-steps-\(CurrentProcess.identifier)"
        let child = try ChildProcess.spawn([
            .makeDirectory(base), .makeDirectory(base), .writeFile(base + "/a", Array("hello".utf8)),
            .writeExistingFile(base + "/a", Array("J".utf8)), .makeSymbolicLink(at: base + "/b", to: "a"),
            .changeOwner(base + "/a", user: CurrentProcess.effectiveUser, group: UInt32.max), .exit(0),
        ])
        defer {
            for name in ["/a", "/b"] { try? File.remove(base + name) }
            try? Directory.remove(base)
        }
        #expect(try child.waitForEnd() == .exited(0))
        #expect(try File.readText(base + "/b") == "Jello")
        #expect(try File.destination(ofLink: base + "/b") == "a")
        #expect(try Directory.names(in: base) == ["a", "b"])
    }

    @Test("every operation has a phrase for errors and a step")
    func unprivilegedFailureIsExact() throws {
        let error = #expect(throws: LinuxError.self) {
            try ChildProcess.spawn([.mount(source: nil, target: "/no/such", type: "tmpfs"), .exit(0)])
        }
        #expect(error?.operation == "mount")
        #expect(error?.object == "tmpfs on /no/such")
    }
}
