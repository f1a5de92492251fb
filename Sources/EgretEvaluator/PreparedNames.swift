// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
package import EgretPolicy

/// The names of a rule, ready to be asked.
package struct PreparedNames: Sendable {
    /// How traffic to them passes.
    package let traffic: NamedTraffic
    private let action: RuleAction
    private var matcher = DomainMatcher<Void>()

    /// - Returns: `nil` for a rule that is not about names.
    init?(_ rule: EgressRule, groups: [String: DestinationGroup]) {
        let patterns = PolicySet.patterns(of: rule, in: groups)
        if patterns.isEmpty { return nil }
        traffic = NamedTraffic(rule)
        action = rule.action
        for pattern in patterns { matcher.insert(pattern, ()) }
    }

    /// Whether the rule is about the name.
    func cover(_ name: DomainName) -> Bool { !matcher.matches(name).isEmpty }

    /// Whether the rule covers the flow by its names.
    ///
    /// A rule that holds back does so where its name is said: an address has other names too.
    ///
    /// - Parameters:
    ///   - flow: The flow.
    ///   - held: Those of its names that the rule covers, and no earlier rule denies.
    ///   - services: The rule's.
    /// - Returns: Whether it does.
    func match(_ flow: Flow, holding held: Set<DomainName>, services: [Service]) -> Bool {
        switch action {
        case .deny, .reject:
            guard case .name(let name, _) = flow.speech else { return false }
            return cover(name) && (services.isEmpty || services.contains { $0.matches(flow) })
        case .allow, .audit: return !held.isEmpty && lets(flow, held)
        case .pass: return false
        }
    }

    /// Whether clients of the flow's kind are to hear at once that it is refused.
    func answers(_ flow: Flow, holding held: Set<DomainName>) -> Bool {
        guard !held.isEmpty, flow.protocol == .udp, let port = flow.destinationPort else { return false }
        return traffic.answered.contains { $0.contains(port) }
    }

    private func lets(_ flow: Flow, _ held: Set<DomainName>) -> Bool {
        guard let spoken = spoken(on: flow) else {
            guard traffic.pinned.contains(where: { $0.matches(flow) }) else { return false }
            if case .name(let name, _) = flow.speech { return held.contains(name) }
            return true
        }
        switch flow.speech {
        case .unread: return false
        case .nothing: return traffic.passesUnverified
        case .name(let name, let application): return spoken.contains(application) && held.contains(name)
        }
    }

    /// The protocols in which the flow's client must say a name; `nil` where nobody reads what it says.
    private func spoken(on flow: Flow) -> [ApplicationProtocol]? {
        guard let port = flow.destinationPort else { return nil }
        switch flow.protocol {
        case .tcp: return traffic.checks(port) ? traffic.spoken : nil
        // In QUIC the hello is TLS's.
        case .udp: return traffic.checksDatagrams(port) ? [.tls] : nil
        default: return nil
        }
    }
}
