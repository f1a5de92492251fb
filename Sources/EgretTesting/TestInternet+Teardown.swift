// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc

extension TestInternet {
    /// Removes everything: processes first, then namespaces with their links, then the directory.
    ///
    /// Works on what is there, not on what was noted down, so it also removes what a crash left behind, and does
    /// nothing when there is nothing. A step that fails does not stop the next one.
    ///
    /// - Returns: What could not be done; empty when nothing is left.
    @discardableResult
    public func down() -> [LabError] {
        var errors = killProcesses(within: .seconds(5))
        for host in LabHost.all {
            do {
                try removeNamespace(of: host)
            } catch {
                errors.append(error)
            }
        }
        if exists {
            do {
                try FileManager.default.removeItem(atPath: directory)
            } catch {
                errors.append(LabError("removing \(directory)", reason: "\(error)"))
            }
        }
        _ = unsafe rmdir("/var/lib/egret-lab")  // Only succeeds for the last lab.
        return errors
    }

    /// What of this internet exists, one line each: namespaces, processes inside them, the directory.
    public func leftovers() -> [String] {
        let namespaces = LabHost.all.filter(namespaceExists).map { "namespace \(namespaceName(of: $0))" }
        let processes = processes(in: labNamespaces()).map { "process \($0)" }
        return namespaces + processes + (exists ? ["directory \(directory)"] : [])
    }

    private func namespaceExists(_ host: LabHost) -> Bool {
        FileManager.default.fileExists(atPath: namespacePath(of: host))
    }

    private func removeNamespace(of host: LabHost) throws(LabError) {
        guard namespaceExists(host) else { return }
        let output = try runProgram(["ip", "netns", "delete", namespaceName(of: host)])
        guard output.succeeded else {
            throw LabError("removing \(namespaceName(of: host))", reason: output.complaint)
        }
    }

    private func killProcesses(within timeout: Duration) -> [LabError] {
        // The mount namespace's number is free for others once home's keeper is gone: it counts in the first round only.
        var namespaces = labNamespaces()
        let deadline = ContinuousClock.now + timeout
        while true {
            let remaining = processes(in: namespaces)
            if remaining.isEmpty { return [] }
            for process in remaining { kill(process, SIGKILL) }
            namespaces = hostNamespaces()
            if ContinuousClock.now >= deadline {
                let list = remaining.map(String.init).joined(separator: ", ")
                return [LabError("ending the lab's processes", reason: "still running: \(list)")]
            }
            usleep(2000)
        }
    }

    /// The network namespaces of the hosts: their numbers stay theirs while they have names.
    private func hostNamespaces() -> Set<NamespaceIdentity> {
        var identities = Set(LabHost.all.compactMap { NamespaceIdentity(path: namespacePath(of: $0)) })
        // A file that is no longer a namespace (after a crash inside `ip netns add`) must not match our own.
        if let own = NamespaceIdentity(path: "/proc/self/ns/net") { identities.remove(own) }
        return identities
    }

    /// The network namespaces of the hosts, and home's mount namespace.
    private func labNamespaces() -> Set<NamespaceIdentity> {
        var identities = hostNamespaces()
        if let keeper = homeKeeper {
            let net = NamespaceIdentity(path: "/proc/\(keeper)/ns/net")
            let mount = NamespaceIdentity(path: "/proc/\(keeper)/ns/mnt")
            // The number in the file may be another process's by now; the keeper is the one in home's network.
            if let net, let mount, identities.contains(net) { identities.insert(mount) }
        }
        return identities
    }

    private func processes(in namespaces: Set<NamespaceIdentity>) -> [Int32] {
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return entries.compactMap { Int32($0) }.filter { process in
            guard process != getpid() else { return false }
            let isInside = ["net", "mnt"].contains { kind in
                NamespaceIdentity(path: "/proc/\(process)/ns/\(kind)").map(namespaces.contains) ?? false
            }
            return isInside || isMarked(process)
        }
    }

    /// Whether a process was started for this lab: a builder whose `egret-lab` was killed, or a server whose namespace
    /// has lost its name. The kernel keeps the environment that a program was started with.
    private func isMarked(_ process: Int32) -> Bool {
        guard let environment = FileManager.default.contents(atPath: "/proc/\(process)/environ") else { return false }
        return environment.split(separator: 0).contains { $0.elementsEqual("EGRET_LAB=\(name)".utf8) }
    }
}

/// What makes two paths name the same namespace: device and inode.
private struct NamespaceIdentity: Hashable {
    var device: UInt
    var inode: UInt

    /// Reads the identity; `nil` when nothing is there, or the process has ended meanwhile.
    init?(path: String) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return nil }
        device = UInt(status.st_dev)
        inode = UInt(status.st_ino)
    }
}
