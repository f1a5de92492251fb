// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Foundation
import Testing

/// The doctor at networks that Egret has made, healthy and broken, and `egret network restore`.
@Suite("the doctor at Egret's own networks", .serialized, .requiresRoot)
struct NetworkDoctorTests {
    private static let subnets = "--subnet 192.168.0.0/16 --subnet fd00::/64"
    private static let bridge = "egret network create br0 \(subnets); egret network connect br0 $N"
    private static let routed = "egret network create br0 \(subnets) --mode routed; egret network connect br0 $N"
    private static let adopted = """
        ip link add br0 type bridge forward_delay 0
        ip address add 192.168.0.1/16 dev br0
        ip address add fd00::1/64 dev br0 nodad
        ip link set br0 up
        egret network create br0 --adopt
        egret network connect br0 $N
        """

    private static let healthy: [(name: String, script: String, arguments: String)] = [
        ("bridge", bridge, ""), ("bridge", bridge, DoctorFault.six), ("routed", routed, ""),
        ("routed", routed, DoctorFault.six), ("adopted", adopted, ""), ("adopted", adopted, DoctorFault.six),
        ("isolated", bridge.isolated, ""),
        ("isolated and routed", routed.isolated, ""),
        ("IPv6 only", "egret network create br0 --subnet fd00::/64; egret network connect br0 $N", ""),
        (
            "IPv6 only, routed",
            "egret network create br0 --subnet fd00::/64 --mode routed; egret network connect br0 $N", ""
        ),
        (
            "untranslated, with a route",
            "w ip route add 192.168.0.0/16 via 203.0.113.2; "
                + "egret network create br0 --no-masquerade \(subnets); egret network connect br0 $N", ""
        ),
        (
            "renamed on the host, which harms nobody",
            bridge + "; ip link set egn0 down; ip link set egn0 name foo0; ip link set foo0 up", ""
        ),
        (
            "another default route that works",
            bridge + "; ip address add 192.168.7.7/16 dev br0; n ip route replace default via 192.168.7.7", ""
        ),
    ]

    @Test("a healthy network has no finding", arguments: healthy.indices)
    func healthyNetwork(_ place: Int) throws {
        let (name, script, arguments) = NetworkDoctorTests.healthy[place]
        let lab = try DoctorLab(.script(script))
        let (report, exitCode) = try lab.examine(arguments.split(separator: " ").map(String.init))
        #expect(report.finding == nil && exitCode == 0, "\(name): \(report)")
        #expect(report.steps.allSatisfy { $0.state == "good" || $0.state == "not-needed" }, "\(name): \(report.steps)")
        let restored = try lab.onHost("egret network restore")
        #expect(restored.succeeded, "\(restored)")
    }

    @Test("a healthy network is left alone by restore, and all of its rules and links")
    func restoreChangesNothing() throws {
        for script in [NetworkDoctorTests.bridge, NetworkDoctorTests.routed, NetworkDoctorTests.adopted] {
            let lab = try DoctorLab(.script(script))
            let look =
                "ip -o address show scope global; ip route; ip -6 route; nft -s list ruleset"
                + "; n ip -o address show scope global; n ip route; n ip -6 route; ip -br link | tr -s ' ' | cut -d' ' -f1,3"
            let before = try lab.onHost(look).standardOutput
            let restored = try lab.onHost("egret network restore")
            #expect(restored.succeeded && restored.standardError == "", "\(restored)")
            let after = try lab.onHost(look).standardOutput
            #expect(after == before)
        }
    }

    @Test("a bridge that is broken is named and mended", arguments: DoctorFault.bridgeNetwork)
    func brokenBridge(_ fault: DoctorFault) throws { try check(fault, NetworkDoctorTests.bridge) }

    @Test("a routed network that is broken is named and mended", arguments: DoctorFault.routedNetwork)
    func brokenRoutes(_ fault: DoctorFault) throws { try check(fault, NetworkDoctorTests.routed) }

