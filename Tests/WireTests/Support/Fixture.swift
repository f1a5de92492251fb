// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNftables

/// One transaction with every kind of operation that adds something and every kind of statement.
///
/// The captures of nft and the kernel are of this transaction, rendered by ``NftText`` and loaded with `nft -f`.
enum Fixture {
    static let table = Table(family: .inet, name: "egret")
    static let frames = Table(family: .netdev, name: "egret")

    static let transaction = Transaction(
        [Transaction.Step(.addTable, in: table), Transaction.Step(.addTable, in: frames)]
            + [
                .addCounter(Counter("hits")), .addLimit(RateLimit("slow", packetsPerSecond: 10, burst: 20)),
                .addChain(Chain("allow")), .createChain(Chain("pol")),
                .addChain(
                    Chain("passing", base: BaseChain(kind: .filter, hook: .forward, priority: -5, policy: .drop))),
                .addChain(Chain("leaving", base: BaseChain(kind: .nat, hook: .postrouting, priority: 100))),
                .addChain(Chain("rerouted", base: BaseChain(kind: .route, hook: .output, priority: -150))),
            ].map { Transaction.Step($0, in: table) }
            + [Transaction.Step(.addChain(arriving), in: frames)]
            + sets.map { Transaction.Step(.addSet($0), in: table) }
            + [Transaction.Step(.addSet(frameSet), in: frames)]
            + rules.map { Transaction.Step(.addRule($0), in: table) }
            + frameRules.map { Transaction.Step(.addRule($0), in: frames) }
    )

    static let arriving = Chain(
        "arriving",
        base: BaseChain(kind: .filter, hook: .ingress, priority: -300, device: "lo", policy: .drop)
    )

    static let sets: [Set] = [
        Set(
            "four", keyType: .ipv4Address, hasIntervals: true,
            contents: .ipv4Intervals(
                [
                    AddressInterval(0x0a00_0000, 0x0a00_0005), AddressInterval(0x0a00_0006, 0x0a00_0009),
                    AddressInterval(0x0b00_0000, 0x0bff_ffff), AddressInterval(0xffff_ff00, .max),
                ],
                verdicts: []
            )
        ),
        Set(
            "zero", keyType: .ipv4Address, hasIntervals: true,
            contents: .ipv4Intervals([AddressInterval(0, .max)], verdicts: [])
        ),
        Set(
            "fourmap", keyType: .ipv4Address, hasIntervals: true, mapsToVerdict: true,
            contents: .ipv4Intervals(
                [
                    AddressInterval(0, 5), AddressInterval(6, 9, verdictIndex: 1),
                    AddressInterval(10, 10, verdictIndex: 2), AddressInterval(0xffff_ff00, .max),
                ],
                verdicts: [.accept, .drop, .jump("allow")]
            )
        ),
        Set(
            "six", keyType: .ipv6Address, hasIntervals: true,
            contents: .ipv6Intervals(
                [
                    AddressInterval(0x2001_0db8 << 96, (0x2001_0db9 << 96) - 1),
                    AddressInterval(0xff << 120, .max),
                ],
                verdicts: []
            )
        ),
        Set(
            "sixmap", keyType: .ipv6Address, hasIntervals: true, mapsToVerdict: true,
            contents: .elements([
                SetElement(1, 5, verdict: .return), SetElement(6, .max, verdict: .goto("allow")),
            ])
        ),
        Set("hash4", keyType: .ipv4Address, contents: .elements([SetElement(0x0102_0304), SetElement(0x0506_0708)])),
        Set(
            "ports", keyType: .inetService, hasIntervals: true,
            contents: .elements([SetElement(80), SetElement(443, 444), SetElement(65000, 65535)])
        ),
        Set(
            "protos", keyType: .inetProtocol, hasIntervals: true,
            contents: .elements([SetElement(6), SetElement(17), SetElement(200, 255)])
        ),
        Set("types", keyType: .icmpType, contents: .elements([SetElement(8)])),
        Set("types6", keyType: .icmpv6Type, contents: .elements([SetElement(128)])),
        Set("macs", keyType: .etherAddress, contents: .elements([SetElement(0x0200_0000_0001)])),
        Set(
            "links", keyType: .interfaceIndex, mapsToVerdict: true,
            contents: .elements([SetElement(1, verdict: .goto("pol"))])
        ),
        Set(
            "marks", keyType: .mark, mapsToVerdict: true,
            contents: .elements([
                SetElement(0x100, verdict: .accept), SetElement(0xdead_0000, verdict: .jump("pol")),
            ])
        ),
    ]

