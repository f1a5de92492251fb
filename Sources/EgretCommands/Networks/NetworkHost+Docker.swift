// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAgentAPI
import EgretAgentClient
import EgretLinux
import EgretNetlinkWire
import EgretNetworks

extension NetworkHost {
    /// Makes a network of Docker's whose bridge is closed, from before it is there, to all but what the agent knows.
    ///
    /// - Parameter spec: What it is to be.
    /// - Throws: An error that says what is wrong; nothing is left then.
    func createForDocker(_ spec: NetworkSpec) throws {
        try spec.check()
        try checkReadable()
        let plainBridge = spec.mode == .bridge && !spec.isAdopted && spec.allowedThrough.isEmpty
        var isTranslated = true
        switch spec.translation {
        case .masquerade: break
        case .none: isTranslated = false
        case .sourceAddresses: throw NetworkProblem("Docker gives a network no source addresses of its own")
        }
        guard plainBridge else {
            throw NetworkProblem(
                "a network for Docker is a bridge of Docker's", advice: "leave --mode, --adopt and --allow-through out")
        }
        let isKnown = try store.dockerNetworks().contains(spec.name)
        if isKnown || networks.contains(where: { $0.name == spec.name }) {
            throw NetworkProblem("there is a network \(spec.name) already", advice: "egret network rm \(spec.name)")
        }
        if try links.link(named: spec.name) != nil {
            throw NetworkProblem("the host has an interface \(spec.name) already", advice: "choose another name")
        }
        if try NetworkHost.dockerHas(spec.name) {
            throw NetworkProblem(
                "docker has a network \(spec.name) already", advice: "docker network rm \(spec.name), or another name")
        }
        try store.note(dockerNetwork: spec)
        do {
            try closeBridges()
        } catch {
            try store.forget(dockerNetwork: spec.name)
            tellOfEndpoints()
            throw error
        }
        var arguments = ["network", "create", "--driver", "bridge"]
        for option in ["name=\(spec.name)", "enable_ip_masquerade=\(isTranslated)"] {
            arguments += ["--opt", "com.docker.network.bridge.\(option)"]
        }
        if let mtu = spec.mtu { arguments += ["--opt", "com.docker.network.driver.mtu=\(mtu)"] }
        if spec.isIsolated { arguments.append("--internal") }
        if spec.subnet(.ipv6) != nil { arguments.append("--ipv6") }
        for subnet in spec.subnets { arguments += ["--subnet", "\(subnet.block)", "--gateway", "\(subnet.gateway)"] }
        do {
            try NetworkHost.docker(arguments + ["--", spec.name])
        } catch {
            try takeBack(dockerNetwork: spec.name, after: error)
            throw error
        }
    }

    /// Forgets a network that Docker has not made. One that it has made, or may still make, stays closed, and known.
    private func takeBack(dockerNetwork name: String, after failure: any Error) throws {
        let isCertain = (try? NetworkHost.dockerHas(name)) == false && !(failure is DockerSilence)
        guard isCertain else {
            throw NetworkProblem(
                "\(failure); it may have made the network \(name), or make it yet: the bridge \(name) stays closed",
                advice: "when docker answers again: egret network rm \(name)")
        }
        try store.forget(dockerNetwork: name)
        tellOfEndpoints()
    }

    /// Has Docker remove a network that was made for it, and opens its bridge's name again.
    ///
    /// - Returns: `false` if it is no such network.
    /// - Throws: An error that says why Docker does not; the name stays closed then.
    func removeForDocker(_ name: String) throws -> Bool {
        guard try store.dockerNetworks().contains(name) else { return false }
        if try NetworkHost.dockerHas(name) { try NetworkHost.docker(["network", "rm", name]) }
        try store.forget(dockerNetwork: name)
        tellOfEndpoints()
        return true
    }

    /// Has the agent close the bridges of Docker's networks. On return the kernel does.
    private func closeBridges() throws {
        do {
            let status = try AgentClient(agent).synchronize()
            if try status.networkNamespace == NetworkNamespace.currentCookie() { return }
            throw NetworkProblem("the agent looks after another network namespace than this one")
        } catch let error as AgentClientError {
            throw NetworkProblem(error.message, advice: "start it: egret agent --runtime docker")
        } catch let error as APIError {
            throw NetworkProblem(error.message, advice: error.advice)
        }
    }

    private static func dockerHas(_ name: String) throws -> Bool {
        let names = try docker(["network", "ls", "--format", "{{.Name}}"])
        return names.split(separator: "\n").contains { $0 == name }
    }

    /// How long Docker may take for one answer.
    private static let dockerLimit: Duration = .seconds(30)

    @discardableResult
    private static func docker(_ arguments: [String]) throws -> String {
        let run: ProgramRun
        do {
            run = try ProgramRun.run(
                Command("docker", arguments: (["docker"] + arguments).map { NativeString($0) }), limit: dockerLimit)
        } catch {
            throw NetworkProblem("docker cannot be asked: \(error)")
        }
        if run.status == nil { throw DockerSilence(limit: dockerLimit) }
        guard run.succeeded else {
            let reason = run.output.split(separator: "\n").first.map(String.init) ?? "it does not say why"
            throw NetworkProblem("docker refuses: \(reason)")
        }
        return run.output
    }
}

/// Docker has not answered in time: what it was asked to do it may do yet.
private struct DockerSilence: Error, CustomStringConvertible {
    var limit: Duration

    var description: String { "docker has not answered within \(limit.components.seconds) s" }
}
