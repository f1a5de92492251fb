// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretCompiler
import EgretLinux
import EgretNetlink
import EgretPolicy
import EgretShaping
import EgretTesting
import Testing

@Suite("what shared rates have counted", .serialized, .requiresRoot)
struct SharedRateCountTests {
    @Test("packets for which there is no place are counted in the class that they were to wait in, and in no other")
    func drops() throws {
        try OwnThread.run {
            try Namespace.unshare([.network])
            let limits = [
                TrafficLimit(scope: .policy, rate: BitRate("64kbit"), policy: "p"),
                TrafficLimit(scope: .network, rate: BitRate("32kbit"), policy: "p"),
            ]
            let shared = try PoolTree(
                [PoolTree.Candidate(number: 1, network: "n", limits: limits, groups: [:])], .egress)
            let inner = try #require(shared.shares.first { $0.network == "n" })
            let pools = PoolShaper(try NetlinkConnection.route())
            #expect(try pools.counts().isEmpty)
            try pools.prepare([.egress: try #require(PoolShaper.Pool(shared, links: [1: 11], mtu: 1_500))])
            #expect(try pools.counts().map(\.number).sorted() == shared.shares.map(\.leaf).sorted())
            // The priority says in which class packets wait, as that of what endpoints send.
            let text = """
                import contextlib, socket, struct
                s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
                priority = struct.pack("=I", \(RateTree.priority(of: inner.leaf)))
                s.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, priority)
                s.bind(("egret-out", 0))
                for i in range(200):
                    with contextlib.suppress(OSError): s.send(b"\\2" * 12 + b"\\x08\\0" + b"x" * 986)
                """
            let output = try runProgram(["python3", "-c", text])
            #expect(output.succeeded, "\(output.standardError)")
            let counts = try pools.counts()
            #expect(counts.allSatisfy { $0.direction == .egress })
            #expect(counts.filter { $0.dropped > 0 }.map(\.number) == [inner.leaf])
            let found = try #require(counts.first { $0.number == inner.leaf })
            #expect(found.dropped > 100 && found.dropped < 200)
            #expect(found.dropped + found.packets <= 200)
            #expect(found.waitingBytes > 0)
        }
    }
}
