// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux

/// A network namespace that somebody else has connected to this host, and that is to be held to policies.
struct AttachedTarget: Codable, Hashable, Sendable {
    /// Its group: the runtime that made it, unless somebody says otherwise.
    var group: String
    /// Its name in the group.
    var name: String
    /// `Container` or `Namespace`.
    var kind: String
    /// Its labels.
    var labels: [String: String]
    /// Who tells of it: `docker`, or `attach` for an operator.
    var origin: String
    /// What it is to whoever tells of it: a container's number.
    var identifier: String
    /// The file of its namespace; of a container, that of the namespace that its first process is in.
    var path: String
    /// Whether it lives in the network of something else, whose policies hold for it.
    var isGuest = false
    /// Its addresses by the hardware address of the link, where somebody knows who need not ask the namespace.
    var addresses: [String: [IPAddress]]?
    /// The image that it was made of, where its engine tells.
    var image: ImageReference?
    /// What it was given when it was started, where its engine tells.
    var grant: ContainerGrant?
    /// The file of the namespace that its engine has made for it, whatever becomes of its first process; `nil` if it tells of
    /// none.
    var sandbox: String?

    /// `group/name`.
    var id: String { "\(group)/\(name)" }

    /// Whether a file is the one of its namespace, or of the one that its first process is in.
    func isFoundBy(_ file: String) -> Bool { file == path || file == sandbox }
}

extension AttachedTarget {
    /// Reads a target. What later versions add is to be missing in records of earlier ones, which an upgrade must not lose.
    init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        group = try values.decode(String.self, forKey: .group)
        name = try values.decode(String.self, forKey: .name)
        kind = try values.decode(String.self, forKey: .kind)
        labels = try values.decode([String: String].self, forKey: .labels)
        origin = try values.decode(String.self, forKey: .origin)
        identifier = try values.decode(String.self, forKey: .identifier)
        path = try values.decode(String.self, forKey: .path)
        isGuest = try values.decodeIfPresent(Bool.self, forKey: .isGuest) ?? false
        addresses = try values.decodeIfPresent([String: [IPAddress]].self, forKey: .addresses)
        image = try values.decodeIfPresent(ImageReference.self, forKey: .image)
        grant = try values.decodeIfPresent(ContainerGrant.self, forKey: .grant)
        sandbox = try values.decodeIfPresent(String.self, forKey: .sandbox)
    }
}

/// An attached namespace as it is kept until it is gone.
struct AttachedRecord: Codable, Hashable, Sendable {
    /// A link from the host to the namespace.
    struct Link: Codable, Hashable, Sendable {
        /// Its name in the namespace.
        var interface: String
        /// The index of the host's end.
        var hostIndex: UInt32
        /// The hardware address of the namespace's end.
        var hardwareAddress: String
        /// Its addresses when it was first seen: what the namespace gives itself later is not its own.
        var addresses: [IPAddress]
    }

    /// Another namespace than the target's own.
    struct Elsewhere: Codable, Hashable, Sendable {
        /// The kernel's cookie of it.
        var cookie: UInt64
        /// What leads out of it past policies, in words.
        var ways: [String]
    }

    /// What is attached.
    var target: AttachedTarget
    /// The kernel's cookie of the namespace; 0 while there are links and no namespace yet.
    var cookie: UInt64
    /// The links that are policed.
    var links: [Link]
    /// The labels that somebody else has told before its engine did, and that it keeps whatever the engine tells later.
    var told: [String: String]?
    /// Why not all that it sends is held to policies; `nil` if it is.
    var problem: String?
    /// How its first process could once get into the host's network: it may have given that up, and a child of it not.
    var wayToHost: String?
    /// How its first process could once set the host's clock.
    var wayToClock: String?
    /// Where its first process was when its engine told of it, if it had left its network.
    var elsewhere: Elsewhere?
    /// Whether its engine runs it no longer: it is there for its links alone, which others may use.
    var hasEnded: Bool?

    /// Whether there is a namespace that its engine, or whoever has attached it, still has.
    var isRun: Bool { cookie != 0 && hasEnded != true }
}

extension AttachedTarget {
    /// Why a container's policies are not to be relied upon: its processes can get into the host's network; `nil` if they
    /// cannot.
    ///
    /// There are two witnesses, of which one is enough: the kernel, of what the first process has now, and the engine, of what it
    /// had when it was started.
    var wayToHost: String? {
        let seesHostProcesses = grant?.seesHostProcesses ?? false || process.map { sharesWithHost("pid", $0) } ?? false
        return HostCapability.wayToHost(capabilitiesOnHost, seesHostProcesses: seesHostProcesses)
    }

    /// Why a container's rules with times, and everybody's, are not to be relied upon; `nil` if they are.
    var wayToClock: String? { HostCapability.wayToClock(capabilitiesOnHost) }

    /// What its processes may ever do in the host's user namespace: its first one and whatever that starts, and those that were
    /// there before it gave something up.
    private var capabilitiesOnHost: UInt64 {
        let shares = process.map { sharesWithHost("user", $0) } ?? false
        let present = shares ? process.flatMap { AttachedTarget.number("CapBnd:", of: "\($0)", radix: 16) } : nil
        // As long as the engine has not said whose users it has, the kernel says so.
        let given = grant?.hasHostUsers ?? shares ? grant?.capabilities : nil
        return (present ?? 0) | (given ?? 0)
    }

    /// Whether it is the container that the agent itself runs in: its first process is the agent, or one that the agent comes
    /// from.
    ///
    /// What they share says nothing: a container that may enter namespaces can have its first process be in any of the
    /// agent's.
    var isAgents: Bool {
        guard let process, let first = AttachedTarget.number("Pid:", of: "\(process)") else { return false }
        var next = AttachedTarget.number("Pid:", of: "/proc/self")
        // A process has fewer before it; numbers that change meanwhile are not to lead in a circle.
        for _ in 0..<256 {
            guard let number = next, number > 0 else { return false }
            if number == first { return true }
            next = AttachedTarget.number("PPid:", of: "/proc/\(number)")
        }
        return false
    }

    /// A number that the status of a process tells.
    private static func number(_ word: String, of process: String, radix: Int = 10) -> UInt64? {
        guard let status = try? File.readText("\(process)/status") else { return nil }
        let line = status.split(separator: "\n").first { $0.hasPrefix(word) }
        return line.flatMap { UInt64($0.dropFirst(word.count).filter { !$0.isWhitespace }, radix: radix) }
    }

    /// The directory of a container's first process.
    private var process: Substring? {
        let end = "/ns/net"
        guard kind == "Container", path.hasPrefix("/proc/"), path.hasSuffix(end) else { return nil }
        return path.dropLast(end.utf8.count)
    }

    private func sharesWithHost(_ kind: String, _ process: Substring) -> Bool {
        guard let its = try? File.destination(ofLink: "\(process)/ns/\(kind)"),
            let own = try? File.destination(ofLink: "/proc/self/ns/\(kind)")
        else { return false }
        return its == own
    }
}
