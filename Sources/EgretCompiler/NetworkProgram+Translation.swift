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
                    Rule(in: plan.outChain, [family.isPackets, .verdictMap(family.source, family.endpointSources)])
                ]
                program.rules += plan.translations(family).map { Rule(in: plan.outChain, [family.isPackets] + $0) }
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
        program.memberships += linkMemberships(plan)
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
        program.rules = source.pool.translations.map { Rule(in: chain, [family.isPackets] + $0) }
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
    /// What the rules end with that translate connections of a family.
    fileprivate func translations(_ family: AddressFamily) -> [[Statement]] {
        let masquerades: [[Statement]] = [[.anonymousCounter, .masquerade]]
        return switch translation {
        case .none: []
        case .masquerade: masquerades
        case .sourceAddresses(let pools): pools.first { $0.family == family }?.translations ?? masquerades
        }
    }
}

extension SourcePool {
    /// What the rules end with that give connections an address of it.
    fileprivate var translations: [[Statement]] {
        SourceSpread.translations(first, last, isPerConnection: isPerConnection)
    }
}