    @Test("an adopted bridge's endpoint that is broken is named and mended", arguments: DoctorFault.adoptedNetwork)
    func brokenAdopted(_ fault: DoctorFault) throws { try check(fault, NetworkDoctorTests.adopted) }

    @Test("an adopted bridge that its owner has removed is named, and is its owner's")
    func adoptedGone() throws {
        let lab = try DoctorLab(.script(NetworkDoctorTests.adopted))
        try lab.onHost("ip link del br0")
        let (report, exitCode) = try lab.examine(["--fix"])
        #expect(exitCode == 1 && report.finding?.seen == "the bridge br0 is gone", "\(report)")
        #expect(report.finding?.commands == [] && report.repairs == [])
        try lab.onHost(
            """
            ip link add br0 type bridge forward_delay 0; ip address add 192.168.0.1/16 dev br0
            ip address add fd00::1/64 dev br0 nodad; ip link set br0 up; egret network restore
            """)
        #expect(try lab.examine([]).report.healthy)
    }

    @Test("what leaves an isolated network is refused by intention: --fix adds no route", arguments: [bridge, routed])
    func isolated(_ script: String) throws {
        let lab = try DoctorLab(.script(script.isolated))
        let (report, exitCode) = try lab.examine(["--to", "8.8.8.8", "--fix"])
        #expect(exitCode == 1 && report.repairs == [], "\(report)")
        #expect(report.finding?.seen == "br0 is isolated, and 8.8.8.8 is outside", "\(report)")
        #expect(report.finding?.fixable == false && report.finding?.commands == [])
        #expect(try lab.onHost("n ip route show default").standardOutput == "")
        try lab.onHost("n ip route replace default via 192.168.0.1 dev eth0 onlink")
        let forced = try lab.examine(["--to", "8.8.8.8"]).report
        #expect(forced.finding?.step == "policy", "\(forced)")
        #expect(forced.finding?.seen == "br0 is isolated, and 8.8.8.8 is outside", "\(forced)")
    }

    @Test(
        "a network that was made without translation says so, and the commands translate", arguments: [bridge, routed])
    func untranslated(_ script: String) throws {
        let lab = try DoctorLab(.script(script.replacing("create br0", by: "create br0 --no-masquerade")))
        let finding = try #require(try lab.examine([]).report.finding)
        #expect(finding.step == "translation" && finding.reason.contains("--no-masquerade"), "\(finding)")
        let mended = try lab.onHost(finding.commands.joined(separator: "\n"))
        #expect(mended.succeeded, "\(mended)")
        #expect(try lab.examine([]).report.healthy)
    }

    @Test("what keeps a packet from being translated is not taken for a missing rule")
    func notrack() throws {
        let lab = try DoctorLab(.script(NetworkDoctorTests.bridge))
        try lab.onHost("iptables -t raw -A PREROUTING -s 192.168.0.2 -j CT --notrack")
        let finding = try #require(try lab.examine([]).report.finding)
        #expect(finding.step == "translation" && finding.reason.contains("notrack"), "\(finding)")
        #expect(finding.commands == [])
    }

    @Test("restore gives both ends their hardware addresses back, and says so")
    func hardwareAddresses() throws {
        let lab = try DoctorLab(.script(NetworkDoctorTests.bridge))
        let look =
            "ip -o link show egn0 | grep -o 'link/ether [^ ]*'; n ip -o link show eth0 | grep -o 'link/ether [^ ]*'"
        let before = try lab.onHost(look).standardOutput
        try lab.onHost("ip link set egn0 address 02:00:00:00:00:77; n ip link set eth0 address 02:00:00:00:00:78")
        let restored = try lab.onHost("egret network restore")
        #expect(restored.standardError.contains("another hardware address: 02:00:00:00:00:77"), "\(restored)")
        #expect(try lab.onHost(look).standardOutput == before)
        #expect(try lab.examine([]).report.healthy)
    }