    static let frameSet = Set("macs", keyType: .etherAddress, contents: .elements([SetElement(0x0200_0000_0001)]))

    static let rules: [Rule] = [
        Rule(
            in: "pol",
            [
                .equal(.inputInterface, 1), .notEqual(.outputInterface, 2), .equal(.networkProtocol, 2),
                .equal(.etherType, 0x800), .equal(.transportProtocol, 6), .counter("hits"),
            ],
            comment: "first of all"
        ),
        Rule(
            in: "pol",
            [
                .equal(.connectionMark(mask: 0xff00), 0x100), .equal(.connectionDirection, 0),
                .equal(.connectionState, 2), .verdict(.accept),
            ]
        ),
        Rule(in: "pol", [.connectionState(in: [.established, .related]), .verdict(.return)]),
        Rule(
            in: "pol",
            [
                .equal(.networkProtocol, 2), .equal(.ipv4Source, 0x0102_0304), .inSet(.ipv4Destination, "four"),
                .notInSet(.ipv4Destination, "zero"), .equal(.transportProtocol, 17), .equal(.sourcePort, 53),
                .inSet(.destinationPort, "ports"), .verdict(.jump("allow")),
            ]
        ),
        Rule(
            in: "pol",
            [
                .equal(.networkProtocol, 10), .equal(.ipv6Source, 1), .inSet(.ipv6Destination, "six"),
                .equal(.transportProtocol, 58), .inSet(.icmpv6Type, "types6"), .notEqual(.icmpv6Type, 135),
                .equal(.neighbourTarget, 0xfe80 << 112 | 1), .verdict(.goto("allow")),
            ]
        ),
        Rule(
            in: "pol",
            [
                .equal(.networkProtocol, 2), .equal(.transportProtocol, 1), .inSet(.icmpType, "types"),
                .equal(.icmpType, 8),
            ]
        ),
        Rule(
            in: "pol",
            [
                .inSet(.transportProtocol, "protos"), .limit("slow"),
                .log(group: 5, prefix: "a prefix ", snapLength: 128, queueThreshold: 10),
            ]
        ),
        Rule(in: "pol", [.log(group: 0, prefix: "", snapLength: 0, queueThreshold: 0)]),
        Rule(in: "pol", [.setConnectionMark(mask: 0x00ff_0000, value: 0x0001_0000)]),
        Rule(in: "pol", [.equal(.networkProtocol, 2), .verdictMap(.ipv4Source, "fourmap")]),
        Rule(
            in: "passing",
            [
                .verdictMap(.inputInterface, "links"),
                .verdictMap(.connectionMark(mask: 0xffff_ff00), "marks"),
            ]
        ),
        Rule(in: "passing", [.equal(.networkProtocol, 2), .verdictMap(.ipv4Destination, "fourmap")]),
        Rule(in: "passing", [.equal(.networkProtocol, 10), .verdictMap(.ipv6Destination, "sixmap")]),
        Rule(in: "pol", [.equal(.transportProtocol, 6), .rejectWithTCPReset]),
        Rule(in: "pol", [.rejectAdministratively]),
        Rule(in: "pol", [.equal(.destinationAddressType, 2), .verdict(.drop)]),
        Rule(in: "leaving", [.masquerade]),
    ]

    static let frameRules: [Rule] = [
        Rule(in: "arriving", [.notEqual(.etherSource, 0x0200_0000_0001), .verdict(.drop)]),
        Rule(
            in: "arriving",
            [
                .inSet(.etherSource, "macs"), .equal(.etherType, 0x806), .equal(.arpOperation, 1),
                .equal(.arpSenderEther, 0x0200_0000_0001), .equal(.arpSenderIPv4, 0x0a00_0002), .verdict(.accept),
            ]
        ),
    ]

    /// A set's contents as elements, ranges spelled out.
    static func elements(of set: Set) -> [SetElement] {
        func verdict(_ index: UInt32, _ verdicts: [Verdict]) -> Verdict? {
            verdicts.isEmpty ? nil : verdicts[Int(index)]
        }
        switch set.contents {
        case .elements(let elements): return elements
        case .ipv4Intervals(let intervals, let verdicts):
            return intervals.map {
                SetElement(
                    UInt128($0.lowerBound), UInt128($0.upperBound), verdict: verdict($0.verdictIndex, verdicts)
                )
            }
        case .ipv6Intervals(let intervals, let verdicts):
            return intervals.map {
                SetElement($0.lowerBound, $0.upperBound, verdict: verdict($0.verdictIndex, verdicts))
            }
        }
    }
}
