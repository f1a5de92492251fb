// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux

/// Why the agent's API cannot be offered.
public struct AgentSocketProblem: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong.
    public var message: String
    /// What to do.
    public var advice: String?

    /// Creates a problem.
    public init(_ message: String, advice: String? = nil) {
        self.message = message
        self.advice = advice
    }

    /// The message.
    public var description: String { message }
}

/// The file of the agent's socket: made for one agent alone, with its mode before anybody can connect.
struct AgentSocket: Sendable {
    /// Where it is.
    let path: String
    /// Bound, not yet listening.
    let descriptor: Descriptor
    /// Held as long as the agent lives, however it ends.
    private let lock: FileLock

    /// Makes the socket, and the directory if it is missing.
    ///
    /// A socket that an agent left behind is replaced.
    ///
    /// - Parameters:
    ///   - path: Where.
    ///   - group: Whose members may use it too.
    /// - Throws: ``AgentSocketProblem`` if another agent listens there, or something else is there; `LinuxError`.
    init(path: String, group: UInt32?) throws {
        guard path.utf8.count <= UnixSocket.pathLimit else {
            throw AgentSocketProblem(
                "the path of the socket has \(path.utf8.count) bytes, and the kernel takes \(UnixSocket.pathLimit)",
                advice: "name a shorter one with --socket")
        }
        let directory = AgentSocket.directory(of: path)
        if !File.exists(directory) { try Directory.make(directory, mode: 0o700) }
        if let group { try AgentSocket.open(directory, to: group) }
        self.path = path
        lock = try AgentSocket.lock(path)
        try AgentSocket.clear(path)
        descriptor = try UnixSocket.bind(path)
        try File.changeMode(of: path, to: group == nil ? 0o600 : 0o660)
        if let group { try File.changeGroup(of: path, to: group) }
    }

    /// Removes the files. Another agent may begin from then on.
    func remove() {
        try? File.remove(path)
        try? File.remove(AgentSocket.lockPath(path))
    }

    private static func lockPath(_ path: String) -> String { path + ".lock" }

    private static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Lets the group through a directory of this user's that is closed to others.
    private static func open(_ directory: String, to group: UInt32) throws(LinuxError) {
        let status = try File.status(directory)
        guard status.owner == CurrentProcess.effectiveUser, status.mode & 0o001 == 0 else { return }
        if status.group == group, status.mode & 0o010 != 0 { return }
        try File.changeGroup(of: directory, to: group)
        try File.changeMode(of: directory, to: (status.mode & 0o700) | 0o010)
    }

    private static func lock(_ path: String) throws -> FileLock {
        while true {
            guard let lock = try FileLock.tryAcquire(lockPath(path)) else { throw inUse(path) }
            // An agent that ended meanwhile may have removed the file.
            let held = try File.status("/proc/self/fd/\(lock.descriptor.number)")
            if let named = try? File.status(lockPath(path)), named.inode == held.inode { return lock }
        }
    }

    /// Removes a socket that nobody listens at.
    private static func clear(_ path: String) throws {
        guard let status = try? File.status(path, followingLinks: false) else { return }
        guard status.kind == .other else {
            throw AgentSocketProblem(
                "\(path) is there, and is no socket", advice: "move it away, or name another path with --socket")
        }
        do {
            _ = try UnixSocket.connect(to: path)
            throw inUse(path)
        } catch let error as LinuxError {
            guard error.errno == .connectionRefused else { throw error }
            try File.remove(path)
        }
    }

    private static func inUse(_ path: String) -> AgentSocketProblem {
        AgentSocketProblem(
            "another agent listens at \(path)", advice: "egret get status says which; there is one for each machine")
    }
}
