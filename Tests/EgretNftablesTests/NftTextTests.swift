// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNftables
import Testing

@Suite("nft text")
struct NftTextTests {
    private let table = Table(family: .inet, name: "egret")

    @Test(
        "statements",
        arguments: [
            (.equal(.inputInterface, 3), "meta iif == 3"),
            (.notEqual(.outputInterface, 3), "meta oif != 3"),
            (.equal(.networkProtocol, 2), "meta nfproto == ipv4"),
            (.equal(.networkProtocol, 10), "meta nfproto == ipv6"),
            (.equal(.etherType, 0x86dd), "meta protocol == 0x86dd"),
            (.equal(.transportProtocol, 6), "meta l4proto == tcp"),
            (.equal(.transportProtocol, 253), "meta l4proto == 253"),
            (.equal(.connectionMark(mask: 0xff00), 0x100), "ct mark & 0x0000ff00 == 0x00000100"),
            (.equal(.connectionState, 2), "ct state == 0x2"),
            (.equal(.connectionDirection, 0), "ct direction == original"),
            (.equal(.connectionDirection, 1), "ct direction == reply"),
            (.connectionState(in: [.established, .related]), "ct state established,related"),
            (.connectionState(in: [.invalid, .untracked, .new]), "ct state invalid,new,untracked"),
            (.equal(.ipv4Source, 0xcb00_710a), "ip saddr == 203.0.113.10"),
            (.inSet(.ipv4Destination, "s"), "ip daddr @s"),
            (.notInSet(.ipv6Destination, "s"), "ip6 daddr != @s"),
            (.equal(.ipv6Source, 1), "ip6 saddr == ::1"),
            (.equal(.sourcePort, 53), "th sport == 53"),
            (.inSet(.destinationPort, "s"), "th dport @s"),
            (.inSet(.originalIPv4Destination, "s"), "ct original ip daddr @s"),
            (.equal(.originalIPv4Destination, 0xcb00_710a), "ct original ip daddr == 203.0.113.10"),
            (.equal(.originalIPv6Destination, 1), "ct original ip6 daddr == ::1"),
            (.equal(.originalDestinationPort, 443), "ct original proto-dst == 443"),
            (.equal(.icmpType, 8), "icmp type == 8"),
            (.equal(.icmpv6Type, 128), "icmpv6 type == 128"),
            (.notEqual(.etherSource, 0x0200_0000_0001), "ether saddr != 02:00:00:00:00:01"),
            (.equal(.etherSourceAndType, 0x0200_0000_0001_0800), "@ll,48,64 == 0x0200000000010800"),
            (.equal(.arpOperation, 1), "arp operation == 1"),
            (.equal(.arpSenderEther, 0x0200_0000_0001), "arp saddr ether == 02:00:00:00:00:01"),
            (.equal(.arpSenderIPv4, 0x0a00_0002), "arp saddr ip == 10.0.0.2"),
            (.equal(.neighbourTarget, 1), "@th,64,128 == 0x00000000000000000000000000000001"),
            (.equal(.destinationAddressType, 2), "fib daddr type == 2"),
            (.equal(.answeringInterface, 0), "fib saddr . iif oif == 0"),
            (.verdictMap(.socketCgroup(level: 2), "units"), "socket cgroupv2 level 2 vmap @units"),
            (.verdictMap(.connectionMark(mask: 0xff), "m"), "ct mark & 0x000000ff vmap @m"),
            (.counter("hits"), "counter name \"hits\""),
            (.limit("slow"), "limit name \"slow\""),
            (.quota("month"), "quota name \"month\""),
            (.inSet(.evaluationNumber, "n"), "numgen inc mod 4294967295 offset 1 @n"),
            (.equal(.randomNumber(below: 3), 0), "numgen random mod 3 == 0"),
            (.keepInSet(.connectionID, "kept"), "update @kept { ct id timeout 10800s }"),
            (.removeFromSet(.connectionID, "kept"), "delete @kept { ct id }"),
            (.connectionStatus(in: .confirmed), "ct status confirmed"),
            (.notConnectionStatus(in: .confirmed), "ct status ! confirmed"),
            (.addToSet(.packetMark(mask: 0), "closed"), "add @closed { meta mark & 0x00000000 }"),
            (
                .beyondEach(.ipv4Destination, set: "s", 20, seconds: 1, burst: 20),
                "update @s { ip daddr timeout 60s limit rate over 20/second burst 20 packets }"
            ),
            (
                .beyondEach(.ipv6Source, set: "s", 1, seconds: 3_600, burst: 10),
                "update @s { ip6 saddr timeout 36000s limit rate over 1/hour burst 10 packets }"
            ),
            (.connectionsOverEach(.ipv4Source, set: "s", 2), "add @s { ip saddr ct count over 2 }"),
            (
                .log(group: 5, prefix: "a \"b\"\nc", snapLength: 128, queueThreshold: 10),
                "log prefix \"a 'b' c\" group 5 snaplen 128 queue-threshold 10"
            ),
            (.log(group: 0, prefix: "", snapLength: 0, queueThreshold: 0), "log group 0"),
            (
                .setConnectionMark(mask: 0x00ff_0000, value: 0x0001_0000),
                "ct mark set ct mark & 0xff00ffff | 0x00010000"
            ),
            (.transparentProxy(port: 5053), "tproxy to :5053"),
            (.masquerade, "masquerade"), (.rejectWithTCPReset, "reject with tcp reset"),
            (.rejectAdministratively, "reject with icmpx admin-prohibited"),
            (.verdict(.accept), "accept"), (.verdict(.drop), "drop"), (.verdict(.jump("c")), "jump c"),
            (.verdict(.goto("c")), "goto c"), (.verdict(.return), "return"),
        ] as [(Statement, String)]
    )
    func statement(_ statement: Statement, _ text: String) {
        #expect(NftText.render(statement) == text)
    }

