// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetlinkWire

extension Observation {
    /// What the observation says of a step.
    func judge(_ step: Step) -> Judgment {
        switch step {
        case .link: judgeLink()
        case .address: judgeAddress()
        case .route: judgeRoute()
        case .neighbour: judgeNeighbour()
        case .probe: judgeProbe()
        case .arrival: judgeArrival()
        case .policy: judgePolicy()
        case .forwarding: judgeForwarding()
        case .rules: judgeRules()
        case .wayOut: judgeWayOut()
        case .translation: judgeTranslation()
        case .answer: judgeAnswer()
        case .wayBack: judgeWayBack()
        case .size: judgeSize()
        }
    }

    /// A command in the endpoint's namespace.
    func inside(_ words: String...) -> [String] { endpoint.place.wrap(words) }

    /// Whether nothing beyond the endpoint's namespace is the host's business.
    var isLocal: Bool {
        if case .local? = route.usable?.kind { return true }
        return false
    }
}
