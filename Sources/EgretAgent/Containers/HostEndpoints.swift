// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretCompiler
import EgretLinux

/// The endpoints of this host: those of its networks, and those that others have connected.
struct HostEndpoints: EndpointSource {
    private let networks: NetworkEndpoints
    let attached: AttachedEndpoints?
    let groups: AttachedGroups?
    /// What says that it is files whose policies are in the kernel.
    private let fileNote: String

    init(networks: NetworkEndpoints, attached: AttachedEndpoints, groups: AttachedGroups, fileNote: String) {
        self.networks = networks
        self.fileNote = fileNote
        self.attached = attached
        self.groups = groups
    }

    func endpoints() throws -> [AgentEndpoint] {
        let own = try networks.endpoints()
        let others = (try attached?.endpoints() ?? [], try groups?.endpoints() ?? [])
        // The very list, as most often: whoever has it sees at once that it is the same.
        if others.0.isEmpty, others.1.isEmpty { return own }
        let links = Swift.Set(own.map(\.interfaceIndex))
        return own + others.0.filter { !links.contains($0.interfaceIndex) } + others.1
    }

    func hasLink(_ endpoint: AgentEndpoint) -> Bool {
        if let control = endpoint.control {
            // What cannot be told has not gone.
            do { return try control.successor()?.id == control.id } catch { return true }
        }
        return networks.hasLink(endpoint)
    }

    func quarantine() throws -> Swift.Set<BridgePattern> { try networks.quarantine() }

    /// Notes in what says that files' policies are in the kernel that an agent takes them over.
    func noteTakeOver() throws {
        if File.exists(fileNote) { try File.replace(fileNote, with: FilePolicies.takenOver, mode: 0o600) }
    }

    /// Notes that the agent's policies are in force, if there are any, and those of files no more.
    func note(hasPolicies: Bool) throws {
        try networks.note(hasPolicies: hasPolicies)
        if File.exists(fileNote) { try File.remove(fileNote) }
    }
}
