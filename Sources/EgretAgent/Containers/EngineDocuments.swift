// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetworks

/// What the Docker Engine API tells of a container (`GET /containers/{id}/json`), as far as it is used.
struct EngineContainer: Decodable, Sendable {
    struct State: Decodable, Sendable {
        var isRunning: Bool
        /// Whether it is paused, which not every engine calls running.
        var isPaused: Bool?
        /// The number of the first process; 0 if there is none.
        var process: Int

        enum CodingKeys: String, CodingKey {
            case isRunning = "Running"
            case isPaused = "Paused"
            case process = "Pid"
        }
    }

    struct Config: Decodable, Sendable {
        var labels: [String: String]?
        /// What it was asked to be made of.
        var image: String?

        enum CodingKeys: String, CodingKey {
            case labels = "Labels"
            case image = "Image"
        }
    }

    struct HostConfig: Decodable, Sendable {
        /// The network that was asked for: `host`, `container:…`, or a name.
        var networkMode: String?
        /// Whether it has all capabilities, and the host's devices.
        var isPrivileged: Bool?
        /// The capabilities besides the usual ones, and those of them that it does not have.
        var addedCapabilities: [String]?
        var droppedCapabilities: [String]?
        /// Whose processes it is among: `host`, `container:…`, or nothing.
        var processMode: String?
        /// Whose users it has: `host`, another word for its own, or nothing.
        var userMode: String?

        enum CodingKeys: String, CodingKey {
            case networkMode = "NetworkMode"
            case isPrivileged = "Privileged"
            case addedCapabilities = "CapAdd"
            case droppedCapabilities = "CapDrop"
            case processMode = "PidMode"
            case userMode = "UsernsMode"
        }

        /// What the container was given.
        func grant(of users: ContainerUsers?) -> ContainerGrant {
            let other = "container:"
            let owner: String? = networkMode.flatMap { $0.hasPrefix(other) ? String($0.dropFirst(other.count)) : nil }
            return ContainerGrant(
                usesHostNetwork: networkMode == "host", networkOwner: owner,
                capabilities: ContainerGrant.capabilities(
                    isPrivileged: isPrivileged ?? false, added: addedCapabilities ?? [],
                    dropped: droppedCapabilities ?? []),
                seesHostProcesses: processMode == "host", hasHostUsers: ContainerUsers.areHosts(userMode, of: users))
        }
    }

    struct Settings: Decodable, Sendable {
        var networks: [String: Network]?
        /// The file of the namespace that the engine has made; empty, or not there, if it has made none.
        var sandbox: String?

        enum CodingKeys: String, CodingKey {
            case networks = "Networks"
            case sandbox = "SandboxKey"
        }
    }

    struct Network: Decodable, Sendable {
        var ipv4: String?
        var ipv6: String?
        var hardware: String?

        enum CodingKeys: String, CodingKey {
            case ipv4 = "IPAddress"
            case ipv6 = "GlobalIPv6Address"
            case hardware = "MacAddress"
        }
    }

    var identifier: String
    /// With a slash in front.
    var name: String
    var state: State
    var config: Config
    var settings: Settings
    var hostConfig: HostConfig?
    /// The number of its image.
    var image: String?

    enum CodingKeys: String, CodingKey {
        case identifier = "Id"
        case name = "Name"
        case state = "State"
        case config = "Config"
        case settings = "NetworkSettings"
        case hostConfig = "HostConfig"
        case image = "Image"
    }

    /// What is to be attached; `nil` if the container does not run.
    ///
    /// - Parameters:
    ///   - runtime: What the engine is called: the group of its containers.
    ///   - users: Whose users its containers have; `nil` if that is not known.
    /// - Returns: The container's namespace, with the addresses that the engine gave.
    func target(of runtime: String, users: ContainerUsers? = nil) -> AttachedTarget? {
        guard state.isRunning || state.isPaused == true, state.process > 0 else { return nil }
        let pairs = (settings.networks ?? [:]).values.compactMap { network -> (String, [IPAddress])? in
            guard let hardware = network.hardware.flatMap({ MACAddress(text: $0) }) else { return nil }
            return (hardware.description, [network.ipv4, network.ipv6].compactMap { $0.flatMap { IPAddress($0) } })
        }
        // A container in another's network, or the host's, has no addresses of its own.
        let isShared = hostConfig?.networkMode.map { $0 == "host" || $0.hasPrefix("container:") } ?? false
        return AttachedTarget(
            group: runtime, name: name.hasPrefix("/") ? String(name.dropFirst()) : name, kind: "Container",
            labels: config.labels ?? [:], origin: runtime, identifier: identifier,
            path: "/proc/\(state.process)/ns/net", isGuest: isShared,
            addresses: isShared ? nil : Dictionary(pairs, uniquingKeysWith: { first, _ in first }),
            image: config.image.map { ImageReference(text: $0, identifier: image) },
            grant: hostConfig?.grant(of: users),
            sandbox: settings.sandbox.flatMap { $0.hasPrefix("/") ? $0 : nil })
    }
}

