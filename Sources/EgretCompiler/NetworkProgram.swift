// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
public import EgretNftables

/// What a network needs in the kernel's nftables.
///
/// A value: two equal plans give equal programs. Each part is installed and removed as a whole; interfaces and
/// endpoints' source addresses come and go by the operations that this type gives for them.
public struct NetworkProgram: Hashable, Sendable {
    /// Its chains in `inet egret`, beside those of runs. Installed on `BaseProgram.program`.
    public let filter: TableProgram
    /// Its chains in `inet egret-nat`. Installed on ``base``.
    public let translation: TableProgram

    /// Compiles a network.
    public init(_ plan: NetworkPlan) {
        filter = NetworkProgram.filter(plan)
        translation = NetworkProgram.translation(plan)
    }

    /// The counters of what the network's chains in `inet egret` drop, by name.
    public struct Counters: Hashable, Sendable {
        /// What was addressed to a translated network from outside, and belongs to no connection from inside.
        public let unreachable: String
        /// What would have left an isolated network, or come into it.
        public let isolated: String
        /// What would have left a translated network with a source address that is not the network's.
        public let foreignSource: String

        /// The counters of a network.
        public init(of network: String) {
            unreachable = "\(network)-unreachable"
            isolated = "\(network)-isolated"
            foreignSource = "\(network)-foreign-source"
        }
    }

    private static func filter(_ plan: NetworkPlan) -> TableProgram {
        let counters = Counters(of: plan.name)
        var program = TableProgram(table: BaseProgram.table)
        if plan.isTranslated { program.counters.append(Counter(counters.foreignSource)) }
        if plan.isTranslated, !plan.isIsolated { program.counters.append(Counter(counters.unreachable)) }
        if plan.isIsolated { program.counters.append(Counter(counters.isolated)) }
        program.sets = [
            Set(
                plan.linkSet, keyType: .interfaceIndex,
                contents: .elements(plan.sortedInterfaces.map { SetElement($0) }))
        ]
        program.chains = [Chain(plan.fromChain), Chain(plan.toChain)]
        program.rules = departures(plan, counters) + arrivals(plan, counters)
        program.memberships = leads(of: plan, plan.sortedInterfaces)
        return program
    }

    /// What the network's endpoints send. The chain sees packets for the host too: those have no output interface.
    private static func departures(_ plan: NetworkPlan, _ counters: Counters) -> [Rule] {
        let isForwarded = Statement.notEqual(.outputInterface, 0)
        var rules = [Rule(in: plan.fromChain, [.inSet(.outputInterface, plan.linkSet), .verdict(.accept)])]
        if plan.isTranslated {
            // Translation goes by source address: what carries another one would leave as it is.
            rules += AddressFamily.allCases.map { family in
                let isForeign = plan.subnets(family).map { Statement.notInPrefix(family.source, $0) }
                return Rule(
                    in: plan.fromChain,
                    [isForwarded, family.isPackets] + isForeign + [.counter(counters.foreignSource), .verdict(.drop)]
                )
            }
        }
        if plan.isIsolated {
            rules.append(Rule(in: plan.fromChain, [isForwarded, .counter(counters.isolated), .verdict(.drop)]))
        } else {
            // Another network, or a run, decides itself whom it receives from.
            rules.append(Rule(in: plan.fromChain, [.verdictMap(.outputInterface, BaseProgram.receivers)]))
        }
        rules.append(Rule(in: plan.fromChain, [.verdict(.accept)]))
        return rules
    }

    /// What is forwarded to the network's endpoints.
    private static func arrivals(_ plan: NetworkPlan, _ counters: Counters) -> [Rule] {
        let chain = plan.toChain
        var rules = [Rule(in: chain, [.inSet(.inputInterface, plan.linkSet), .verdict(.accept)])]
        if plan.isIsolated {
            return rules + [Rule(in: chain, [.counter(counters.isolated), .verdict(.drop)])]
        }
        if plan.isTranslated {
            rules += [
                Rule(in: chain, [.connectionState(in: [.established, .related]), .verdict(.accept)]),
                Rule(in: chain, [.connectionStatus(in: .destinationTranslated), .verdict(.accept)]),
                Rule(in: chain, [.counter(counters.unreachable), .verdict(.drop)]),
            ]
        } else {
            rules.append(Rule(in: chain, [.verdict(.accept)]))
        }
        return rules
    }

    /// The elements by which packets find the network's chains.
    private static func leads(of plan: NetworkPlan, _ interfaces: [UInt128]) -> [Set] {
        [(BaseProgram.senders, plan.fromChain), (BaseProgram.receivers, plan.toChain)].map { map, chain in
            Set(
                map,
                keyType: .interfaceIndex,
                mapsToVerdict: true,
                contents: .elements(interfaces.map { SetElement($0, verdict: .goto(chain)) })
            )
        }
    }
}

extension NetworkProgram {
    /// The elements that make an interface one of the network's: of both tables, to be added in one transaction
    /// when the interface comes, and taken out when it goes.
    ///
    /// They are programs with memberships only, for `Dataplane.install` and `Dataplane.remove`. The plan that the
    /// network was installed with need not have known the interface; the plan that it is removed or compared with
    /// must hold the interfaces that are there then.
    ///
    /// - Parameters:
    ///   - index: The interface.
    ///   - network: The network's name.
    /// - Returns: One program for each table.
    public static func link(_ index: UInt32, of network: String) -> [TableProgram] {
        let plan = NetworkPlan(name: network, interfaces: [index], isRouted: true, subnets: [])
        var filter = TableProgram(table: BaseProgram.table)
        let elements = plan.sortedInterfaces
        filter.memberships = [
            Set(plan.linkSet, keyType: .interfaceIndex, contents: .elements(elements.map { SetElement($0) }))
        ]
        filter.memberships += leads(of: plan, elements)
        var translation = TableProgram(table: table)
        translation.memberships = linkMemberships(plan)
        return [filter, translation]
    }

    /// The elements of a network's interfaces in `inet egret-nat`.
    static func linkMemberships(_ plan: NetworkPlan) -> [Set] {
        (plan.isRouted ? [links, endpointLinks] : [links]).map { name in
            Set(name, keyType: .interfaceIndex, contents: .elements(plan.sortedInterfaces.map { SetElement($0) }))
        }
    }
}

extension NetworkPlan {
    var fromChain: String { "from-\(name)" }
    var toChain: String { "to-\(name)" }
    /// The set of its interfaces in `inet egret`.
    var linkSet: String { "\(name)-links" }
    /// Its chain in `inet egret-nat`.
    var outChain: String { "\(name)-out" }

    var sortedInterfaces: [UInt128] { Swift.Set(interfaces).sorted().map { UInt128($0) } }

    func subnets(_ family: AddressFamily) -> [IPPrefix] {
        Swift.Set(subnets).filter { $0.family == family }.sorted()
    }
}