    @Test("an endpoint on two networks keeps its default route by the first")
    func twoNetworks() throws {
        let second = "egret network create br1 --subnet 10.77.0.0/24; egret network connect br1 $N --interface eth1"
        let lab = try DoctorLab(.script(NetworkDoctorTests.bridge + "; " + second))
        #expect(try lab.examine([]).report.healthy)
        let before = try lab.onHost("n ip route").standardOutput
        #expect(try lab.onHost("egret network restore").standardError == "")
        #expect(try lab.onHost("n ip route").standardOutput == before)
        try lab.onHost("ip link set egn1 down")
        #expect(try lab.examine([]).report.healthy, "a fault of the other network is not this way's")
    }

    @Test("the verdict of the agent's policies is told with its rule, where it stands, and the revision")
    func verdict() throws {
        let lab = try DoctorLab(.script(NetworkDoctorTests.bridge))
        let output = try besideAgent(
            of: lab,
            """
            cat >policy.yaml <<'END'
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: pings }
            spec:
              selects: { namespaces: [default] }
              default: deny
              egress:
              - { name: resolver, action: allow, to: [{ cidr: 8.8.8.8/32 }], ports: [icmp] }
            END
            egret apply -f policy.yaml >/dev/null
            egret doctor $N | grep policy
            egret doctor $N --to 203.0.113.1 --fix | grep 'policy:' || true
            nft flush chain inet egret-nat br0-out
            egret doctor $N --fix | tail -1
            """)
        let lines = output.standardOutput.split(separator: "\n").map(String.init)
        try #require(lines.count == 3, "\(output)")
        #expect(lines[0].contains("✓ policy"), "\(lines)")
        #expect(lines[0].contains("allowed by rule 1 \"resolver\" of the policy pings"), "\(lines)")
        #expect(lines[0].contains("policy.yaml:8") && lines[0].hasSuffix("; the agent's revision 1"), "\(lines)")
        #expect(lines[1].contains("denied by the default of the policy pings"), "\(lines)")
        #expect(lines[1].contains("policy.yaml:1") && lines[1].contains("; the agent's revision 1"), "\(lines)")
        #expect(lines[2] == "Nothing is in the way.")
    }

