// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretNetlink
import EgretNetlinkWire
import EgretTesting
import Testing

@testable import EgretAgent

@Suite("Links that are kept by the kernel's events", .serialized, .requiresRoot)
struct WatchedLinksTests {
    private static func run(_ command: String) throws {
        let output = try RunningProgram(["sh", "-euc", command]).wait()
        #expect(output.succeeded, "\(command): \(output.standardError)")
    }

    @Test("after each change they are what a list of all links says, and are another version only then")
    func changes() throws {
        try OwnThread.run {
            try Namespace.unshare([.network])
            let links = try WatchedLinks()
            #expect(Swift.Set(try links.current().values.map(\.name)) == ["lo"])
            let changes = [
                "ip link add br0 type bridge", "ip link add va type veth peer name vb", "ip link set va master br0",
                "ip link set va up; ip link set vb up; ip link set br0 up",
                "ip link set vb down; ip link set vb name vc",
                "ip link set vc mtu 1300; ip link set va address 02:00:00:00:00:07", "ip link set va nomaster",
                "ip link add br1 type bridge; ip link set va master br1", "ip link del br1", "ip link del va",
                "for n in $(seq 40); do ip link add v$n type veth peer name w$n; done",
                "for n in $(seq 40); do ip link del v$n; done", "ip link del br0",
            ]
            for change in changes {
                let former = links.version
                try WatchedLinksTests.run(change)
                // Whether a medium is there shows a moment later.
                var (known, listed): (Swift.Set<LinkRecord>, Swift.Set<LinkRecord>) = ([], [])
                for attempt in 0..<40 where attempt == 0 || known != listed {
                    var poll = Poll()
                    if attempt > 0 { _ = try poll.wait(timeout: .milliseconds(50)) }
                    listed = Swift.Set(try NetlinkConnection.route().links())
                    known = Swift.Set(try links.current().values)
                }
                #expect(known == listed, "\(change)")
                #expect(links.version > former, "\(change)")
            }
            let last = links.version
            #expect(try links.current().count == 1)
            #expect(links.version == last)
        }
    }

    /// A socket that hears of links, and of what it hears only the beginning if it is told to.
    private final class DamagingSocket: DatagramSocket {
        private let socket: NetlinkSocket
        var isDamaging = false

        init() throws {
            socket = try NetlinkSocket(.route)
            try socket.join(RouteGroup.links)
        }

        var descriptor: Descriptor { socket.descriptor }
        func send(_ bytes: [UInt8]) throws(LinuxError) { try socket.send(bytes) }
        func setNonBlocking(_ isOn: Bool) throws(LinuxError) { try socket.setNonBlocking(isOn) }
        func receive() throws(LinuxError) -> [UInt8] {
            let bytes = try socket.receive()
            return isDamaging ? Array(bytes.prefix(8)) : bytes
        }
    }

    @Test("after events that could not be read all links are listed")
    func damage() throws {
        try OwnThread.run {
            try Namespace.unshare([.network])
            let socket = try DamagingSocket()
            let links = WatchedLinks(try NetlinkConnection.route(), events: NetlinkConnection(socket))
            #expect(Swift.Set(try links.current().values.map(\.name)) == ["lo"])
            socket.isDamaging = true
            try WatchedLinksTests.run("ip link add br0 type bridge")
            var failures = 0
            var known: [UInt32: LinkRecord]?
            while known == nil, failures < 100 {
                known = try? links.current()
                if known == nil { failures += 1 }
            }
            #expect(failures > 0)
            #expect(Swift.Set(known?.values.map(\.name) ?? []) == ["lo", "br0"])
        }
    }

    @Test("where another end goes is known: at once from here, and within a second from elsewhere")
    func otherEnds() throws {
        try OwnThread.run {
            try Namespace.unshare([.network])
            let links = try WatchedLinks()
            try WatchedLinksTests.run("ip link add va type veth peer name vb")
            let index = try #require(try links.current().values.first { $0.name == "va" }).index
            let (one, two) = ("ewl\(CurrentProcess.identifier)a", "ewl\(CurrentProcess.identifier)b")
            defer { try? WatchedLinksTests.run("ip netns del \(one); ip netns del \(two)") }
            try WatchedLinksTests.run("ip netns add \(one); ip netns add \(two); ip link set vb netns \(one)")
            let first = try #require(try links.current()[index]?.peerNamespaceID)
            try WatchedLinksTests.run("ip -n \(one) link set vb netns \(two)")
            var second: Int32? = first
            for _ in 0..<200 where second == first {
                var poll = Poll()
                _ = try poll.wait(timeout: .milliseconds(50))
                second = try links.current(knowsOtherEnds: true)[index]?.peerNamespaceID
            }
            #expect(second != nil && second != first)
            #expect(try links.current()[index] == NetlinkConnection.route().link(index))
        }
    }
}
