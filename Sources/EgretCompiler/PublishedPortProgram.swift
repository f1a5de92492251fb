// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
public import EgretNftables

/// What a published port needs in `inet egret-nat`.
///
/// Ports that lead to the same ports share one chain. A range that leads to other ports has a chain for each port,
/// so that every connection finds its own by one look-up.
public struct PublishedPortProgram: Hashable, Sendable {
    /// The program, installed on `NetworkProgram.base`.
    public let program: TableProgram

    /// Compiles a published port.
    public init(_ port: PublishedPort) {
        var program = TableProgram(table: NetworkProgram.table)
        if !port.sources.isEmpty { program.sets = [port.clients] }
        var elements: [SetElement] = []
        if port.hostPorts == port.targetPorts {
            program.chains = [Chain(port.chain)]
            program.rules = [port.rule(in: port.chain, to: TranslationTarget(port.target))]
            elements = port.numbers.map { port.element($0, port.chain) }
        } else {
            for (number, target) in zip(port.numbers, port.targetPorts.lowerBound...port.targetPorts.upperBound) {
                let chain = port.numbers.count == 1 ? port.chain : "\(port.chain)-\(number)"
                program.chains.append(Chain(chain))
                program.rules.append(
                    port.rule(in: chain, to: TranslationTarget(port.target, ports: PortRange(target))))
                elements.append(port.element(number, chain))
            }
        }
        var map = port.map
        map.contents = .elements(elements)
        program.memberships = [map]
        self.program = program
    }
}

extension PublishedPort {
    fileprivate var chain: String { "publish-\(name)" }

    fileprivate var numbers: ClosedRange<UInt16> { hostPorts.lowerBound...hostPorts.upperBound }

    /// The set of clients that are let through. Prefixes may overlap; ranges in a set must not.
    fileprivate var clients: EgretNftables.Set {
        Set(
            "\(chain)-clients",
            keyType: target.family.dataType,
            hasIntervals: true,
            contents: .elements(
                sources.sorted { $0.lowerBound < $1.lowerBound }.reduce(into: []) { merged, prefix in
                    if let last = merged.last, prefix.lowerBound <= last.upperBound {
                        merged[merged.count - 1].upperBound = max(last.upperBound, prefix.upperBound)
                    } else {
                        merged.append(SetElement(prefix.lowerBound, prefix.upperBound))
                    }
                }
            )
        )
    }

    /// The map that leads to the chains, without contents.
    fileprivate var map: EgretNftables.Set {
        let family = target.family
        return hostAddress == nil
            ? Set(family.published, concatenating: .inetProtocol, [.inetService])
            : Set(family.publishedAt, concatenating: family.dataType, [.inetProtocol, .inetService])
    }

    fileprivate func element(_ port: UInt16, _ chain: String) -> SetElement {
        let number = UInt128(transport.number.rawValue)
        let verdict = Verdict.goto(chain)
        guard let hostAddress else { return SetElement(number, [UInt128(port)], verdict: verdict) }
        return SetElement(hostAddress.rawValue, [number, UInt128(port)], verdict: verdict)
    }

    fileprivate func rule(in chain: String, to destination: TranslationTarget) -> Rule {
        let family = target.family
        let isLetThrough = sources.isEmpty ? [] : [Statement.inSet(family.source, "\(self.chain)-clients")]
        let isKeptOut = !isAtLoopback && hostAddress == nil && family == .ipv4
        let elsewhere = isKeptOut ? [Statement.notInPrefix(.ipv4Destination, NetworkProgram.loopback)] : []
        let conditions = elsewhere + isLetThrough
        let number = Statement.equal(.transportProtocol, UInt128(transport.number.rawValue))
        return Rule(
            in: chain,
            [family.isPackets, number] + conditions + [
                .anonymousCounter, .destinationTranslation(destination),
            ]
        )
    }
}