    @Test(
        "a key is remembered until all that may come at once may come again, and for a minute at least",
        arguments: [
            (20, 1, 20, 60), (600, 60, 600, 60), (1_000, 3_600, 1_000, 3_600), (1, 3_600, 10, 36_000), (7, 60, 10, 86),
        ] as [(UInt64, UInt64, UInt32, UInt64)])
    func remembered(count: UInt64, seconds: UInt64, burst: UInt32, expected: UInt64) {
        #expect(Statement.rememberedSeconds(count, seconds: seconds, burst: burst) == expected)
    }

    @Test("a rule is its statements and its comment")
    func rule() {
        let rule = Rule(in: "c", [.equal(.transportProtocol, 6), .verdict(.drop)], comment: "why")
        #expect(NftText.render(rule) == "meta l4proto == tcp drop comment \"why\"")
    }

    @Test("where nft takes no type's name, a set is declared by an expression; moments are in seconds")
    func declarations() {
        let numbers = Set("n", keyType: .integer, hasIntervals: true, contents: .elements([SetElement(0, 25)]))
        let moments = Set(
            "w", keyType: .time, hasIntervals: true, mapsToVerdict: true,
            contents: .elements([
                SetElement(1_800_000_000_000_000_000, 1_800_003_599_999_999_999, verdict: .drop)
            ])
        )
        let units = Set("u", keyType: .cgroup)
        let transaction = Transaction(
            [.addSet(numbers), .addSet(moments), .addSet(units)].map { Transaction.Step($0, in: table) })
        let expected = """
            add set inet egret n { typeof numgen inc mod 4294967295 offset 1; flags interval; }
            add element inet egret n { 0-25 }
            add map inet egret w { typeof meta time : verdict; flags interval; }
            add element inet egret w { 1800000000-1800003599 : drop }
            add set inet egret u { type cgroupsv2; }

            """
        #expect(NftText.script(transaction) == expected)
    }

    @Test("a transaction is one script, a line for each step")
    func script() {
        let base = BaseChain(kind: .filter, hook: .ingress, priority: -300, device: "eg0", policy: .drop)
        let map = Set(
            "m", keyType: .ipv4Address, hasIntervals: true, mapsToVerdict: true,
            contents: .ipv4Intervals(
                [
                    AddressInterval(0x0a00_0000, 0x0a00_00ff),
                    AddressInterval(0x0a00_0100, 0x0a00_0100, verdictIndex: 1),
                ],
                verdicts: [.drop, .jump("c")]
            )
        )
        let ports = Set(
            "p", keyType: .inetService, hasIntervals: true,
            contents: .elements([SetElement(80), SetElement(8000, 9000)])
        )
        let six = Set(
            "x", keyType: .ipv6Address, hasIntervals: true,
            contents: .ipv6Intervals([AddressInterval(1, 2)], verdicts: [])
        )
        let marks = Set("k", keyType: .mark, contents: .elements([SetElement(0x1ff)]))
        let transaction = Transaction(
            [
                .addTable, .addChain(Chain("c")), .createChain(Chain("i", base: base)), .addSet(map), .addSet(ports),
                .addSet(six), .addElements(marks), .deleteElements(marks), .addElements(Set("k", keyType: .mark)),
                .addCounter(Counter("n")), .addLimit(RateLimit("l", packetsPerSecond: 10, burst: 5)),
                .addLimit(RateLimit("b", bytesPerSecond: 10, burst: 5)), .addQuota(Quota("q", bytes: 5, used: 2)),
                .addRule(Rule(in: "c", [.verdict(.drop)])), .flushChain("c"), .deleteChain("c"), .deleteSet("m"),
                .deleteCounter("n"), .deleteLimit("l"), .deleteQuota("q"), .deleteTable,
            ].map { Transaction.Step($0, in: table) }
        )
        let expected = """
            add table inet egret
            add chain inet egret c
            create chain inet egret i { type filter hook ingress device "eg0" priority -300; policy drop; }
            add map inet egret m { type ipv4_addr : verdict; flags interval; }
            add element inet egret m { 10.0.0.0-10.0.0.255 : drop, 10.0.1.0 : jump c }
            add set inet egret p { type inet_service; flags interval; }
            add element inet egret p { 80, 8000-9000 }
            add set inet egret x { type ipv6_addr; flags interval; }
            add element inet egret x { ::1-::2 }
            add element inet egret k { 0x000001ff }
            delete element inet egret k { 0x000001ff }
            add counter inet egret n
            add limit inet egret l { rate 10/second burst 5 packets ; }
            add limit inet egret b { rate 10 bytes/second burst 5 bytes ; }
            add quota inet egret q { over 5 bytes used 2 bytes ; }
            add rule inet egret c drop
            flush chain inet egret c
            delete chain inet egret c
            delete set inet egret m
            delete counter inet egret n
            delete limit inet egret l
            delete quota inet egret q
            delete table inet egret

            """
        #expect(NftText.script(transaction) == expected)
    }

    @Test("an IPv4-mapped address keeps its dotted tail, which nft reads")
    func mapped() {
        #expect(NftText.render(.equal(.ipv6Source, 0xffff_c000_0201)) == "ip6 saddr == ::ffff:192.0.2.1")
    }
}
