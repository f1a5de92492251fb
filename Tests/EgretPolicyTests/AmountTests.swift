// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy
import Testing

@Suite("Rates and amounts")
struct AmountTests {
    @Test(
        "rates are in bits, amounts in bytes, and neither is read without a unit",
        arguments: [
            ("10Mbit", 10_000_000, nil), ("1.5Gbit", 1_500_000_000, nil), ("64kbit", 64_000, nil),
            ("64Kibit", 65_536, nil), ("10MB", nil, 10_000_000), ("64KiB", nil, 65_536), ("0.5kB", nil, 500),
            ("10", nil, nil), ("10 Mbit", nil, nil), ("-1Mbit", nil, nil), ("1e6bit", nil, nil), ("Mbit", nil, nil),
            ("1..5Mbit", nil, nil), (".5Mbit", nil, nil), ("5.Mbit", nil, nil), ("0.3bit", nil, nil),
            ("99999999999Tbit", nil, nil), ("10Mbits", nil, nil), ("10Mb", nil, nil), ("٣Mbit", nil, nil),
        ] as [(String, UInt64?, UInt64?)])
    func reading(text: String, bits: UInt64?, bytes: UInt64?) {
        #expect(BitRate(text)?.bitsPerSecond == bits)
        #expect(ByteCount(text)?.bytes == bytes)
    }

    @Test("what is printed is read back", arguments: [0, 1, 1_000, 1_024, 1_500, 65_536, 20_000_000, 123_456_789])
    func printing(number: UInt64) {
        #expect(BitRate(BitRate(bitsPerSecond: number).description)?.bitsPerSecond == number)
        #expect(ByteCount(ByteCount(bytes: number).description)?.bytes == number)
    }

    @Test("of several limits the smallest burst holds, also a faster one's")
    func bursts() {
        let fast = TrafficLimit(rate: BitRate("20Mbit"), burst: ByteCount("15kB"))
        let slow = TrafficLimit(rate: BitRate("10Mbit"), burst: ByteCount("10MB"))
        let plain = TrafficLimit(rate: BitRate("10Mbit"))
        for limits in [[fast, slow], [slow, fast]] {
            let found = TrafficLimit.tightest(limits, .egress)
            #expect(found?.0 == BitRate("10Mbit") && found?.1 == ByteCount("15kB"))
        }
        // 10 ms of the slower one's rate are 12.5 kB: less than the faster one's burst.
        let both = TrafficLimit.tightest([fast, plain], .egress)
        #expect(both?.0 == BitRate("10Mbit") && both?.1 == nil)
        for limits in [[plain, slow], [slow, plain]] {
            let found = TrafficLimit.tightest(limits, .egress)
            #expect(found?.0 == BitRate("10Mbit") && found?.1 == nil)
        }
        let small = TrafficLimit(rate: BitRate("20Mbit"), burst: ByteCount("5kB"))
        let smaller = TrafficLimit.tightest([small, plain], .egress)
        #expect(smaller?.0 == BitRate("10Mbit") && smaller?.1 == ByteCount("5kB"))
    }

    @Test("of several limits of a direction the slowest holds, with its own burst")
    func tightest() {
        let limits = [
            TrafficLimit(rate: BitRate("10Mbit"), burst: ByteCount("1MB")),
            TrafficLimit(direction: .egress, rate: BitRate("2Mbit")),
        ]
        let egress = TrafficLimit.tightest(limits, .egress)
        #expect(egress?.0 == BitRate("2Mbit") && egress?.1 == nil)
        let ingress = TrafficLimit.tightest(limits, .ingress)
        #expect(ingress?.0 == BitRate("10Mbit") && ingress?.1 == ByteCount("1MB"))
        #expect(TrafficLimit.tightest([], .egress) == nil)
    }
}
