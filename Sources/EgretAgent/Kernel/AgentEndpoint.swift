// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretPolicy

/// An endpoint as the agent knows it: a workload, and where it is connected.
///
/// A value. What is known of it is held once, however many lists and tables have it: of ten thousand endpoints, each would take
/// some megabytes otherwise.
@dynamicMemberLookup
struct AgentEndpoint: Sendable {
    /// What is known of an endpoint.
    struct Facts: Hashable, Sendable {
        /// What selectors choose it by.
        var workload: Workload
        /// Its network.
        var network: String
        /// Its namespace, as it was connected.
        var namespace: String
        /// The host's end of its link.
        var interface: InterfaceName
        /// The index of the host's end.
        var interfaceIndex: UInt32
        /// The bridge that the host's end is a port of; `nil` if it is routed.
        var bridge: Bridge?
        /// The hardware address of the endpoint's end.
        var hardwareAddress: MACAddress
        /// The addresses at this link: of the workload's, which may have several links.
        var addresses: [IPAddress]
        /// The addresses of its network.
        var subnets: [IPPrefix]
        /// The largest packet of its link, in bytes.
        var mtu: UInt32
        /// How fast its traffic may be, whatever policies say.
        var limits: [TrafficLimit]
        /// The control group that it is, and then it has no link: processes of the host's own network.
        var control: ControlGroup?
        /// The families of which it leaves by this link, if it has several; `nil` otherwise, and where that is not known.
        var leads: Swift.Set<AddressFamily>?
    }

    /// A bridge of the host's.
    struct Bridge: Hashable, Sendable {
        /// Its name.
        var name: InterfaceName
        /// Its index.
        var index: UInt32
    }

    /// Facts that never change: an endpoint that is otherwise has others.
    private final class Holder: Sendable {
        let facts: Facts

        init(_ facts: Facts) { self.facts = facts }
    }

    private var holder: Holder

    /// Notes an endpoint.
    init(
        workload: Workload, network: String, namespace: String, interface: InterfaceName, interfaceIndex: UInt32,
        bridge: Bridge? = nil, hardwareAddress: MACAddress, addresses: [IPAddress], subnets: [IPPrefix] = [],
        mtu: UInt32 = 1_500, limits: [TrafficLimit] = [], control: ControlGroup? = nil,
        leads: Swift.Set<AddressFamily>? = nil
    ) {
        holder = Holder(
            Facts(
                workload: workload, network: network, namespace: namespace, interface: interface,
                interfaceIndex: interfaceIndex, bridge: bridge, hardwareAddress: hardwareAddress, addresses: addresses,
                subnets: subnets, mtu: mtu, limits: limits, control: control, leads: leads))
    }

    /// One of the facts.
    subscript<Fact>(dynamicMember fact: WritableKeyPath<Facts, Fact>) -> Fact {
        get { holder.facts[keyPath: fact] }
        set {
            var facts = holder.facts
            facts[keyPath: fact] = newValue
            holder = Holder(facts)
        }
    }
}

extension AgentEndpoint: Hashable {
    /// Whether all that is known of both is the same; at once where it is held once for both.
    static func == (left: AgentEndpoint, right: AgentEndpoint) -> Bool {
        left.holder === right.holder || left.holder.facts == right.holder.facts
    }

    func hash(into hasher: inout Hasher) { hasher.combine(holder.facts) }
}

extension AgentEndpoint {
    /// How the host knows which packets are the endpoint's.
    var attachment: HostEndpoint.Attachment {
        let facts = holder.facts
        if let control = facts.control { return .cgroup(id: control.id, level: control.level) }
        return facts.bridge.map { .port(facts.interface, index: facts.interfaceIndex, bridgeIndex: $0.index) }
            ?? .link(facts.interface, index: facts.interfaceIndex)
    }
}
