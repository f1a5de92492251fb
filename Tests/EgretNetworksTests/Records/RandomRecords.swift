// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetworks
import EgretTesting

/// Networks that nobody would make, with texts that have all kinds of characters.
struct RandomRecords {
    private var generator: SeededGenerator

    /// Equal seeds give equal networks.
    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
    }

    mutating func record() -> NetworkRecord {
        let isAdopted = Bool.random(using: &generator)
        let translations: [NetworkSpec.Translation] = [
            NetworkSpec.Translation.none, .masquerade, .sourceAddresses(several { $0.pair() }),
        ]
        var record = NetworkRecord(
            NetworkSpec(
                name: text(), mode: one(of: NetworkSpec.Mode.allCases) ?? .bridge, subnets: several { $0.subnet() },
                mtu: maybe { $0.number() }, isIsolated: Bool.random(using: &generator),
                translation: one(of: translations) ?? .masquerade, isAdopted: isAdopted),
            bootID: text())
        record.bridgeIndex = maybe { $0.number() }
        record.bridgeHardwareAddress = maybe { $0.text() }
        record.stage = stage()
        record.endpoints = several { $0.endpoint() }
        record.ports = several { $0.port() }
        record.passages = maybe { random in
            random.several { Passage($0.one(of: Passage.Tool.allCases) ?? .ufw, rules: $0.several { $0.text() }) }
        }
        record.policyFile = maybe { $0.text() }
        return record
    }

    private mutating func endpoint() -> NetworkRecord.Endpoint {
        NetworkRecord.Endpoint(
            namespace: text(), cookie: number(), isCreated: Bool.random(using: &generator), interface: text(),
            hostInterface: text(), hostIndex: number(), hardwareAddress: text(), hostHardwareAddress: text(),
            addresses: several { $0.address() }, sourceAddresses: several { $0.pair() },
            identity: maybe { $0.identity() },
            attachment: maybe {
                ContainerAttachment(network: $0.text(), container: $0.text(), interface: $0.text())
            },
            rates: maybe { random in
                random.several { random in
                    EndpointRate(
                        isEgress: Bool.random(using: &random.generator), bitsPerSecond: random.number(),
                        burstBytes: random.maybe { $0.number() })
                }
            },
            order: maybe { Int($0.number() as UInt32) }, stage: stage())
    }

    private mutating func identity() -> EndpointIdentity {
        let labels = several { ($0.text(), $0.text()) }
        return EndpointIdentity(
            group: text(), name: text(), labels: Dictionary(labels) { first, _ in first },
            ports: several { EndpointIdentity.Port(name: $0.text(), transport: $0.text(), number: $0.number()) })
    }

    private mutating func port() -> NetworkRecord.Port {
        NetworkRecord.Port(
            number: Int(number() as UInt32), namespace: text(), transport: text(), hostAddress: maybe { $0.address() },
            hostPort: number(), targetPort: number(), count: number(), sources: several { $0.block() }, stage: stage())
    }

    private mutating func subnet() -> Subnet { Subnet(block(), gateway: address()) }

    private mutating func stage() -> NetworkRecord.Stage { one(of: NetworkRecord.Stage.allCases) ?? .ready }

    private mutating func address() -> IPAddress {
        let family = one(of: AddressFamily.allCases) ?? .ipv4
        var value: UInt128 = 0
        for _ in 0..<8 {
            let groups: [UInt16] = [0, 1, 0xffff, UInt16.random(in: .min ... .max, using: &generator)]
            value = value << 16 | UInt128(one(of: groups) ?? 0)
        }
        return IPAddress(family: family, rawValue: value)
    }

    private mutating func block() -> IPPrefix {
        let address = address()
        let length = Int.random(in: 0...address.family.bitWidth, using: &generator)
        return IPPrefix(address, length: length) ?? IPPrefix(address)
    }

    private mutating func pair() -> AddressPair {
        let (one, other) = (address(), address())
        let found = AddressPair(one, other) ?? AddressPair(other, one)
        guard let pair = found ?? AddressPair(one, one) else { preconditionFailure("an address is a pair of itself") }
        return Bool.random(using: &generator) ? pair.perConnection : pair
    }

    private mutating func text() -> String {
        let pieces = [
            "a", "br0", "eth0", "\"", "\\", "/", "\n", "\r", "\t", "\u{0}", "\u{8}", "\u{c}", "\u{1b}", "\u{1f}",
            "\u{7f}", "é", "字", "😀", "e\u{301}", "\u{2028}", " ", "{", "]", ",", ":", "\\u0041", "null",
            "/run/netns/a-long-name-0123",
        ]
        var text = ""
        for _ in 0..<Int.random(in: 0...4, using: &generator) { text += one(of: pieces) ?? "" }
        return text
    }

    private mutating func number<Value: FixedWidthInteger>() -> Value {
        let values: [Value] = [0, 1, 9, 10, .max, .min, Value.random(in: .min ... .max, using: &generator)]
        return one(of: values) ?? 0
    }

    private mutating func one<Value>(of values: [Value]) -> Value? { values.randomElement(using: &generator) }

    private mutating func maybe<Value>(_ value: (inout RandomRecords) -> Value) -> Value? {
        Bool.random(using: &generator) ? value(&self) : nil
    }

    private mutating func several<Value>(_ value: (inout RandomRecords) -> Value) -> [Value] {
        var found: [Value] = []
        for _ in 0..<Int.random(in: 0...3, using: &generator) { found.append(value(&self)) }
        return found
    }
}
