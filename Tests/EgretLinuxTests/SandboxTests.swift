// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import Testing

/// The whole of it: an init in namespaces of its own, and a confined command beside it that is our own child.
@Suite("Sandbox", .requiresRoot, .requiresPython)
struct SandboxTests {
    struct Sandbox {
        var namespaces: NamespaceInit
        var initProcess: ChildProcess { namespaces.process }
        var processes: Namespace { namespaces.processes }

        /// The directory only lends a mount point; what is mounted on it is private to the namespace.
        static func make(mountPoint: String = "/tmp") throws -> Sandbox {
            let resolver = mountPoint + "/resolv.conf"
            let setUp: [ChildOperation] = [
                .mount(source: nil, target: "/", flags: [.private, .recursive]),
                .mount(
                    source: "proc", target: "/proc", type: "proc", flags: [.noSetUserID, .noDevices, .noExecution]),
                .mount(source: "tmpfs", target: mountPoint, type: "tmpfs", data: "mode=755,size=64k"),
                .writeFile(resolver, Array("nameserver 192.0.2.53\n".utf8)),
                .mount(source: resolver, target: "/etc/resolv.conf", flags: .bind),
                .unmount(mountPoint, detach: true),
            ]
            return Sandbox(namespaces: try NamespaceInit.start(setUp))
        }

        var confinement: [ChildOperation] {
            namespaces.join + [
                .setProcessGroup(0),
                .dropBoundingCapabilities(),
                .clearAmbientCapabilities,
                .setGroups([]),
                .setGroup(65_534),
                .setUser(65_534),
                .setCapabilities(effective: [], permitted: [], inheritable: []),
                .changeDirectory("/"),
                .forbidNewPrivileges,
                .installFilter(SeccompFilter.egress().program()),
            ]
        }

        func run(_ script: String) throws -> ProgramOutput {
            try ProgramOutput.of("/bin/sh", ["-c", script], joining: processes, setUp: confinement)
        }

        func end() throws {
            try namespaces.end()
            try namespaces.end()
        }
    }

    @Test("a command sees its own processes, its own resolver and no privilege")
    func confinement() throws {
        let sandbox = try Sandbox.make()
        let output = try sandbox.run(
            "echo $$; ls /proc | grep -E '^[0-9]+$' | sort -n | tr '\\n' ' '; echo; cat /etc/resolv.conf /proc/self/status; id"
        )
        #expect(output.status == .exited(0))
        let lines = output.lines
        #expect(lines.first == "2")
        #expect(lines.dropFirst().first?.hasPrefix("1 2 ") == true)
        for line in [
            "nameserver 192.0.2.53", "CapInh:\t0000000000000000", "CapPrm:\t0000000000000000",
            "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1",
            "Seccomp:\t2", "Groups:\t ", "Uid:\t65534\t65534\t65534\t65534",
        ] {
            #expect(lines.contains(line), "\(line)")
        }
        try sandbox.end()
        #expect(try File.readText("/etc/resolv.conf").contains("192.0.2.53") == false)
    }

    @Test("the init holds nothing, can do nothing and cannot be killed from inside")
    func initProcess() throws {
        let sandbox = try Sandbox.make()
        let process = "/proc/\(sandbox.initProcess.identifier)"
        let status = try File.readText(process + "/status")
        #expect(status.contains("CapEff:\t0000000000000000"))
        #expect(status.contains("CapBnd:\t0000000000000000"))
        #expect(status.contains("Name:\tegret-init"))
        #expect(try Directory.names(in: process + "/fd").isEmpty)
        let output = try sandbox.run(
            "exec 2>/dev/null; kill -9 1; kill -TERM 1; ls /proc/1/fd; cat /proc/1/environ; readlink /proc/1/ns/net; echo end"
        )
        #expect(output.lines == ["end"])
        #expect(try sandbox.initProcess.wait(.noHang) == nil)
        // Orphans are taken in and reaped.
        let reaped = try sandbox.run(
            """
            (sleep 0.05 &)
            for i in $(seq 200); do grep -qs sleep /proc/[0-9]*/comm || { echo reaped; break; }; sleep 0.05; done
            """)
        #expect(reaped.lines == ["reaped"])
        try sandbox.end()
    }