    @Test("a published port that bridges keep from a neighbour with policies is named, with what is reached")
    func backIntoBridge() throws {
        let lab = try DoctorLab(.script(NetworkDoctorTests.bridge))
        let output = try besideAgent(
            of: lab,
            """
            sysctl -qw net.bridge.bridge-nf-call-iptables=1
            egret network connect br0 $N-second --create --ip 192.168.0.9 >/dev/null
            egret publish 8080:80 $N-second >/dev/null
            ip netns exec $N-second socat tcp-listen:80,fork,reuseaddr /dev/null & server=$!
            for i in {1..100}; do ip netns exec $N-second ss -tlnH sport = 80 | grep -q . && break; sleep 0.05; done
            egret doctor $N --to 203.0.113.2 --port 8080/tcp | tail -1
            cat >policy.yaml <<'END'
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: all }
            spec: { selects: { namespaces: [default] }, default: allow }
            END
            egret apply -f policy.yaml >/dev/null
            egret doctor $N --to 203.0.113.2 --port 8080/tcp | grep '^way out' || true
            egret doctor $N --to 192.168.0.9 --port 80/tcp | tail -1
            sysctl -qw net.bridge.bridge-nf-call-iptables=0
            egret doctor $N --to 203.0.113.2 --port 8080/tcp | tail -1
            kill $server; egret network disconnect br0 $N-second >/dev/null; ip netns del $N-second
            """)
        #expect(
            output.standardOutput == """
                Nothing is in the way.
                way out: 203.0.113.2 is 192.168.0.9 here, whose port on br0 it does not get to.
                Nothing is in the way.
                Nothing is in the way.

                """, "\(output)")
    }

    @Test("a namespace that was attached is known to the agent by each of its names")
    func attached() throws {
        let lab = try DoctorLab()
        let output = try besideAgent(
            of: lab,
            """
            egret attach netns:$N --name test/web >/dev/null
            cat >policy.yaml <<'END'
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: pings }
            spec:
              selects: { namespaces: [test] }
              egress: [{ name: resolver, action: allow, to: [{ cidr: 8.8.8.8/32 }], ports: [icmp] }]
            END
            egret apply -f policy.yaml >/dev/null
            n sh -c 'echo $$ >sleeper; exec sleep 60' &
            for i in {1..200}; do [ -s sleeper ] && break; sleep 0.05; done; sleeper=$(cat sleeper)
            for name in $N netns:$N /run/netns/$N pid:$sleeper; do
                egret doctor $name --to 8.8.8.8 | grep -o 'allowed by rule 1 "resolver" of the policy pings' || true
            done
            kill $sleeper
            """)
        let line = #"allowed by rule 1 "resolver" of the policy pings"# + "\n"
        #expect(output.standardOutput == String(repeating: line, count: 4), "\(output.standardError)")
    }

    @Test("where no policy decides, the verdict is what the agent was told by --default")
    func networkDefault() throws {
        let lab = try DoctorLab(.script(NetworkDoctorTests.bridge))
        let output = try besideAgent(
            of: lab, options: "--default deny",
            """
            cat >policy.yaml <<'END'
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: other }
            spec:
              selects: { namespaces: [nobody] }
              egress: [{ action: allow }]
            END
            egret apply -f policy.yaml >/dev/null
            egret doctor $N --to 203.0.113.1 --fix | grep 'policy:' || true
            """)
        let lines = output.standardOutput.split(separator: "\n").map(String.init)
        try #require(lines.count == 1, "\(output)")
        #expect(lines[0].contains("denied by") && lines[0].contains("; the agent's revision 1"), "\(lines)")
    }

    /// Runs a script in a directory of its own, on the lab's host, where an agent runs meanwhile.
    private func besideAgent(of lab: DoctorLab, options: String = "", _ script: String) throws -> ProgramOutput {
        let directory = try TemporaryDirectory()
        defer { withExtendedLifetime(directory) {} }
        return try lab.onHost(
            """
            cd \(directory.path)
            export EGRET_AGENT_SOCKET=$PWD/agent.sock
            egret agent --state $PWD/agent --socket $PWD/agent.sock \(options) >log 2>&1 & agent=$!
            trap 'kill $agent; wait $agent || true' EXIT
            for i in {1..200}; do egret get status >/dev/null 2>&1 && break; sleep 0.05; done

            """ + script)
    }

    /// The finding is the expected one; its commands mend it; broken once more, `--fix` does.
    private func check(_ fault: DoctorFault, _ making: String) throws {
        let lab = try DoctorLab(.script(making))
        for isFixed in [false, true] {
            let broken = try lab.onHost(fault.script)
            try #require(broken.succeeded, "\(broken.standardError)")
            if isFixed {
                let (report, exitCode) = try lab.examine(fault.arguments + ["--fix"])
                #expect(report.finding == nil && exitCode == 0 && !report.repairs.isEmpty, "\(report)")
            } else {
                var (report, exitCode) = try lab.examine(fault.arguments)
                let finding = try #require(report.finding, "\(report)")
                #expect(exitCode == 1 && finding.fixable)
                #expect(finding.step == fault.step, "\(report)")
                #expect(finding.seen.contains(fault.words), "\(finding)")
                for _ in 0..<3 {
                    guard let finding = report.finding else { break }
                    let mended = try lab.onHost(finding.commands.joined(separator: "\n"))
                    #expect(mended.succeeded, "\(finding.commands): \(mended.standardError)")
                    report = try lab.examine(fault.arguments).report
                }
                #expect(report.finding == nil, "\(report)")
            }
            let target = fault.arguments.last ?? "8.8.8.8"
            let ping = try lab.onHost("n ping -c1 -W2 \(target) && ip link show foo0")
            #expect(ping.standardOutput.contains("1 received"), "\(ping)")
            #expect(ping.status != 0, "the name is given back")
        }
    }
}

extension String {
    fileprivate var isolated: String { replacing("create br0", by: "create br0 --isolated") }

    fileprivate func replacing(_ old: String, by new: String) -> String {
        components(separatedBy: old).joined(separator: new)
    }
}
