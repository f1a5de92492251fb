// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Foundation
import Testing

/// A namespace behind a bridge, a host, and a world, made by hand with ip(8) and nft(8).
///
/// ```
///  ns0 192.168.0.2/16 eth0 ═ veth0 ═ br0 192.168.0.1 host 203.0.113.2 up0 ═ eth0 203.0.113.1 world 8.8.8.8
/// ```
///
/// IPv6 has fd00::, 2001:db8:113:: and 2001:4860:4860::8888. The host masquerades both families.
final class DoctorLab {
    let host: String
    let endpoint: String
    let world: String
    private let state: TemporaryDirectory

    /// How the endpoint comes to its link.
    enum Making: Sendable {
        /// By ip(8) and nft(8), as in the picture.
        case hand
        /// By a script that is run on the host: `egret network …`.
        case script(String)
    }

    init(_ making: Making = .hand) throws {
        state = try TemporaryDirectory()
        let name = "egd\(ProcessInfo.processInfo.processIdentifier)x\(UInt16.random(in: 0...UInt16.max))"
        (host, endpoint, world) = ("\(name)h", "\(name)n", "\(name)w")
        let link = if case .hand = making { DoctorLab.link } else { "" }
        let result = try runProgram(["bash", "-ec", script(DoctorLab.world + link)])
        try #require(result.succeeded, "\(result.standardError)")
        if case .script(let text) = making {
            let made = try onHost(text)
            try #require(made.succeeded, "\(made.standardError)")
        }
    }

    deinit {
        _ = try? onHost("egret network rm $(egret network ls | tail -n +2 | cut -d' ' -f1) --force || true")
        for name in [host, endpoint, world] { _ = try? runProgram(["ip", "netns", "del", name]) }
    }

    private func script(_ text: String) -> String { "H=\(host) N=\(endpoint) W=\(world)\n\(text)" }

    /// Runs a script of bash in the host's namespace: `n` and `w` run a command in the endpoint's and the world's.
    @discardableResult
    func onHost(_ text: String) throws -> ProgramOutput {
        let helpers = """
            n() { ip netns exec $N "$@"; }; w() { ip netns exec $W "$@"; }
            # What agents note is the lab's own: `ip netns exec` has mounts of its own.
            mkdir -p /run/egret \(state.path)/run; mount --bind \(state.path)/run /run/egret

            """
        return try runProgram(
            ["ip", "netns", "exec", host, "bash", "-ec", script(helpers + text)],
            environment: ["PATH": Egret.searchPath, "EGRET_STATE_DIRECTORY": state.path], timeout: .seconds(120))
    }

    /// What the doctor says.
    func examine(_ arguments: [String]) throws -> (report: DoctorReport, exitCode: Int32) {
        let words = (["egret", "doctor", endpoint, "-o", "json"] + arguments).joined(separator: " ")
        let output = try onHost("exec " + words)
        // What mends says what it has put right.
        #expect(output.standardError == "" || arguments.contains("--fix"))
        let report = try JSONDecoder().decode(DoctorReport.self, from: Data(output.standardOutput.utf8))
        return (report, output.status)
    }

    /// The host, its uplink and the world.
    private static let world = """
        for n in $H $N $W; do
            ip netns del $n 2>/dev/null || true
            ip netns add $n
            ip -n $n link set lo up
            # The links' own addresses are to be usable at once.
            ip netns exec $n sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
        done
        h() { ip -n $H "$@"; }; n() { ip -n $N "$@"; }; w() { ip -n $W "$@"; }
        h link add up0 type veth peer name eth0 netns $W
        h address add 203.0.113.2/24 dev up0
        h address add 2001:db8:113::2/64 dev up0 nodad
        h link set up0 up
        w address add 203.0.113.1/24 dev eth0
        w address add 2001:db8:113::1/64 dev eth0 nodad
        w link set eth0 up
        w address add 8.8.8.8/32 dev lo
        w address add 2001:4860:4860::8888/128 dev lo
        h route add default via 203.0.113.1
        h route add default via 2001:db8:113::1
        ip netns exec $H bash -ec '
            for f in all default up0; do echo 0 > /proc/sys/net/ipv4/conf/$f/rp_filter; done
            echo 1 > /proc/sys/net/ipv4/ip_forward
            echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
            # The kernel takes a while to notice that the other end is up.
            for i in {1..100}; do ping -c1 -W1 2001:db8:113::1 >/dev/null 2>&1 && break; sleep 0.05; done
        '

        """

    /// The endpoint's bridge and link, and the translation.
    private static let link = """
        h link add br0 type bridge forward_delay 0
        h address add 192.168.0.1/16 dev br0
        h address add fd00::1/64 dev br0 nodad
        h link set br0 up
        h link add veth0 type veth peer name eth0 netns $N
        h link set veth0 master br0 up
        n address add 192.168.0.2/16 dev eth0
        n address add fd00::2/64 dev eth0 nodad
        n link set eth0 up
        for i in {1..200}; do bridge -n $H link show dev veth0 | grep -q 'state forwarding' && break; sleep 0.05; done
        n route add default via 192.168.0.1
        n route add default via fd00::1
        ip netns exec $H bash -ec '
            echo 0 > /proc/sys/net/ipv4/conf/br0/rp_filter
            nft add table inet lab
            nft "add chain inet lab out { type nat hook postrouting priority srcnat; }"
            nft add rule inet lab out iifname br0 oifname up0 masquerade
        '
        """
}

/// `egret doctor -o json`, as a program reads it.
struct DoctorReport: Decodable {
    struct Line: Decodable {
        var step: String
        var state: String
        var seen: String
    }
    struct Fault: Decodable {
        var step: String
        var seen: String
        var reason: String
        var commands: [String]
        var fixable: Bool
        var network: Bool
    }
    var healthy: Bool
    var steps: [Line]
    var finding: Fault?
    var repairs: [String]
}
