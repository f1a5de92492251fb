// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import Foundation
import Testing

@Suite("Files, users and capabilities")
struct FileTests {
    private static func path(_ name: String) -> String { "/tmp/egret-test-\(name)-\(CurrentProcess.identifier)" }

    @Test("a replaced file is whole and has its mode")
    func replace() throws {
        let path = Self.path("replace")
        defer { try? File.remove(path) }
        try File.replace(path, with: Array("one".utf8))
        try File.replace(path, with: Array("two".utf8), mode: 0o600, synchronized: true)
        #expect(try File.readText(path) == "two")
        #expect(try File.status(path).mode == 0o600)
        #expect(
            try Directory.names(in: "/tmp").filter { $0.hasSuffix(".new") && $0.contains("egret-test-replace") }.isEmpty
        )
    }

    @Test("a file is written in its place, shorter or longer, and one that is not there or a link is not")
    func overwritten() throws {
        let path = Self.path("overwrite")
        defer { for end in ["", ".link"] { try? File.remove(path + end) } }
        try File.write(path, Array("a longer one".utf8), mode: 0o600)
        let inode = try File.status(path).inode
        for text in ["short", "", "the longest of them all"] {
            try File.overwrite(path, with: Array(text.utf8), padding: UInt8(ascii: "\n"))
            #expect(try File.readText(path) == text)
        }
        #expect(try File.status(path).inode == inode)
        try FileManager.default.createSymbolicLink(atPath: path + ".link", withDestinationPath: path)
        #expect(throws: LinuxError.self) { try File.overwrite(path + ".link", with: [7], padding: 0) }
        #expect(throws: LinuxError.self) { try File.overwrite("/no/such/file", with: [7], padding: 0) }
        #expect(try File.readText(path) == "the longest of them all")
    }

    @Test("a missing file is an error that names it, and removing it is not")
    func missing() throws {
        #expect(throws: LinuxError(.noEntry, operation: "open", object: "/no/such/file")) {
            try File.read("/no/such/file")
        }
        try File.remove("/no/such/file")
        try Directory.remove("/no/such/directory")
        #expect(throws: LinuxError(Errno(rawValue: 21), operation: "read", object: "/tmp")) { try File.read("/tmp") }
    }

    @Test("a file over the limit is refused, not cut")
    func limit() throws {
        let error = #expect(throws: LinuxError.self) { try File.read("/proc/self/status", limit: 10) }
        #expect(error?.errno == .range)
    }

    @Test("directories are made with those above them, once or twice")
    func directories() throws {
        let path = Self.path("directory")
        defer { for end in ["/a/b", "/a", ""] { try? Directory.remove(path + end) } }
        try Directory.make(path + "/a/b", mode: 0o700)
        try Directory.make(path + "/a/b", mode: 0o700)
        #expect(try File.status(path + "/a").kind == .directory)
        #expect(try Directory.names(in: path) == ["a"])
        try Directory.synchronize(path)
        let missing = #expect(throws: LinuxError.self) { try Directory.synchronize(path + "/b") }
        #expect(missing?.object == path + "/b")
        #expect(throws: LinuxError.self) { try Directory.make("/etc/passwd/a") }
        #expect(throws: LinuxError.self) { try Directory.make("/etc/passwd") }
    }

    @Test("of a namespace that was never finished the empty file goes; a file with something in it stays")
    func unfinishedNamespace() throws {
        let path = Self.path("unfinished")
        defer { try? File.remove(path) }
        try NetworkNamespace.removeUnfinished(at: path)
        try File.write(path, [])
        try NetworkNamespace.removeUnfinished(at: path)
        #expect(!File.exists(path))
        try File.write(path, [7])
        try NetworkNamespace.removeUnfinished(at: path)
        try NetworkNamespace.removeUnfinished(at: "/proc/self/ns/net")
        try NetworkNamespace.removeUnfinished(at: "/tmp")
        #expect(try File.read(path) == [7])
    }

    @Test("an exclusive lock keeps others out until it goes")
    func locks() throws {
        let path = Self.path("lock")
        defer { try? File.remove(path) }
        do {
            let held = try #require(try FileLock.tryAcquire(path))
            #expect(try FileLock.tryAcquire(path) == nil)
            #expect(try FileLock.tryAcquire(path, .shared) == nil)
            withExtendedLifetime(held) {}
        }
        let shared = try FileLock.acquire(path, .shared)
        #expect(try FileLock.tryAcquire(path, .shared) != nil)
        #expect(try FileLock.tryAcquire(path) == nil)
        withExtendedLifetime(shared) {}
    }

    @Test("mountinfo is read with its optional fields and escapes")
    func mounts() throws {
        let entries = MountTable.parse(
            """
            36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue
            21 1 0:20 / /sys ro,nosuid - sysfs sysfs rw
            nonsense
            1 2 3 4 5 6 7 8 9 10
            """
        )
        #expect(entries.count == 2)
        #expect(entries.first?.target == "/mnt 2")
        #expect(entries.first?.propagation == ["master:1", "shared:2"])
        #expect(entries.first?.isShared == true)
        #expect(entries.last?.isShared == false)
        #expect(entries.last?.type == "sysfs")
        #expect(try MountTable.current().contains { $0.target == "/proc" && $0.type == "proc" })
    }

    @Test("users are found by name, by number and with a group")
    func users() throws {
        let root = try #require(try UserIdentity.lookUp("root"))
        #expect(root.user == 0)
        #expect(root.groups.contains(0))
        #expect(root.home == "/root")
        #expect(try UserIdentity.lookUp("0") == root)
        let nobody = try #require(try UserIdentity.lookUp("nobody:12"))
        #expect(nobody.group == 12)
        #expect(nobody.groups == [12])
        #expect(try UserIdentity.lookUp("4000000001:root")?.group == 0)
        #expect(try UserIdentity.lookUp("4000000001")?.group == 4_000_000_001)
        for text in ["no-such-user", "", ":", "4294967295", "4294967296", "root:no-such-group", "-1"] {
            #expect(try UserIdentity.lookUp(text) == nil, "\(text)")
        }
    }

    @Test("the capability sets are those of /proc")
    func capabilities() throws {
        let status = try File.readText("/proc/thread-self/status").split(separator: "\n")
        func value(_ name: String) -> UInt64? {
            status.first { $0.hasPrefix(name) }.flatMap { UInt64($0.dropFirst(name.count + 2), radix: 16) }
        }
        #expect(try CapabilitySet.effective().rawValue == value("CapEff"))
        #expect(try CapabilitySet.permitted().rawValue == value("CapPrm"))
        #expect(CapabilitySet.bounding().rawValue == value("CapBnd"))
    }

    @Test("errors have their names and texts")
    func errors() {
        #expect(Errno.familyNotSupported.name == "EAFNOSUPPORT")
        #expect(Errno(rawValue: 12_345).name == "error 12345")
        #expect(
            LinuxError(.busy, operation: "unmount", object: "/x").description
                == "cannot unmount /x: EBUSY (Device or resource busy)")
    }

    @Test("an environment keeps its order and bytes")
    func environment() {
        var environment = Environment(entries: ["A=1", "B=2", "A=3", NativeString(bytes: [0xff])])
        #expect(environment["A"] == "1")
        environment["A"] = "x=y"
        #expect(environment.entries.map(\.description) == ["A=x=y", "B=2", "\u{fffd}"])
        environment["B"] = nil
        environment["C"] = ""
        #expect(environment["B"] == nil)
        #expect(environment["C"] == "")
    }

    @Test("what a killed process was writing is removed, what a living one writes is not, nor anything of another form")
    func halves() throws {
        let path = "/tmp/egret-test-halves-\(CurrentProcess.identifier)"
        try Directory.make(path)
        let others = [
            "docker0.\(CurrentProcess.identifier).17.new", "a.new", "b.4194400.x.new", "c.4194400.5", "docker0",
        ]
        // No process has a number above 2^22 (`PID_MAX_LIMIT`).
        for name in others + ["docker0.4194400.17.new", "a.b.4194400.9.new"] { try File.write("\(path)/\(name)", []) }
        try Directory.removeHalves(in: path)
        #expect(try Directory.names(in: path) == others.sorted())
        for name in others { try File.remove("\(path)/\(name)") }
        try Directory.remove(path)
        try Directory.removeHalves(in: path)
    }
}
