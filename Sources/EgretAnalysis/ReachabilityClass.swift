// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
import EgretPolicy

/// What one list of policies allows, for every workload that obeys it, in one direction.
///
/// It knows nothing of single workloads, so that what it costs does not grow with them: what two workloads may ask of each
/// other is looked up where somebody wants to know (``PairRows``).
struct ReachabilityClass: Sendable {
    /// The numbers of the service sets that are allowed with each address.
    let steps4: AddressSteps
    let steps6: AddressSteps
    /// The numbers of the service sets that are allowed with the machine by each address; the same throughout for ingress.
    let hostSteps4: AddressSteps
    let hostSteps6: AddressSteps
    /// Who begins.
    let direction: TrafficDirection
    /// What is allowed with names; `nil` where no rule is about any.
    let names: NameReach?

    init(_ policies: PolicySet, _ direction: TrafficDirection, at time: Int64?, _ table: inout ServiceTable) {
        self.direction = direction
        names = direction == .egress && policies.hasDomains ? NameReach(policies, at: time) : nil
        let evaluator = PolicyEvaluator(policies: policies)
        let space = HeaderSpace(evaluator, at: time)
        let numbers = space.allowed.map { table.number($0) }
        steps4 = space.steps4.map { numbers[Int($0)] }
        steps6 = space.steps6.map { numbers[Int($0)] }
        if direction == .ingress {
            hostSteps4 = AddressSteps(.ipv4, 0)
            hostSteps6 = AddressSteps(.ipv6, 0)
            return
        }
        let hostSpace = HeaderSpace(evaluator, isHost: true, at: time)
        let hostNumbers = hostSpace.allowed.map { table.number($0) }
        hostSteps4 = hostSpace.steps4.map { hostNumbers[Int($0)] }
        hostSteps6 = hostSpace.steps6.map { hostNumbers[Int($0)] }
    }

    /// What is allowed with addresses of the rest of the world in the fewest blocks, or by which addresses with the machine.
    func blocks(
        _ family: AddressFamily, withHost: Bool = false, ignoring addresses: [UInt128], _ table: ServiceTable
    ) -> [ReachabilityMap.OutsideRange] {
        AddressCover(steps(family, withHost: withHost), ignoring: addresses).blocks
            .map { ReachabilityMap.OutsideRange(prefix: $0.prefix, services: table[$0.value]) }
    }
}

/// The addresses of an inventory's workloads, rising.
struct InventoryAddresses: Sendable {
    private let v4: [UInt128]
    private let v6: [UInt128]
    private let guests4: [UInt128]
    private let guests6: [UInt128]

    init(_ inventories: Inventory...) {
        let workloads = inventories.flatMap(\.workloads)
        let unknown = AddressRangeSet(inventories.flatMap(\.placeholders).map { AddressBlock($0) })
        // An address that stands in for another is no machine's.
        let machines = Set(
            workloads.filter(\.usesHostNetwork).flatMap(\.addresses).filter { !unknown.contains($0) })
        let all = Set(workloads.flatMap(\.addresses)).sorted()
        v4 = all.filter { $0.family == .ipv4 }.map(\.rawValue)
        v6 = all.filter { $0.family == .ipv6 }.map(\.rawValue)
        let guests = all.filter { !machines.contains($0) }
        guests4 = guests.filter { $0.family == .ipv4 }.map(\.rawValue)
        guests6 = guests.filter { $0.family == .ipv6 }.map(\.rawValue)
    }

    subscript(family: AddressFamily) -> [UInt128] { family == .ipv4 ? v4 : v6 }

    /// Whether it is some workload's.
    ///
    /// - Complexity: O(log *n*) in the addresses.
    func contains(_ address: UInt128, _ family: AddressFamily) -> Bool {
        let all = self[family]
        let place = all.firstIndex(in: all.indices) { $0 >= address }
        return place < all.count && all[place] == address
    }

    /// Those that no machine has: nobody finds its own machine there.
    func guests(_ family: AddressFamily) -> [UInt128] { family == .ipv4 ? guests4 : guests6 }
}
