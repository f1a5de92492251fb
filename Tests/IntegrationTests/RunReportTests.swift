// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Foundation
import Testing

/// What a run says about itself, held against what the servers and the interfaces say.
@Suite("the report of a run", .serialized, .requiresRoot)
struct RunReportTests {
    private let json = ["--report", "json"]

    @Test("a download's packets and bytes are those that went over the uplink")
    func exactCounts() throws {
        try withInternet("rrexact") { internet in
            let count = """
                ip -j -s link show eth0 | /usr/bin/python3 -c 'import json, sys
                s = json.load(sys.stdin)[0]["stats64"]
                for way in ("rx", "tx"): print(s[way]["packets"], s[way]["bytes"], sep="\\n")'
                """
            let before = try internet.script(count)
            let output = try internet.egret(
                json + ["--allow", "203.0.113.10:80"],
                ["curl", "-sS", "-o", "/dev/null", "http://203.0.113.10/bytes/3000000"])
            let after = try internet.script("sleep 0.1; \(count)")
            let report = try RunReportJSON(output)
            #expect(report.reached.count == 1)
            let line = try #require(report.reached.first)
            #expect(line.destination == "203.0.113.10" && line.service == "80/tcp" && line.connections == 1)
            #expect(report.refused.isEmpty && report.refusedTotals.isEmpty && !report.lostConnections)
            #expect(report.command.first == "curl" && report.ending.exitCode == 0 && report.ending.signal == nil)
            #expect(line.received.bytes > 3_000_000 && line.received.bytes < 3_300_000)
            let numbers = [before, after].map { $0.standardOutput.split(separator: "\n").compactMap { UInt64($0) } }
            try #require(numbers.allSatisfy { $0.count == 4 })
            let moved = zip(numbers[1], numbers[0]).map { $0 - $1 }
            // An interface counts Ethernet's 14 bytes as well, and segments as the offloads leave them; stray router
            // solicitations and the like make a few more.
            let ethernet: UInt64 = 14
            #expect(moved[1] - moved[0] * ethernet >= line.received.bytes)
            #expect(moved[1] - moved[0] * ethernet < line.received.bytes + 2_000)
            #expect(moved[3] - moved[2] * ethernet >= line.sent.bytes)
            #expect(moved[3] - moved[2] * ethernet < line.sent.bytes + 2_000)
        }
    }

    @Test("connections, datagrams and echo requests are counted each for what it is")
    func protocols() throws {
        try withInternet("rrproto") { internet in
            let script = """
                for i in 1 2 3; do curl -sS -o /dev/null http://203.0.113.10/; done
                for i in 1 2; do echo hello | nc -u -w 1 203.0.113.10 7 >/dev/null; done
                echo hello | nc -N -w 2 2001:db8:113::10 7 >/dev/null
                echo hello | nc -N -w 1 198.51.100.66 4444
                true
                """
            let report = try RunReportJSON(
                internet.egret(
                    json + ["--allow", "203.0.113.10", "--audit", "[2001:db8:113::10]:7", "--reject", "198.51.100.66"],
                    ["sh", "-c", script]))
            let lines = Dictionary(uniqueKeysWithValues: report.reached.map { ("\($0.destination) \($0.service)", $0) })
            #expect(lines.keys.sorted() == ["2001:db8:113::10 7/tcp", "203.0.113.10 7/udp", "203.0.113.10 80/tcp"])
            #expect(lines["203.0.113.10 80/tcp"]?.connections == 3)
            #expect(lines["203.0.113.10 7/udp"]?.connections == 2)
            // 20 of IP, 8 of UDP, 6 of text.
            #expect(lines["203.0.113.10 7/udp"]?.sent == RunReportJSON.Amount(packets: 2, bytes: 68))
            #expect(lines["203.0.113.10 7/udp"]?.received == RunReportJSON.Amount(packets: 2, bytes: 68))
            #expect(lines["2001:db8:113::10 7/tcp"]?.audited == true)
            let refused = try #require(report.refused.first)
            #expect(report.refused.count == 1)
            #expect(refused.destination == "198.51.100.66" && refused.service == "4444/tcp")
            #expect(refused.verdict == "reject" && refused.logged.packets == 1)
            #expect(internet.log(of: .attacker).isEmpty)
        }
    }