    @Test("exit codes, signals and stops of a command inside reach us as its parent")
    func statuses() throws {
        let sandbox = try Sandbox.make()
        #expect(try sandbox.run("exit 17").status == .exited(17))
        #expect(
            try sandbox.run("kill -SEGV $$").status == .signaled(Signal(rawValue: 11), coreDumped: false)
                || sandbox.run("kill -SEGV $$").status == .signaled(Signal(rawValue: 11), coreDumped: true))
        let child = try ChildProcess.spawn(
            joining: sandbox.processes,
            [.resetSignals()] + sandbox.confinement
                + [.execute(Command("/bin/sh", arguments: ["sh", "-c", "kill -STOP $$; exit 4"]))]
        )
        #expect(try child.wait(.untraced) == .stopped(.stop))
        try child.signalGroup(.continue)
        #expect(try child.waitForEnd() == .exited(4))
        // The namespace for children is home again.
        #expect(try ProgramOutput.shell("echo $$").lines.first != "3")
        try sandbox.end()
    }

    @Test("the end comes while a command still runs, and is waited for together with it")
    func endWhileRunning() throws {
        let sandbox = try Sandbox.make()
        let child = try ChildProcess.spawn(
            joining: sandbox.processes,
            [.resetSignals()] + sandbox.confinement
                + [.execute(Command("/bin/sh", arguments: ["sh", "-c", "trap '' TERM INT; sleep 1000 & sleep 1000"]))]
        )
        try sandbox.namespaces.end(waitingFor: [child])
        #expect(throws: LinuxError.self) { try child.wait(.noHang) }
    }

    @Test("a daemon left behind dies with the init")
    func daemon() throws {
        let sandbox = try Sandbox.make()
        let read = try startDaemon(in: sandbox)
        var poll = Poll()
        poll.add(read)
        #expect(try poll.wait(timeout: .milliseconds(200)).isEmpty)
        try sandbox.end()
        #expect(try poll.wait(timeout: .seconds(5))[read].contains(.hungUp))
    }

    private func startDaemon(in sandbox: Sandbox) throws -> Descriptor {
        let (read, write) = try Descriptor.pipe()
        let child = try ChildProcess.spawn(
            joining: sandbox.processes,
            [.duplicate(write, onto: 9), .resetSignals()] + sandbox.confinement
                + [.execute(Command("/bin/sh", arguments: ["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & exit 0"]))]
        )
        #expect(try child.waitForEnd() == .exited(0))
        return read
    }

    @Test("everything inside dies when the thread that made the init ends")
    func deathOfThread() throws {
        let sandbox = try OwnThread.run { try Sandbox.make() }
        #expect(try sandbox.initProcess.waitForEnd() == .signaled(.kill, coreDumped: false))
    }

    @Test("everything inside dies when the maker is killed with SIGKILL")
    func deathOfParent() async throws {
        let path = "/tmp/egret-test-orphan-\(CurrentProcess.identifier)"
        defer { try? File.remove(path) }
        await #expect(processExitsWith: .signal(9)) {
            let sandbox = try Sandbox.make()
            let child = try ChildProcess.spawn(
                joining: sandbox.processes,
                [.resetSignals()] + sandbox.confinement
                    + [.execute(Command("/bin/sleep", arguments: ["sleep", "1000"]))]
            )
            let text = "\(sandbox.initProcess.identifier) \(child.identifier)"
            try File.write("/tmp/egret-test-orphan-\(CurrentProcess.parent)", Array(text.utf8))
            try CurrentProcess.succumb(to: .kill)
        }
        let orphans = try File.readText(path).split(separator: " ").compactMap { Int32($0) }
        #expect(orphans.count == 2)
        for orphan in orphans { #expect(try isGone(orphan, within: .seconds(5))) }
    }

    private func isGone(_ process: Int32, within limit: Duration) throws -> Bool {
        let start = MonotonicInstant.now
        while start.duration(to: .now) < limit {
            guard let status = try? File.readText("/proc/\(process)/stat") else { return true }
            if status.contains(") Z ") { return true }
            var poll = Poll()
            _ = try poll.wait(timeout: .milliseconds(10))
        }
        return false
    }

    @Test("several namespaces of a process are entered through its pidfd")
    func joinByPidfd() throws {
        let sandbox = try Sandbox.make()
        let output = try ProgramOutput.of(
            "/bin/cat",
            ["/etc/resolv.conf"],
            setUp: [.joinNamespaces([.network, .mount], of: sandbox.initProcess.descriptor)]
        )
        #expect(output.lines == ["nameserver 192.0.2.53"])
        try sandbox.end()
    }

    @Test("a step that fails inside leaves nothing and names itself")
    func failure() throws {
        let error = #expect(throws: LinuxError.self) {
            try NamespaceInit.start([
                .mount(source: nil, target: "/", flags: [.private, .recursive]), .unmount("/no/such/mount"),
            ])
        }
        #expect(error?.description == "cannot unmount /no/such/mount: ENOENT (No such file or directory)")
    }
}