/// What the engine tells of itself (`GET /info`).
struct EngineInformation: Decodable, Sendable {
    /// What it keeps containers in by: `name=userns`, `name=seccomp,profile=default`.
    var securityOptions: [String]?

    enum CodingKeys: String, CodingKey {
        case securityOptions = "SecurityOptions"
    }

    /// Whose users its containers have.
    var users: ContainerUsers {
        let words = (securityOptions ?? []).flatMap { $0.split(separator: ",") }
        if words.contains("name=rootless") { return .rootless }
        return words.contains("name=userns") ? .remapped : .host
    }
}

/// A container in a list (`GET /containers/json`).
struct EngineListItem: Decodable, Sendable {
    var identifier: String
    /// Each with a slash in front.
    var names: [String]?
    var labels: [String: String]?
    var image: String?
    var imageIdentifier: String?

    enum CodingKeys: String, CodingKey {
        case identifier = "Id"
        case names = "Names"
        case labels = "Labels"
        case image = "Image"
        case imageIdentifier = "ImageID"
    }

    /// Its own name, without the slash. Docker's links give it others, below the names of those that have them: `/web/db`.
    var name: String? {
        (names ?? []).map { $0.hasPrefix("/") ? String($0.dropFirst()) : $0 }.first { !$0.contains("/") }
    }
}

/// A network with what is connected to it (`GET /networks/{id}`).
struct EngineNetwork: Decodable, Sendable {
    struct Member: Decodable, Sendable {
        var hardware: String?
        /// With the prefix's length.
        var ipv4: String?
        var ipv6: String?

        enum CodingKeys: String, CodingKey {
            case hardware = "MacAddress"
            case ipv4 = "IPv4Address"
            case ipv6 = "IPv6Address"
        }

        var addresses: [IPAddress] {
            [ipv4, ipv6].compactMap { $0?.split(separator: "/").first.flatMap { IPAddress(String($0)) } }
        }
    }

    var identifier: String
    var options: [String: String]?
    /// By the container's number.
    var members: [String: Member]?

    enum CodingKeys: String, CodingKey {
        case identifier = "Id"
        case options = "Options"
        case members = "Containers"
    }

    /// The network's bridge on the host.
    var bridge: String { options?["com.docker.network.bridge.name"] ?? "br-\(identifier.prefix(12))" }
}

/// An event (`GET /events`).
struct EngineEvent: Decodable, Sendable {
    /// What it is about.
    struct Subject: Decodable, Sendable {
        var identifier: String
        var attributes: [String: String]?

        enum CodingKeys: String, CodingKey {
            case identifier = "ID"
            case attributes = "Attributes"
        }
    }

    /// `container` or `network`.
    var kind: String
    /// `start`, `connect`, and so on.
    var action: String
    var subject: Subject

    enum CodingKeys: String, CodingKey {
        case kind = "Type"
        case action = "Action"
        case subject = "Actor"
    }

    /// The container that it is about. Of a network's events Docker says which network it is and names the container beside
    /// it; Podman says which container it is, and names the network since release 5.
    var container: String? {
        switch kind {
        case "container": subject.identifier
        case "network": attributes["container"] ?? (isAboutLink ? subject.identifier : nil)
        default: nil
        }
    }

    /// The network that a container is being connected to, which may not run yet; `nil` if the engine tells of that only
    /// when the container runs, as Podman does.
    var awaitedNetwork: String? {
        kind == "network" && action == "connect" && attributes["container"] != nil ? subject.identifier : nil
    }

    private var isAboutLink: Bool { action == "connect" || action == "disconnect" }

    private var attributes: [String: String] { subject.attributes ?? [:] }
}

/// Why an engine does not do something.
struct EngineRefusal: Decodable, Sendable {
    var message: String
    /// What lies behind it, as Podman says.
    var cause: String?

    /// Whether there is no such container any more. Of one that it removes meanwhile Podman says so with status 500.
    var isAbsence: Bool { cause == "no such container" }
}