    @Test("the suggested flags let through what was refused, when they are pasted")
    func suggestions() throws {
        try withInternet("rrsugg") { internet in
            let work = """
                curl -sS -m 1 -o /dev/null http://203.0.113.11:8080/
                echo hi | nc -u -w 1 203.0.113.11 7
                curl -sS -m 1 -o /dev/null 'http://[2001:db8:113::11]/'
                """
            try Data(work.utf8).write(to: URL(fileURLWithPath: "\(internet.directory)/work"))
            let script = """
                work=$(mktemp); cat \(internet.directory)/work >$work
                flags=$(egret run -- sh $work 2>&1 | grep -A1 '^to let' | tail -1)
                echo "$flags"
                eval "egret run --report none $flags -- sh $work"; echo $?; rm $work
                """
            let output = try internet.script(script)
            #expect(
                output.standardOutput == """
                      --allow 203.0.113.11:8080 --allow 203.0.113.11:7/udp --allow '[2001:db8:113::11]:80'
                    hi
                    0

                    """, "\(output.standardError)")
        }
    }

    @Test("of a flood every packet is counted, and it is said how many are not listed")
    func flood() throws {
        try withInternet("rrflood") { internet in
            let flood = """
                import socket
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                for i in range(5000):
                    s.sendto(b"x" * 10, ("198.51.100.66", 4444))
                """
            let report = try RunReportJSON(internet.egret(json, ["/usr/bin/python3", "-c", flood]))
            let total = try #require(report.refusedTotals.first)
            #expect(report.refusedTotals.count == 1)
            #expect(total.total == RunReportJSON.Amount(packets: 5000, bytes: 5000 * 38))
            let logged = report.refused.reduce(0) { $0 + $1.logged.packets }
            #expect(logged + total.unloggedPackets == 5000)
            #expect(internet.log(of: .attacker).isEmpty)
            let text = try internet.egret([], ["/usr/bin/python3", "-c", flood]).standardError
            #expect(total.unloggedPackets == 0 || text.contains("and counted, but no record of them came"))
        }
    }

    @Test("the log has a line of JSON for each refused and audited packet, as it happens")
    func logFile() throws {
        try withInternet("rrlog") { internet in
            // Where the command sees it too.
            let log = "/tmp/egret-rrlog.log"
            let output = try internet.script(
                """
                egret run --report none --log-file \(log) --audit 203.0.113.10:80 --deny 198.51.100.66 -- bash -c '
                    curl -sS -o /dev/null http://203.0.113.10/
                    echo x | nc -u -w 1 198.51.100.66 53
                    for i in {1..50}; do grep -q 198.51.100.66 \(log) && break; sleep 0.02; done
                    grep -c 198.51.100.66 \(log)'
                /usr/bin/python3 -c 'import json
                for line in open("\(log)"):
                    r = json.loads(line)
                    print(r["verdict"], r["reason"], r["rule"], r["destination"], r["service"], r["bytes"] > 20)'
                egret run --log-file \(log) --report-file \(log).txt -- true; cat \(log).txt | grep -c 'true ended with'
                rm \(log) \(log).txt
                """)
            #expect(
                output.standardOutput == """
                    1
                    allow audit --audit 203.0.113.10:80 203.0.113.10 80/tcp True
                    deny policy --deny 198.51.100.66 198.51.100.66 53/udp True
                    1

                    """, "\(output.standardError)")
            #expect(output.standardError == "")
        }
    }

    @Test("a command's name cannot draw on the screen, and the text has no colour in a pipe")
    func plainText() throws {
        try withInternet("rrplain") { internet in
            let output = try internet.script(
                """
                d=$(mktemp -d); p=$(printf '%s/x\\033[31m\\nforged' "$d"); cp /bin/true "$p"
                egret run -- "$p" 2>&1 | cat -v; rm -r "$d"
                """)
            #expect(output.standardOutput.contains("x\\u{1b}[31m\\u{a}forged ended with exit code 0"))
            #expect(!output.standardOutput.contains("^["))
        }
    }

    @Test("report, log and policy files are opened as the command's user, through links as well")
    func filesOfUser() throws {
        try withInternet("rruser") { internet in
            let output = try internet.script(
                """
                d=$(mktemp -d); mkdir $d/own; chmod 755 $d; chown nobody $d/own; cd $d
                (umask 077; echo precious >root)
                ln -s ../root own/link; chown -h nobody own/link
                r() { egret run --user nobody "$@"; echo $?; }
                for flag in --report-file --log-file --policy; do r $flag own/link -- echo ran; done
                cat root
                r --report-file own/report --log-file own/log -- echo ran
                stat -c %U own/report own/log; grep -c 'echo ended with' own/report
                r --report-file own/report -- echo moved >/dev/null
                r --report-file own/report -- sh -c 'mv own/report own/old; echo >own/report' 2>&1 |
                    grep -cE 'own/report was replaced|^egret: sh ended with'
                grep -c '^egret: sh ended' own/old
                r --report none --log-file /dev/full -- sh -c '
                    echo x | nc -u -w 1 198.51.100.66 53; sleep 0.2; exit 3' 2>&1
                # Without CAP_SYS_PTRACE, a process that stayed undumpable could not look at its own children.
                setpriv --bounding-set -sys_ptrace --inh-caps -sys_ptrace egret run --user nobody \
                    --report-file own/untraced -- echo untraced; echo $?
                setpriv --bounding-set -setgid --inh-caps -setgid egret run --user nobody --print-policy -f root; echo $?
                rm -r $d
                """)
            #expect(
                output.standardOutput == """
                    125
                    125
                    125
                    precious
                    ran
                    0
                    nobody
                    nobody
                    1
                    2
                    1
                    egret: 1 line could not be written to /dev/full
                    3
                    untraced
                    0
                    125

                    """, "\(output.standardError)")
            #expect(output.standardError.contains("EACCES"))
            #expect(!output.standardError.contains("precious"))
        }
    }
}
