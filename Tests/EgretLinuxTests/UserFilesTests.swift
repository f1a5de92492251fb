// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import Testing

@Suite("files as a user", .serialized, .requiresRoot)
struct UserFilesTests {
    private let path = "/tmp/egret-test-userfiles-\(CurrentProcess.identifier)"

    /// What the kernel says of the thread: users, groups, capabilities.
    private func rights() throws -> [String] {
        try File.readText("/proc/thread-self/status").split(separator: "\n").map(String.init)
            .filter { line in ["Uid:", "Gid:", "Groups:", "CapEff:", "CapPrm:"].contains { line.hasPrefix($0) } }
    }

    @Test("root's files are closed to nobody, by owner and by group, and open to root afterwards")
    func closed() throws {
        let nobody = try #require(try UserIdentity.lookUp("nobody"))
        let before = try rights()
        for mode: UInt32 in [0o600, 0o660] {
            try File.replace(path, with: Array("root's".utf8), mode: mode)
            defer { try? File.remove(path) }
            #expect(throws: LinuxError(.accessDenied, operation: "open", object: path)) {
                try nobody.opening { try File.read(path) }
            }
            #expect(throws: LinuxError(.accessDenied, operation: "open", object: path)) {
                try nobody.opening { try Descriptor.open(path, [.writeOnly, .create, .truncate]) }
            }
            #expect(throws: LinuxError(.accessDenied, operation: "open", object: path)) {
                try nobody.opening { try Descriptor.open(path, [.writeOnly, .create, .append]) }
            }
            #expect(try File.readText(path) == "root's")
            #expect(try rights() == before)
        }
    }

    @Test("links lead nobody no further than nobody could go")
    func links() throws {
        let nobody = try #require(try UserIdentity.lookUp("nobody"))
        #expect(throws: LinuxError(.accessDenied, operation: "open", object: "/proc/self/root/etc/shadow")) {
            try nobody.opening { try File.read("/proc/self/root/etc/shadow") }
        }
        #expect(try File.read("/etc/shadow").isEmpty == false)
    }

    @Test("inside, the thread has the user's groups and none of the rights over files; what it makes is the user's")
    func inside() throws {
        let before = try rights()
        let user = UserIdentity(user: 54_321, group: 4_321, groups: [4_321, 4_322])
        defer { try? File.remove(path) }
        let (inside, capabilities) = try user.opening {
            try File.write(path, [])
            return (try rights(), try CapabilitySet.effective())
        }
        #expect(capabilities.isDisjoint(with: [.changeOwner, .overrideFileRights, .readAllFiles, .actAsOwner]))
        #expect(capabilities.isSuperset(of: [.setUser, .setGroup]))
        #expect(inside.contains { $0.hasPrefix("Uid:\t0\t0\t0\t54321") })
        #expect(inside.contains { $0.hasPrefix("Gid:") && $0.hasSuffix("\t4321") })
        #expect(inside.contains { $0.hasPrefix("Groups:\t4321 4322") })
        let status = try File.status(path)
        #expect(status.owner == 54_321 && status.group == 4_321)
        #expect(throws: LinuxError(.busy, operation: "test")) {
            try user.opening { throw LinuxError(.busy, operation: "test") }
        }
        #expect(try rights() == before)
    }

    @Test("for root nothing changes")
    func root() throws {
        let root = try #require(try UserIdentity.lookUp("0:12"))
        let before = try rights()
        #expect(try root.opening { try rights() } == before)
    }
}
