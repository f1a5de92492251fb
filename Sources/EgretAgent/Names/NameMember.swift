// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretNames
import EgretPolicy

/// An endpoint whose policies have rules about names, or limits or budgets for some, as the proxies must know it.
struct NameMember: Sendable {
    /// Its number.
    var slot: Int
    /// The host's end of its link, which nobody else ever has: `veth1a2b#17`.
    var link: String
    /// Its addresses.
    var addresses: [IPAddress]
    /// Its egress program's number.
    var generation: Generation
    /// Its egress policies.
    var policies: PolicySet
    /// The names that price lists are about.
    var pricedNames: [DomainPattern] = []

    /// The names whose addresses are noted also where no rule is about them.
    var countedNames: [DomainPattern] { policies.countedNames + pricedNames }

    /// The set of a rule's addresses of a family.
    func set(_ rule: Int, _ family: AddressFamily) -> String {
        CompiledNameRule.set(rule, family, of: generation)
    }

    /// What a link is called, for as long as it is there.
    static func linkKey(_ interface: InterfaceName, _ index: UInt32) -> String { "\(interface.rawValue)#\(index)" }
}

/// What the proxies are to know otherwise than before.
struct NameChange: Sendable {
    /// Endpoints that come, or obey another program, or have other addresses.
    var members: [NameMember] = []
    /// The numbers of endpoints that go, or have no rules about names any more.
    var removed: [Int] = []

    var isEmpty: Bool { members.isEmpty && removed.isEmpty }
}

extension AgentEndpoint {
    /// Its link, for as long as it is there.
    var linkKey: String { NameMember.linkKey(self.interface, self.interfaceIndex) }
}
