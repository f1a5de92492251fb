// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
public import EgretEvaluator
public import EgretPolicy

/// A policy evaluator that has every answer ready: one look-up by address, one by protocol, one by port or type.
///
/// It gives the decisions of `PolicyEvaluator`, which stays the definition; what a decision costs does not depend on
/// the number of rules. Preparing costs time and memory: for a few questions the plain evaluator is cheaper.
///
/// A flow is asked about by the port where its protocol has ports, by the type where it is ICMP or ICMPv6, and by
/// neither otherwise.
public struct PreparedEvaluator: Sendable {
    /// The set that decides.
    public let policies: PolicySet
    private let elsewhere: PreparedSpace
    private let host: PreparedSpace

    /// Prepares the answers of a policy set.
    ///
    /// - Parameters:
    ///   - policies: The set.
    ///   - unixTime: The time that it answers for, in seconds since 1970-01-01T00:00Z; `nil` for one that nobody knows.
    public init(policies: PolicySet, at unixTime: Int64? = nil) {
        let evaluator = PolicyEvaluator(policies: policies)
        self.policies = policies
        elsewhere = PreparedSpace(HeaderSpace(evaluator, at: unixTime))
        host = PreparedSpace(HeaderSpace(evaluator, isHost: true, at: unixTime))
    }

    /// Decides about the first packet of a connection.
    ///
    /// - Complexity: O(log *n*) in the pieces of the address space, and in the ports that rules single out.
    public func decide(_ flow: Flow) -> Decision {
        flow.destinationIsHost ? host.decide(flow) : elsewhere.decide(flow)
    }
}

/// A header space with a table for each program.
private struct PreparedSpace: Sendable {
    /// A protocol's ports or types as a function that changes at some of them.
    private struct Numbers: Sendable {
        var starts: [UInt16] = []
        var decisions: [Int32] = []
        var none: Int32 = 0
    }

    private let starts4: [UInt32]
    private let steps4: [Int32]
    private let steps6: AddressSteps
    private let decisions: [Decision]
    /// For each program and protocol the decision, or, below 0, the complement of the place in `numbers`.
    private var table: [Int32] = []
    private var numbers: [Numbers] = []

    init(_ space: HeaderSpace) {
        decisions = space.decisions
        starts4 = space.steps4.starts.map { UInt32(truncatingIfNeeded: $0) }
        steps4 = space.steps4.values
        steps6 = space.steps6
        table.reserveCapacity(256 * space.programs.count)
        for program in space.programs { append(program) }
    }

    private mutating func append(_ program: ServiceProgram) {
        for number in 0...UInt8.max {
            let number = IPProtocol(rawValue: number)
            if let whole = program.cases.first(where: { $0.services.whole.contains(number) }) {
                table.append(whole.decision)
            } else {
                table.append(~Int32(truncatingIfNeeded: numbers.count))
                numbers.append(PreparedSpace.numbers(of: number, program))
            }
        }
    }

    private static func numbers(of number: IPProtocol, _ program: ServiceProgram) -> Numbers {
        var result = Numbers()
        var runs: [(start: UInt16, decision: Int32)] = []
        for entry in program.cases {
            guard let part = entry.services.parts.first(where: { $0.protocol == number }) else { continue }
            if part.numbers.includesNone { result.none = entry.decision }
            runs += part.numbers.ranges.map { ($0.lowerBound, entry.decision) }
        }
        runs.sort { $0.start < $1.start }
        result.starts = runs.map(\.start)
        result.decisions = runs.map(\.decision)
        return result
    }

    func decide(_ flow: Flow) -> Decision {
        let entry = table[program(at: flow.destination) << 8 | Int(flow.protocol.rawValue)]
        if entry >= 0 { return decisions[Int(entry)] }
        let part = numbers[Int(~entry)]
        let value = flow.protocol.hasPorts ? flow.destinationPort : flow.icmpType.map(UInt16.init)
        guard let value else { return decisions[Int(part.none)] }
        var low = 0
        var high = part.starts.count
        while low < high {
            let middle = (low + high) / 2
            if part.starts[middle] <= value { low = middle + 1 } else { high = middle }
        }
        return decisions[Int(part.decisions[low - 1])]
    }

    private func program(at address: IPAddress) -> Int {
        guard case .v4(let address) = address else { return Int(steps6.value(at: address.rawValue)) }
        var low = 0
        var high = starts4.count
        while low < high {
            let middle = (low + high) / 2
            if starts4[middle] <= address.rawValue { low = middle + 1 } else { high = middle }
        }
        return Int(steps4[low - 1])
    }
}
