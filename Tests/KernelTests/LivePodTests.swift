// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretNetlink
import EgretNetworks
import EgretPolicy
import EgretTesting
import Testing

/// Endpoints with kernels of their own: address resolution, handshakes and errors, through the policies of both ends.
@Suite(.serialized, .requiresRoot)
struct LivePodTests {
    /// The first reaches the second only, and the second is reached by the first only.
    private static func enforce(_ pods: PodBench) throws {
        var change = HostPlan.Change()
        var endpoints = pods.pods.map(\.endpoint)
        let (egress, ingress) = (ProgramKey(.egress, policies: ["e"]), ProgramKey(.ingress, policies: ["i"]))
        endpoints[0].egress = egress
        endpoints[1].ingress = ingress
        change.policies[egress] = PolicySet.rules(allow(endpoints[1].addresses))
        change.policies[ingress] = PolicySet.rules(allow(endpoints[0].addresses))
        change.endpoints = endpoints
        try pods.apply(change)
    }

    private static func allow(_ addresses: [IPAddress]) -> EgressRule {
        EgressRule(action: .allow, destinations: addresses.map { .block(AddressBlock(IPPrefix($0))) })
    }

    /// Whether one endpoint's kernel hears of another's.
    private static func reaches(
        _ pods: PodBench, _ source: Int, _ target: Int, _ transport: ProbeSocket.Transport, _ family: AddressFamily
    ) throws -> Bool {
        let address = PacketBuilder.octets(pods.pods[target].address(family))
        return try pods.pods[source].namespace.onOwnThread {
            let probe = try ProbeSocket(transport, isIPv6: family == .ipv6)
            do throws(LinuxError) {
                try probe.connect(to: address, port: transport == .echo ? 0 : 7_654)
                if transport == .udp { try probe.send(Array("anybody?".utf8)) }
                if transport == .echo {
                    // The kernel writes the checksum of ICMPv6.
                    try probe.send(family == .ipv6 ? [128, 0, 0, 0, 1, 2, 0, 1] : [8, 0, 0xf6, 0xfc, 1, 2, 0, 1])
                }
            } catch {
                return error.errno == .connectionRefused
            }
            var poll = Poll()
            poll.add(probe.descriptor, for: transport == .tcp ? .writable : .readable)
            for _ in 0..<4 {
                if try poll.wait(timeout: .milliseconds(100)).isEmpty { continue }
                // Nobody listens there: the refusal is the other kernel's.
                if let error = probe.pendingError() { return error == .connectionRefused }
                if transport == .echo { return try probe.receive() != nil }
                if probe.takeReport()?.errno == .connectionRefused { return true }
            }
            return false
        }
    }

    @Test("kernels of endpoints reach each other as both ends' policies say", arguments: PodBench.Layout.allCases)
    func matrix(layout: PodBench.Layout) throws {
        let pods = try PodBench(layout, pods: 3, isAlive: true)
        let record = try LivePodTests.police(pods)
        try LivePodTests.enforce(pods)
        let expected: [[Int]: Bool] = [
            [0, 1]: true, [0, 2]: false, [1, 0]: true, [1, 2]: true, [2, 0]: true, [2, 1]: false,
        ]
        for family in AddressFamily.allCases {
            for transport in [ProbeSocket.Transport.tcp, .udp, .echo] {
                for (pair, isAllowed) in expected.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
                    var isReached = try LivePodTests.reaches(pods, pair[0], pair[1], transport, family)
                    // The first packets wait until addresses are resolved, and until the kernels have seen to it that
                    // nobody has theirs (RFC 4862, 5.4: a second or two).
                    for _ in 0..<10 where isAllowed && !isReached {
                        isReached = try LivePodTests.reaches(pods, pair[0], pair[1], transport, family)
                    }
                    #expect(isReached == isAllowed, "\(layout), \(pair), \(transport), \(family)")
                }
            }
        }
        if let record { try LivePodTests.unpolice(pods, record) }
    }

    /// Prepares the bridge, if there is one.
    private static func police(_ pods: PodBench) throws -> BridgeRecord? {
        guard pods.layout == .bridged, let bridge = InterfaceName("pods") else { return nil }
        return try pods.bench.host.onOwnThread {
            let policing = BridgePolicing(try .route())
            let record = try policing.record(
                of: bridge, ports: pods.pods.compactMap(\.endpoint.interface),
                addresses: pods.pods.flatMap(\.endpoint.addresses))
            try policing.apply(record)
            let again = try policing.record(
                of: bridge, ports: pods.pods.compactMap(\.endpoint.interface),
                addresses: pods.pods.flatMap(\.endpoint.addresses), noted: record)
            #expect(again == record, "what Egret has changed stays noted")
            #expect(BridgeRecord(text: record.text) == record)
            return record
        }
    }

    /// Puts the bridge back, and looks.
    private static func unpolice(_ pods: PodBench, _ record: BridgeRecord) throws {
        #expect(record.ports.count == 3 && record.proxies.count == 3 && record.switches.count >= 4)
        try pods.bench.host.onOwnThread {
            let policing = BridgePolicing(try .route())
            try policing.undo(record)
            for item in record.switches { #expect(try Sysctl(item.path).read() == item.original) }
            let fresh = try policing.record(
                of: record.bridge, ports: pods.pods.compactMap(\.endpoint.interface),
                addresses: pods.pods.flatMap(\.endpoint.addresses))
            #expect(fresh == record)
            try policing.undo(record)
        }
    }
}
