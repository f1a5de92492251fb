// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux
import EgretNetlink
import EgretNetworks
import EgretTesting
import Testing

/// What was changed of a bridge, put back among links that are others by now.
@Suite(.serialized, .requiresRoot)
struct BridgePolicingTests {
    /// Of the calling thread's network namespace.
    private static func run(_ command: String) throws -> String {
        let output = try RunningProgram(["sh", "-euc", command]).wait()
        #expect(output.succeeded, "\(command): \(output.standardError)")
        return output.standardOutput
    }

    private static func isolated() throws -> [String] {
        try ["one", "two", "three"].map { port in
            let shown = try run("bridge -d link show dev \(port)")
            return shown.firstMatch(of: #/ isolated (on|off)/#).map { String($0.1) } ?? "no port"
        }
    }

    @Test("a link that has a former port's name, and is none or another bridge's, stays as it is")
    func strangers() throws {
        try OwnThread.run {
            try Namespace.unshare([.network])
            _ = try BridgePolicingTests.run(
                """
                ip link add br0 type bridge; ip link add br1 type bridge
                for port in one two three; do
                    ip link add $port type veth peer name ${port}x; ip link set $port master br0
                done
                """)
            let policing = BridgePolicing(try NetlinkConnection.route())
            let bridge = try #require(InterfaceName("br0"))
            let ports = ["one", "two", "three"].compactMap { InterfaceName($0) }
            let record = try policing.record(of: bridge, ports: ports, addresses: [])
            try policing.apply(record)
            #expect(try BridgePolicingTests.isolated() == ["on", "on", "on"])
            _ = try BridgePolicingTests.run(
                "ip link set one nomaster; ip link set two master br1; bridge link set dev two isolated on")
            try policing.apply(record)
            try policing.undo(record)
            #expect(try BridgePolicingTests.isolated() == ["no port", "on", "off"])
        }
    }
}
