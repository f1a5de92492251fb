// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretPolicy

/// The policies that decide about endpoints' traffic in one direction: equal keys share one program.
public struct ProgramKey: Hashable, Sendable {
    /// The direction.
    public var direction: TrafficDirection
    /// The names of the policies, in the order of asking.
    public var policies: [String]
    /// The endpoint's own ports by name, where a rule about its ingress asks for them.
    public var namedPorts: [Workload.NamedPort]

    /// Creates a key.
    public init(_ direction: TrafficDirection, policies: [String], namedPorts: [Workload.NamedPort] = []) {
        self.direction = direction
        self.policies = policies
        self.namedPorts = namedPorts
    }
}

/// An endpoint of a network as the kernel's plan needs to know it.
public struct HostEndpoint: Hashable, Sendable {
    /// How the host knows which packets are the endpoint's.
    public enum Attachment: Hashable, Sendable {
        /// By the host's end of its link.
        case link(InterfaceName, index: UInt32)
        /// By its address among the packets of a bridge; its port, by which frames are checked, ties it to that.
        case port(InterfaceName, index: UInt32, bridgeIndex: UInt32)
        /// By the control group that its sockets are made in: processes of the host's own network. What they are sent
        /// nobody sees, and frames there are none.
        case cgroup(id: UInt64, level: UInt8)

        /// The index of the host's end of its link; `nil` for processes of the host's own network.
        public var index: UInt32? {
            switch self {
            case .link(_, let index), .port(_, let index, _): index
            case .cgroup: nil
            }
        }

        /// The host's end of its link; `nil` for processes of the host's own network.
        public var interface: InterfaceName? {
            switch self {
            case .link(let name, _), .port(let name, _, _): name
            case .cgroup: nil
            }
        }
    }

    /// The endpoint's number, which its frame chain carries; unique on the host.
    public var slot: Int
    /// How the host knows it.
    public var attachment: Attachment
    /// The hardware address of the endpoint's end: the only source that its frames may carry.
    public var hardwareAddress: MACAddress
    /// Its addresses: the only sources that its packets may carry.
    public var addresses: [IPAddress]
    /// The policies about what it begins; `nil` if none selects it.
    public var egress: ProgramKey?
    /// The policies about what others begin to it; `nil` if none selects it.
    public var ingress: ProgramKey?
    /// The index of the interface that its frames wait in, where its rate is limited: they go on from there.
    public var queueIndex: UInt32?

    /// Creates an endpoint.
    public init(
        slot: Int, attachment: Attachment, hardwareAddress: MACAddress, addresses: [IPAddress],
        egress: ProgramKey? = nil, ingress: ProgramKey? = nil, queueIndex: UInt32? = nil
    ) {
        self.queueIndex = queueIndex
        self.slot = slot
        self.attachment = attachment
        self.hardwareAddress = hardwareAddress
        self.addresses = addresses
        self.egress = egress
        self.ingress = ingress
    }

    /// The interface that its frames come in by; `nil` for processes of the host's own network.
    public var interface: InterfaceName? { attachment.interface }

    /// Whether it is processes of the host's own network.
    var isCgroup: Bool {
        if case .cgroup = attachment { true } else { false }
    }

    /// Which chains it shares with others.
    var profile: HostProfile { HostProfile(egress: egress, ingress: ingress) }
}

/// The pair of programs that endpoints have in common.
struct HostProfile: Hashable, Sendable {
    var egress: ProgramKey?
    var ingress: ProgramKey?

    var keys: [ProgramKey] { [egress, ingress].compactMap(\.self) }
}
