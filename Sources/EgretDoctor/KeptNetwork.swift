// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// A network that Egret keeps, as far as the doctor needs to know it; who builds the doctor brings it.
public struct KeptNetwork: Hashable, Sendable {
    /// Its name.
    public var name: String
    /// Its addresses.
    public var blocks: [IPPrefix]
    /// What its endpoints' default routes lead to: the host, or on an adopted bridge perhaps another machine.
    public var gateways: Set<IPAddress>
    /// Whether its bridge is somebody else's. The gateway of any other network is the host, also while the host has lost the
    /// address.
    public var isAdopted: Bool
    /// The host's interfaces that lead to it: the bridge, or each link.
    public var interfaces: Set<String>
    /// Whether its endpoints reach nobody but each other and the host.
    public var isIsolated: Bool
    /// Whether source addresses are translated.
    public var isTranslated: Bool

    /// Describes a network.
    public init(
        name: String, blocks: [IPPrefix], gateways: Set<IPAddress> = [], isAdopted: Bool = false,
        interfaces: Set<String>, isIsolated: Bool, isTranslated: Bool
    ) {
        self.name = name
        self.blocks = blocks
        self.gateways = gateways
        self.isAdopted = isAdopted
        self.interfaces = interfaces
        self.isIsolated = isIsolated
        self.isTranslated = isTranslated
    }
}

/// Something of a network that is kept and not there.
public struct Deviation: Hashable, Sendable {
    /// What it is, in the order in which a packet needs it.
    public enum Kind: Hashable, Sendable, CaseIterable {
        /// An end of the link, or the bridge.
        case link
        /// An address of the endpoint's.
        case address
        /// A route of the endpoint's.
        case route
        /// The host's own address on the link.
        case gateway
        /// The host's route to the endpoint.
        case routeBack
        /// A rule that translates, or lets through.
        case rules
    }

    /// What it is.
    public var kind: Kind
    /// What is missing, in words.
    public var words: String
    /// Whether it is Egret's to put back.
    public var isEgrets: Bool

    /// Describes what is missing.
    public init(_ kind: Kind, _ words: String, isEgrets: Bool = true) {
        (self.kind, self.words, self.isEgrets) = (kind, words, isEgrets)
    }
}

extension Deviation.Kind {
    /// The step at which it shows first; `nil` where that depends.
    private var step: Step? {
        switch self {
        case .link: .link
        case .address: .address
        case .route: .route
        case .gateway, .routeBack, .rules: nil
        }
    }

    /// The step that fails if a packet ended at a step, as the kernel tells, because of this; `nil` if it cannot have.
    func step(explaining end: Step) -> Step? {
        switch self {
        case .link, .address, .route:
            guard let step, step.place <= end.place else { return nil }
            return end.place <= Step.arrival.place || end == .wayBack || end == .policy ? step : nil
        case .gateway:
            // Without the address the host has no route to the network either.
            if [.forwarding, .wayOut, .wayBack].contains(end) { return end }
            return Step.neighbour.place <= end.place && end.place <= Step.arrival.place ? .neighbour : nil
        case .routeBack: return [.neighbour, .arrival, .forwarding, .wayOut, .wayBack].contains(end) ? end : nil
        case .rules: return [.policy, .translation, .wayBack].contains(end) ? end : nil
        }
    }
}

extension Step {
    /// Its place among the steps.
    var place: Int { Step.allCases.firstIndex(of: self) ?? 0 }
}
