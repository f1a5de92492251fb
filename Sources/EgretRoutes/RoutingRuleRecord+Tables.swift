// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretNetlinkWire

/// The routing rules that a run and a host's endpoints each have with marks of their own.
extension RoutingRuleRecord {
    /// Leads the host's answers by the main table where that has a route for them; by their way's where it has no more
    /// than a default route.
    static func answering(_ family: AddressFamily, _ mark: (value: UInt32, mask: UInt32)) -> RoutingRuleRecord {
        RoutingRuleRecord(
            family: family, priority: RouteMark.answerRulePriority, inputInterface: "lo",
            mark: Mark(value: mark.value, mask: mark.mask), table: 254, suppressedPrefixLength: 0,
            protocolNumber: RouteWire.ownProtocolNumber)
    }

    /// Leads packets that are for Egret's proxies to the table by which they are delivered on the host.
    static func diverting(
        _ family: AddressFamily, _ mark: (value: UInt32, mask: UInt32), to table: UInt32
    ) -> RoutingRuleRecord {
        RoutingRuleRecord(
            family: family, priority: RouteMark.diversionRulePriority,
            mark: Mark(value: mark.value, mask: mark.mask), table: table,
            protocolNumber: RouteWire.ownProtocolNumber)
    }
}
