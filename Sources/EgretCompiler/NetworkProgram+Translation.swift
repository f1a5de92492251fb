// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
public import EgretNftables

extension NetworkProgram {
    /// The network's part of `inet egret-nat`: how the source addresses of its connections are translated.
    static func translation(_ plan: NetworkPlan) -> TableProgram {
        var program = TableProgram(table: table)
        program.chains = [Chain(plan.outChain)]
        for family in AddressFamily.allCases {
            let subnets = plan.subnets(family)
            guard !subnets.isEmpty else { continue }
            program.rules += within(plan, family, subnets)
            if plan.isTranslated {
                program.rules += [
                    Rule(in: plan.outChain, [family.isPackets, .verdictMap(family.source, family.endpointSources)]),
                    Rule(in: plan.outChain, [family.isPackets, .anonymousCounter] + plan.translation(family)),
                ]
            }
            program.memberships.append(
                Set(
                    family.sources,
                    keyType: family.dataType,
                    hasIntervals: true,
                    mapsToVerdict: true,
                    contents: .elements(
                        subnets.map {
                            SetElement($0.lowerBound, $0.upperBound, verdict: .goto(plan.outChain))
                        })
                )
            )
        }
        program.memberships.append(
            Set(links, keyType: .interfaceIndex, contents: .elements(plan.sortedInterfaces.map { SetElement($0) })))
        for source in plan.endpointSources {
            let own = endpointSource(source, of: plan.name)
            program.chains += own.chains
            program.rules += own.rules
            program.memberships += own.memberships
        }
        return program
    }

    /// Connections from the network to itself keep their addresses, unless they go by a published port: those come
    /// back through the host, which alone can put the addresses back.
    private static func within(_ plan: NetworkPlan, _ family: AddressFamily, _ subnets: [IPPrefix]) -> [Rule] {
        subnets.flatMap { subnet in
            let isOwn: [Statement] = [family.isPackets, .inPrefix(family.destination, subnet)]
            return [
                Rule(
                    in: plan.outChain,
                    isOwn + [.connectionStatus(in: .destinationTranslated), .anonymousCounter, .masquerade]
                ),
                Rule(in: plan.outChain, isOwn + [.verdict(.return)]),
            ]
        }
    }

    /// The program that gives one endpoint's connections source addresses of their own, for `Dataplane.install` on
    /// ``base`` and `Dataplane.remove`, beside the network's.
    ///
    /// - Parameters:
    ///   - source: The endpoint's address and what its connections get.
    ///   - network: The network's name. The network must be translated; otherwise the program is without effect.
    /// - Returns: The program.
    public static func endpointSource(_ source: EndpointSource, of network: String) -> TableProgram {
        let family = source.address.family
        // nft takes no colons in names.
        let chain = "\(network)-out-" + String("\(source.address)".map { $0 == ":" ? "_" : $0 })
        var program = TableProgram(table: table)
        program.chains = [Chain(chain)]
        program.rules = [Rule(in: chain, [family.isPackets, .anonymousCounter, source.pool.translation])]
        program.memberships = [
            Set(
                family.endpointSources,
                keyType: family.dataType,
                mapsToVerdict: true,
                contents: .elements([SetElement(source.address, verdict: .goto(chain))])
            )
        ]
        return program
    }
}

extension NetworkPlan {
    /// The statement that translates connections of a family.
    fileprivate func translation(_ family: AddressFamily) -> [Statement] {
        switch translation {
        case .none: []
        case .masquerade: [.masquerade]
        case .sourceAddresses(let pools): [pools.first { $0.family == family }?.translation ?? .masquerade]
        }
    }
}

extension SourcePool {
    /// A client keeps its address as long as the pool is the same: what it talks to may care. So it has that one's
    /// ports and no more.
    fileprivate var translation: Statement {
        guard first != last, let run = TranslationTarget(first, last, isPersistent: true) else {
            return .sourceTranslation(TranslationTarget(first))
        }
        return .sourceTranslation(run)
    }
}
