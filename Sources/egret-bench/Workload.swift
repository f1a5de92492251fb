// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretPolicy

/// The policies that are measured.
enum Workload {
    /// Block number `index`: blocks of 8 to 64 addresses, apart from each other, from 64.0.0.0 on.
    static func prefix(_ index: Int) -> IPPrefix {
        let first = UInt32(64) << 24 &+ UInt32(truncatingIfNeeded: index) << 7
        return IPPrefix(family: first, length: 26 + index % 4)
    }

    /// A policy with this many blocks, spread evenly over the rules, and last a rule for one more address.
    ///
    /// Every rule names protocols and ports, so that a new connection pays every look-up there is.
    static func policies(entries: Int, rules: Int = 1, target: IPAddress? = nil) -> PolicySet {
        let services: [Service] = [
            .ports(.tcp, PortRange(443)), .ports(.tcp, PortRange(7001)), .ports(.udp, PortRange(7001)),
        ]
        let perRule = max(1, entries / max(1, rules))
        var result: [EgressRule] = []
        for rule in 0..<rules {
            var destinations: [Destination] = []
            destinations.reserveCapacity(perRule + 1)
            for index in rule * perRule..<(rule + 1) * perRule {
                destinations.append(.block(AddressBlock(prefix(index))))
            }
            if rule == rules - 1, let target { destinations.append(.block(AddressBlock(IPPrefix(target)))) }
            result.append(
                EgressRule(name: "rule-\(rule)", action: .allow, destinations: destinations, services: services))
        }
        return PolicySet(policies: [EgressPolicy(name: "bench", rules: result)])
    }

    /// The generation with this number; 1 for a number that is none.
    static func generation(_ number: Int) -> Generation {
        guard let generation = Generation(rawValue: UInt16(truncatingIfNeeded: number)) ?? Generation(rawValue: 1)
        else {
            preconditionFailure("1 is a generation")
        }
        return generation
    }
}

extension IPPrefix {
    /// The IPv4 block of this length around an address.
    fileprivate init(family address: UInt32, length: Int) {
        let address = IPAddress.v4(IPv4Address(rawValue: address))
        self = IPPrefix(address, length: length) ?? IPPrefix(address)
    }
}
