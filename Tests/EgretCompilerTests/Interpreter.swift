// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNftables

/// A packet as the rules of the packet table see it.
struct Packet {
    var inputInterface: UInt32 = 0
    var outputInterface: UInt32 = 0
    var source: IPAddress
    var destination: IPAddress
    var `protocol`: IPProtocol
    var sourcePort: UInt16?
    var destinationPort: UInt16?
    var icmpType: UInt8?
    var tcpFlags: UInt8?
    var state: ConnectionState = .new
    var isReply = false
    var mark: UInt32 = 0
    var packetMark: UInt32 = 0
    var labels: UInt128 = 0
    var destinationIsLocal = false
    /// What the connection is of, where the packet is an error about it.
    var connectionProtocol: IPProtocol?
    var connectionTargetPort: UInt16?
    var connectionID: UInt32?
    /// Whether an earlier packet of the connection has left.
    var isConfirmed = false
    /// Nanoseconds since 1970.
    var time: UInt64 = 0
}

/// What running a program did to a packet.
struct Outcome: Equatable {
    enum Verdict: Equatable {
        case accept
        case drop
        case reject
    }

    var verdict: Verdict
    var mark: UInt32
    var packetMark: UInt32 = 0
    var labels: UInt128 = 0
    var sourceTranslation: TranslationTarget?
    var counters: [String] = []
    var logs: [String] = []
    /// The sets that the connection's number was put into, and not taken out of again.
    var kept: [String] = []
    /// The sets that had the connection's number, and that it was taken out of.
    var removed: [String] = []
    /// Look-ups and comparisons of the packet against a set or map.
    var lookups = 0
}

/// Runs nftables programs over packets by the rules of nft(8), so that compiled policies can be tested by the
/// hundred thousand without a kernel. Kernel tests hold this to the kernel.
struct Interpreter {
    private var rules: [String: [Rule]] = [:]
    /// In order, and apart.
    private var sets: [String: [SetElement]] = [:]

    init(_ programs: [TableProgram]) {
        for program in programs {
            for rule in program.rules { rules[rule.chain, default: []].append(rule) }
            for set in program.sets + program.memberships {
                sets[set.name, default: []] += Interpreter.elements(set.contents)
            }
        }
        for name in sets.keys { sets[name]?.sort { $0.lowerBound < $1.lowerBound } }
    }

    func run(_ packet: Packet, from chain: String) -> Outcome {
        var outcome = Outcome(verdict: .accept, mark: packet.mark, packetMark: packet.packetMark, labels: packet.labels)
        var stack = [(chain, 0)]
        while let (chain, position) = stack.popLast() {
            let rules = self.rules[chain] ?? []
            guard position < rules.count else { continue }
            stack.append((chain, position + 1))
            switch evaluate(rules[position], packet, &outcome) {
            case nil: continue
            case .verdict(.accept): return outcome
            case .verdict(.drop):
                outcome.verdict = .drop
                return outcome
            case .reject:
                outcome.verdict = .reject
                return outcome
            case .verdict(.jump(let target)): stack.append((target, 0))
            case .verdict(.goto(let target)):
                stack.removeLast()
                stack.append((target, 0))
            case .verdict(.return): stack.removeLast()
            }
        }
        return outcome
    }

    private enum End {
        case verdict(Verdict)
        case reject
    }

    private func evaluate(_ rule: Rule, _ packet: Packet, _ outcome: inout Outcome) -> End? {
        for statement in rule.statements {
            switch statement {
            case .equal(let selector, let value):
                guard self.value(selector, packet, outcome) == value else { return nil }
            case .notEqual(let selector, let value):
                guard let found = self.value(selector, packet, outcome), found != value else { return nil }
            case .connectionState(let states):
                guard !states.isDisjoint(with: packet.state) else { return nil }
            case .inPrefix(let selector, let prefix):
                guard let found = value(selector, packet, outcome), prefix.lowerBound <= found,
                    found <= prefix.upperBound
                else { return nil }
            case .notInPrefix(let selector, let prefix):
                guard let found = value(selector, packet, outcome),
                    found < prefix.lowerBound || prefix.upperBound < found
                else { return nil }
            case .inConcatenatedSet(let selectors, let name):
                outcome.lookups += 1
                guard concatenated(selectors, name, packet, outcome) != nil else { return nil }
            case .concatenatedVerdictMap(let selectors, let name):
                outcome.lookups += 1
                if let verdict = concatenated(selectors, name, packet, outcome)?.verdict { return .verdict(verdict) }
                return nil
            case .connectionStatus(let status):
                guard status == .confirmed, packet.isConfirmed else { return nil }
            case .notConnectionStatus(let status):
                guard status == .confirmed, !packet.isConfirmed else { return nil }
            case .keepInSet(let selector, let name):
                guard value(selector, packet, outcome) != nil else { return nil }
                outcome.kept.append(name)
            case .removeFromSet(let selector, let name):
                guard value(selector, packet, outcome) != nil else { return nil }
                if element(selector, name, packet, outcome) != nil { outcome.removed.append(name) }
                outcome.kept.removeAll { $0 == name }
            case .within, .beyond, .connectionsOver, .withinEach, .beyondEach, .connectionsOverEach,
                .addToSet, .setPriority, .setTrafficClass:
                preconditionFailure("policies are not made of this: \(statement)")
            case .anonymousCounter, .trace: break
            case .inSet(let selector, let name):
                outcome.lookups += 1
                guard element(selector, name, packet, outcome) != nil else { return nil }
            case .notInSet(let selector, let name):
                outcome.lookups += 1
                guard value(selector, packet, outcome) != nil, element(selector, name, packet, outcome) == nil else {
                    return nil
                }
            case .verdictMap(let selector, let name):
                outcome.lookups += 1
                if let verdict = element(selector, name, packet, outcome)?.verdict { return .verdict(verdict) }
                return nil
            case .blockVerdictMap(let selector, let prefixLength, let name):
                outcome.lookups += 1
                let width = packet.source.family.bitWidth
                guard let value = value(selector, packet, outcome) else { return nil }
                let rest = UInt128(width - prefixLength)
                let first = (value >> rest) << rest
                if let verdict = element(first, name)?.verdict { return .verdict(verdict) }
                return nil
            case .counter(let name): outcome.counters.append(name)
            case .limit: break
            case .quota: return nil
            case .log(_, let prefix, _, _): outcome.logs.append(prefix)
            case .setConnectionMark(let mask, let value):
                outcome.mark = outcome.mark & ~mask | value & mask
            case .addConnectionLabel(let bit): outcome.labels |= 1 << UInt128(bit)
            case .setPacketMark(let mask, let value):
                outcome.packetMark = outcome.packetMark & ~mask | value & mask
            case .sourceTranslation(let target):
                outcome.sourceTranslation = target
                return .verdict(.accept)
            case .masquerade, .destinationTranslation, .transparentProxy, .forward: return .verdict(.accept)
            case .rejectWithTCPReset, .rejectAdministratively: return .reject
            case .verdict(let verdict): return .verdict(verdict)
            }
        }
        return nil
    }

