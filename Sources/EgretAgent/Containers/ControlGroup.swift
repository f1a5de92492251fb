// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretCompiler
import EgretLinux

/// A control group of the machine's (cgroups(7), version 2), as the kernel knows it.
struct ControlGroup: Codable, Hashable, Sendable {
    /// Its path below the root: `/system.slice/web.service`.
    var path: String
    /// The kernel's number of it, unlike every other's since the machine has started: the inode of its directory.
    var id: UInt64

    /// How many steps below the root it is.
    var level: UInt8 { UInt8(clamping: path.utf8.count { $0 == UInt8(ascii: "/") }) }

    /// Finds a control group.
    ///
    /// - Parameter path: Its path below the root, or that of its directory.
    /// - Throws: `APIError` if there is none, or if packets cannot be told by it.
    init(_ path: String) throws {
        let root = try ControlGroup.root()
        let inside = path.hasPrefix(root + "/") ? String(path.dropFirst(root.count)) : path
        let parts = inside.split(separator: "/").map(String.init)
        guard !parts.isEmpty, !parts.contains(".."), !parts.contains(".") else {
            throw APIError(
                "invalid", "“\(path)” is no control group below the root",
                advice: "write its path: /system.slice/web.service")
        }
        self.path = "/" + parts.joined(separator: "/")
        guard let id = try ControlGroup.number(of: root + self.path) else {
            throw APIError(
                "notFound", "there is no control group \(self.path)",
                advice: "find \(root) -type d shows which there are")
        }
        self.id = id
        guard level <= HostOutput.deepest else {
            throw APIError(
                "invalid", "\(self.path) is more than \(HostOutput.deepest) steps below the root",
                advice: "attach one above it")
        }
    }

    /// Finds the control group of a unit of systemd's, which is called as the unit is.
    ///
    /// - Parameter name: The unit's.
    /// - Throws: `APIError` if it does not run.
    init(unit name: String) throws {
        let root = try ControlGroup.root()
        guard let path = ControlGroup.place(ofUnit: name, below: root) else {
            throw APIError(
                "notFound", "there is no control group of a unit \(name)",
                advice: "it has one while it runs: systemctl start \(name)")
        }
        self = try ControlGroup(path)
    }

    /// Where the control group of a unit is; `nil` if there is none. Units are in slices, and slices in slices: in
    /// `system.slice` unless somebody has said otherwise, sessions in `user.slice`, machines in `machine.slice`.
    ///
    /// - Parameters:
    ///   - name: The unit's.
    ///   - root: Where control groups are directories.
    /// - Returns: Its path below the root.
    static func place(ofUnit name: String, below root: String) -> String? {
        var places = [""]
        var looked = 0
        while looked < places.count {
            let place = places[looked]
            looked += 1
            if File.exists("\(root)\(place)/\(name)") { return "\(place)/\(name)" }
            let inside = (try? Directory.names(in: root + place)) ?? []
            places += inside.filter { $0.hasSuffix(".slice") }.map { "\(place)/\($0)" }
        }
        return nil
    }

    /// The control group that is there now under the same path; `nil` if there is none.
    ///
    /// - Throws: An error if that cannot be told.
    func successor() throws -> ControlGroup? {
        do {
            return try ControlGroup(path)
        } catch let error as APIError {
            // It has gone in between.
            if error.code == "notFound" { return nil }
            throw error
        }
    }

    /// The control group that a unit of systemd's has now, wherever that is; `nil` if it has none.
    ///
    /// One that packets cannot be told by, as it is too far below the root, is none: it keeps nobody from the others.
    ///
    /// - Throws: An error if that cannot be told.
    static func current(ofUnit name: String) throws -> ControlGroup? {
        do {
            return try ControlGroup(unit: name)
        } catch let error as APIError {
            if ["notFound", "invalid"].contains(error.code) { return nil }
            throw error
        }
    }

    /// The number of a directory; `nil` if there is none.
    ///
    /// - Throws: `LinuxError` if that cannot be told.
    private static func number(of directory: String) throws(LinuxError) -> UInt64? {
        do throws(LinuxError) {
            let status = try File.status(directory)
            return status.kind == .directory ? status.inode : nil
        } catch {
            if [.noEntry, .notDirectory].contains(error.errno) { return nil }
            throw error
        }
    }

    /// Where control groups are directories.
    private static func root() throws -> String {
        let mounts = try MountTable.current().filter { $0.type == "cgroup2" }
        guard let mount = mounts.last(where: { $0.root == "/" }) else {
            if let part = mounts.last {
                throw APIError("conflict", "\(part.target) is not the root of the control groups")
            }
            throw APIError(
                "conflict", "this machine has no control groups of version 2 mounted",
                advice: "mount -t cgroup2 none /sys/fs/cgroup/unified, where systemd has not")
        }
        return mount.target
    }
}
