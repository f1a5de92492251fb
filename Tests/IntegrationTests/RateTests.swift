// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Foundation
import Testing

/// Rates, as a command meets them.
@Suite("a run whose rate is limited", .serialized, .requiresRoot)
struct RateTests {
    /// What iperf3 says it received, in bits a second, for each run of the script that prints a line of it.
    private func measured(_ name: String, _ flags: String, _ arguments: [String]) throws -> [Double] {
        var rates: [Double] = []
        try withInternet(name) { internet in
            // Blocks of 8 KiB: iperf3 counts whole ones, and its own are as large as a tenth of a slow transfer.
            let runs = arguments.map { "rate -l 8K \($0)" }
            let output = try internet.script(
                """
                rate() {
                    for try in 1 2 3; do
                        # A server for each: one that has just ended a transfer is busy with it for a while.
                        port=$((port + 1))
                        iperf3 -s -1 -B 192.0.2.2 -p $port >&2 & server=$!
                        until ss -ltn | grep -q :$port; do sleep 0.05; done
                        egret run --allow host \(flags) --report none -- \
                            iperf3 -c 192.0.2.2 -p $port -t 3 -O 1 -f k "$@" |
                            awk '/receiver/ { for (i = 1; i < NF; i++) if ($(i + 1) == "Kbits/sec") sum = $i }
                                END { if (sum) print sum; exit !sum }' && break
                        kill $server
                    done
                    wait
                }
                port=5200
                \(runs.joined(separator: "\n"))
                """)
            rates = output.standardOutput.split(separator: "\n").compactMap { Double($0).map { $0 * 1_000 } }
            #expect(rates.count == arguments.count, "\(output.standardError)")
            let remains = try internet.remains()
            #expect(remains == "")
        }
        return rates
    }

    /// A limit must never be passed by; a machine that has other work may miss it from below, but not every time.
    private func expect(_ expected: Double, _ name: String, _ flags: String, _ arguments: [String]) throws {
        var waiting = arguments
        var seen: [Double] = []
        for _ in 0..<4 where !waiting.isEmpty {
            let rates = try measured(name, flags, waiting)
            seen += rates
            waiting = zip(waiting, rates).filter { $1 < 0.95 * expected }.map(\.0)
        }
        #expect(waiting == [], "\(flags): \(seen) instead of \(expected)")
        #expect(seen.filter { $0 > 1.05 * expected } == [], "\(flags): more than \(expected)")
    }

    @Test(
        "TCP in both directions goes as fast as the limit says, headers included",
        arguments: [("2Mbit", 2e6), ("20Mbit", 20e6), ("400Mbit", 400e6)])
    func rate(text: String, bits: Double) throws {
        // Of a full frame's 1514 bytes TCP with timestamps carries 1448.
        try expect(bits * 1448 / 1514, "frate", "--rate \(text)", ["", "-R"])
    }

    @Test("a flood of datagrams passes at the limit, and many connections share it")
    func floods() throws {
        try expect(10e6 * 1400 / 1442, "fflood", "--rate egress=10Mbit", ["-u -b 60M -l 1400"])
        try expect(10e6 * 1448 / 1514, "fflood", "--rate 10Mbit", ["-P 20 -l 1K", "-P 20 -l 1K -R"])
    }

    @Test("a limit of one direction leaves the other alone, and of several limits the tightest holds")
    func directions() throws {
        let flags = "--rate ingress=5Mbit --rate ingress=50Mbit"
        #expect(try measured("fway", flags, [""]).allSatisfy { $0 > 100e6 })
        try expect(5e6 * 1448 / 1514, "fway", flags, ["-R"])
    }

    @Test("a ping beside a transfer does not wait long")
    func latency() throws {
        try withInternet("fping") { internet in
            let output = try internet.script(
                """
                iperf3 -s -D -1 -I /run/iperf3.pid; until ss -ltn | grep -q :5201; do sleep 0.05; done
                egret run --allow host --rate 10Mbit --report none -- sh -c '
                iperf3 -c 192.0.2.2 -t 4 >/dev/null & sleep 1; ping -q -i 0.05 -c 40 192.0.2.2; wait' |
                awk -F/ '/^rtt/ { print ($5 < 60) ? "short" : $0 }'
                """)
            #expect(output.standardOutput == "short\n", "\(output.standardError)")
        }
    }

    @Test("a queue of a run that was killed is removed with the rest of it")
    func killed() throws {
        try withInternet("fqueue") { internet in
            let output = try internet.script(
                """
                f=$(mktemp)
                egret run --report none --allow host --rate 1Mbit -- sh -c "echo up >$f; exec sleep 30" & p=$!
                until [ -s $f ]; do sleep 0.02; done; rm $f
                ip -br link | grep -c '^egq'
                kill -9 $p; wait; ip -br link | grep -c '^egq'
                egret gc >/dev/null; ip -br link | grep -c '^egq'
                """)
            #expect(output.standardOutput == "1\n1\n0\n", "\(output.standardError)")
            let remains = try internet.remains()
            #expect(remains == "")
        }
    }

    @Test("a run whose queue somebody removes or changes ends, and says why", arguments: ["egretN", "egqN", "class"])
    func queues(which: String) throws {
        try withInternet("fwatch") { internet in
            let output = try internet.script(
                """
                f=$(mktemp); part=$([ \(which) = class ] && echo --rate 192.0.2.0/24=1Mbit)
                egret run --report none --allow host --rate 2Mbit $part -- sh -c "echo up >$f; exec sleep 60" 2>$f.log & p=$!
                until [ -s $f ]; do sleep 0.02; done
                link() { ip -br link | grep -o "^$1[0-9]*"; }
                # A queue that is no run's concerns nobody.
                ip link add other type ifb; tc qdisc add dev other root tbf rate 1mbit burst 10k limit 10k; sleep 0.3
                kill -0 $p && echo runs; ip link del other
                case \(which) in
                    egretN) tc qdisc del dev $(link egret) root;;
                    egqN) tc qdisc replace dev $(link egq) root tbf rate 100mbit burst 100k limit 100k;;
                    class) tc class change dev $(link egq) parent e9e8:1 classid e9e8:10 htb rate 100mbit ceil 100mbit;;
                esac
                wait $p; echo $?; grep -o 'somebody changed the queues' $f.log; rm $f $f.log
                """)
            #expect(output.standardOutput == "runs\n125\nsomebody changed the queues\n", "\(output.standardError)")
            let remains = try internet.remains()
            #expect(remains == "")
        }
    }
}