    private func element(_ selector: Selector, _ name: String, _ packet: Packet, _ outcome: Outcome) -> SetElement? {
        value(selector, packet, outcome).flatMap { element($0, name) }
    }

    private func concatenated(
        _ selectors: [Selector], _ name: String, _ packet: Packet, _ outcome: Outcome
    ) -> SetElement? {
        let values = selectors.compactMap { value($0, packet, outcome) }
        return sets[name]?.first { [$0.lowerBound] + $0.furtherKeys == values }
    }

    private func element(_ value: UInt128, _ name: String) -> SetElement? {
        guard let elements = sets[name] else { return nil }
        var low = 0
        var high = elements.count
        while low < high {
            let middle = (low + high) / 2
            if elements[middle].upperBound < value { low = middle + 1 } else { high = middle }
        }
        return low < elements.count && elements[low].lowerBound <= value ? elements[low] : nil
    }

    private func value(_ selector: Selector, _ packet: Packet, _ outcome: Outcome) -> UInt128? {
        switch selector {
        case .inputInterface: UInt128(packet.inputInterface)
        case .outputInterface: UInt128(packet.outputInterface)
        case .networkProtocol: packet.source.family == .ipv4 ? 2 : 10
        case .etherType: packet.source.family == .ipv4 ? 0x0800 : 0x86dd
        case .transportProtocol: UInt128(packet.protocol.rawValue)
        case .connectionMark(let mask): UInt128(outcome.mark & mask)
        case .connectionState: UInt128(packet.state.rawValue)
        case .connectionID: packet.connectionID.map { UInt128($0) }
        case .connectionDirection: packet.isReply ? 1 : 0
        case .connectionProtocol: UInt128((packet.connectionProtocol ?? packet.protocol).rawValue)
        case .connectionTargetPort:
            (packet.connectionTargetPort ?? (packet.isReply ? packet.sourcePort : packet.destinationPort)).map {
                UInt128($0)
            }
        // Nothing that is interpreted here is asked about translated packets.
        case .originalIPv4Destination, .originalIPv6Destination:
            (packet.isReply ? packet.source : packet.destination).rawValue
        case .originalDestinationPort: (packet.isReply ? packet.sourcePort : packet.destinationPort).map { UInt128($0) }
        case .time: UInt128(packet.time)
        case .ipv4Source, .ipv6Source: packet.source.rawValue
        case .ipv4Destination, .ipv6Destination: packet.destination.rawValue
        case .sourcePort: packet.sourcePort.map { UInt128($0) }
        case .destinationPort: packet.destinationPort.map { UInt128($0) }
        case .icmpType, .icmpv6Type: packet.icmpType.map { UInt128($0) }
        case .destinationAddressType: packet.destinationIsLocal ? 2 : 1
        case .connectionLabel(let bit): outcome.labels & 1 << UInt128(bit)
        case .packetMark(let mask): UInt128(outcome.packetMark & mask)
        case .tcpFlags(let mask): packet.tcpFlags.map { UInt128($0 & mask) }
        case .etherSource, .etherSourceAndType, .arpOperation, .arpSenderEther, .arpSenderIPv4, .neighbourTarget,
            .inputName, .outputName, .answeringInterface, .socketCgroup, .evaluationNumber, .randomNumber:
            nil
        }
    }

    private static func elements(_ contents: SetContents) -> [SetElement] {
        // A plain set has no verdicts.
        func verdict(_ index: Int, _ verdicts: [Verdict]) -> Verdict? {
            verdicts.indices.contains(index) ? verdicts[index] : nil
        }
        return switch contents {
        case .elements(let elements): elements
        case .ipv4Intervals(let intervals, let verdicts):
            intervals.map {
                SetElement(
                    UInt128($0.lowerBound), UInt128($0.upperBound), verdict: verdict(Int($0.verdictIndex), verdicts))
            }
        case .ipv6Intervals(let intervals, let verdicts):
            intervals.map { SetElement($0.lowerBound, $0.upperBound, verdict: verdict(Int($0.verdictIndex), verdicts)) }
        }
    }
}
