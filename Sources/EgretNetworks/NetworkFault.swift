// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetlinkWire

/// A difference between what is kept of a network's links and what is there: something that is missing, or what of
/// Egret's own is there and in the way.
public struct NetworkFault: Hashable, Sendable {
    /// What of a packet's way it is about.
    public enum Part: Hashable, Sendable, CaseIterable {
        /// An end of the endpoint's link, or the bridge.
        case link
        /// The endpoint's addresses.
        case address
        /// The endpoint's routes.
        case route
        /// The host's own addresses on the link: the gateways.
        case gateway
        /// The host's route to the endpoint.
        case routeBack
    }

    /// One of the two namespaces that a link is between.
    enum End: Hashable, Sendable {
        case host
        case endpoint
    }

    /// What puts back what is missing.
    enum Mend: Hashable, Sendable {
        /// The link is to be made anew.
        case remake
        /// The bridge is to be there first.
        case bridge
        case setUp(End, UInt32)
        case rename(End, UInt32, String)
        case setAddress(End, UInt32, String)
        case join(UInt32, bridge: UInt32)
        case add(End, IPAddress, UInt8, UInt32)
        case take(End, IPAddress, UInt8, UInt32)
        case route(End, RouteRecord, instead: [RouteRecord])
        case lead(RoutingRuleRecord)
        /// With the routes of the rule's table.
        case unlead(RoutingRuleRecord, [RouteRecord])
    }

    /// What of a packet's way it is about.
    public var part: Part
    /// What is missing, in words.
    public var words: String
    let mend: Mend

    init(_ part: Part, _ words: String, _ mend: Mend) {
        (self.part, self.words, self.mend) = (part, words, mend)
    }

    /// Whether the endpoint's link has to be made anew.
    public var needsNewLink: Bool { mend == .remake }

    /// Whether the endpoint has no default route of a family.
    public var isWayOut: Bool {
        guard case .route(.endpoint, let route, _) = mend else { return false }
        return route.isDefault && !AnswerRouting.tables.contains(route.table)
    }

    /// Whether it is about the link by which the endpoint answers.
    public var isAboutAnswers: Bool {
        switch mend {
        case .lead, .unlead: true
        case .route(.endpoint, let route, _): AnswerRouting.tables.contains(route.table)
        default: false
        }
    }

    /// Whether the bridge has to be there first.
    public var needsBridge: Bool { mend == .bridge }
}
