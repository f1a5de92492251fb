// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import EgretLinux

@Suite("Namespaces and sockets", .requiresRoot)
struct NamespaceTests {
    /// A network namespace of its own, kept by its descriptor alone.
    private func makeNetwork() throws -> Namespace {
        try OwnThread.run {
            try Namespace.unshare(.network)
            return try Namespace.current(.network)
        }
    }

    @Test("two namespaces differ, and one equals itself by any path")
    func identity() throws {
        let home = try Namespace.current(.network)
        #expect(try home.identity == Namespace.open(.network, process: CurrentProcess.identifier).identity)
        #expect(try home.identity != makeNetwork().identity)
    }

    @Test("a visit happens inside and ends at home")
    func visit() throws {
        let namespace = try makeNetwork()
        try OwnThread.run {
            let home = try Namespace.current(.network).identity
            let inside = try namespace.visit { try Namespace.current(.network).identity }
            #expect(try inside == namespace.identity)
            #expect(try Namespace.current(.network).identity == home)
            #expect(throws: LinuxError.self) {
                try namespace.visit { throw LinuxError(.busy, operation: "test") }
            }
            #expect(try Namespace.current(.network).identity == home)
        }
    }

    @Test("whether a namespace is that of process 1 is told with and without the right to trace it")
    func first() throws {
        let seen = try NetworkNamespace.isFirst(bySeenFilesOf: 1)
        #expect(try NetworkNamespace.isFirst() == seen)
        // Some machines let not even root trace process 1.
        if let first = try? Namespace.open(.network, process: 1) {
            #expect(try seen == (first.identity == Namespace.current(.network).identity))
        }
        #expect(try NetworkNamespace.isFirst(bySeenFilesOf: CurrentProcess.identifier))
        let other = try makeNetwork()
        try OwnThread.run {
            let (traced, seen) = try other.visit {
                (try NetworkNamespace.isFirst(), try NetworkNamespace.isFirst(bySeenFilesOf: 1))
            }
            #expect(!traced && !seen)
        }
        #expect(throws: LinuxError.self) { try NetworkNamespace.isFirst(bySeenFilesOf: Int32.max) }
    }

    @Test("a setting is that of the namespace visited")
    func sysctl() throws {
        let forwarding = Sysctl("net/ipv4/ip_forward")
        let before = try forwarding.read()
        try makeNetwork().onOwnThread {
            try forwarding.write("1")
            #expect(try forwarding.read() == "1")
            try forwarding.write("0")
            #expect(try forwarding.read() == "0")
        }
        #expect(try forwarding.read() == before)
        #expect(try Sysctl("net/ipv4/no_such_setting").read() == nil)
    }

    /// `RTM_GETLINK` with `NLM_F_REQUEST | NLM_F_DUMP`, and an `ifinfomsg` of zeros.
    private func linkDump(_ sequence: UInt8) -> [UInt8] {
        [32, 0, 0, 0, 18, 0, 1, 3, sequence, 0, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 16)
    }

    @Test("a netlink socket lists the links of the namespace it was made in")
    func netlinkDump() throws {
        let socket = try makeNetwork().onOwnThread { try NetlinkSocket(.route) }
        #expect(socket.port != 0)
        try socket.send(linkDump(7))
        let answer = try socket.receive()
        // RTM_NEWLINK, our sequence, and "lo" somewhere in it.
        #expect(answer.count > 64)
        #expect(answer[4] == 16)
        #expect(answer[8] == 7)
        #expect(String(decoding: answer, as: UTF8.self).contains("lo\0"))
    }

    @Test("a socket with nothing to read says so at once or in time")
    func timeouts() throws {
        let socket = try NetlinkSocket(.netfilter, groups: [])
        try socket.setReceiveTimeout(.milliseconds(20))
        let start = MonotonicInstant.now
        #expect(throws: LinuxError(.again, operation: "receive a netlink message")) { try socket.receive() }
        #expect(start.duration(to: .now) >= .milliseconds(15))
        try socket.setNonBlocking(true)
        #expect(throws: LinuxError(.again, operation: "receive a netlink message")) { try socket.receive() }
    }

    @Test("a hundred megabytes go in one message")
    func largeMessage() throws {
        let socket = try NetlinkSocket(.route)
        // One message with a type that does not exist, so the kernel refuses it whole and repeats its header.
        let count = 100 << 20
        var bytes = [UInt8](repeating: 0, count: count)
        bytes.replaceSubrange(
            0..<16, with: [0, 0, 0x40, 0x06, 0xff, 0x7f, 5, 0, 9, 0, 0, 0, 0, 0, 0, 0])
        try socket.setCappedAcknowledgements(true)
        try socket.send(bytes)
        try socket.setReceiveTimeout(.seconds(5))
        let answer = try socket.receive()
        #expect(answer[4] == 2)
        #expect(answer[8] == 9)
    }

    @Test("lost messages are an error of their own, and the socket works on")
    func overrun() throws {
        let namespace = try makeNetwork()
        let socket = try namespace.onOwnThread { try NetlinkSocket(.route, groups: [1]) }
        try socket.setReceiveBuffer(bytes: 2_048)
        try socket.setNonBlocking(true)
        // Every change of a link is a message to group 1.
        let setUp: [ChildOperation] = [.join(namespace)]
        let script = "i=0; while [ $i -lt 60 ]; do ip link set lo up; ip link set lo down; i=$((i+1)); done"
        #expect(try ProgramOutput.shell(script, setUp: setUp).status == .exited(0))
        var sawOverrun = false
        drain: while true {
            do throws(LinuxError) {
                _ = try socket.receive()
            } catch {
                if error.errno == .overrun {
                    sawOverrun = true
                    continue
                }
                #expect(error.errno == .again)
                break drain
            }
        }
        #expect(sawOverrun)
        try socket.send(linkDump(3))
        #expect(try socket.receive().isEmpty == false)
    }

    @Test("a frame sent on one end of a pair arrives on the other")
    func packets() throws {
        let namespace = try makeNetwork()
        let script = "ip link add a0 type veth peer name b0 && ip link set a0 up && ip link set b0 up"
        #expect(try ProgramOutput.shell(script, setUp: [.join(namespace)]).status == .exited(0))
        let (sender, receiver) = try namespace.onOwnThread {
            let a = try #require(Interface.index(named: "a0"))
            let b = try #require(Interface.index(named: "b0"))
            #expect(Interface.name(index: UInt32(b)) == "b0")
            return (try PacketSocket(interfaceIndex: a), try PacketSocket(interfaceIndex: b, promiscuous: true))
        }
        let frame: [UInt8] = [UInt8](repeating: 0xff, count: 6) + [2, 0, 0, 0, 0, 1, 0x88, 0xb5] + Array("hello".utf8)
        let start = MonotonicInstant.now
        var arrived = false
        while !arrived, start.duration(to: .now) < .seconds(5) {
            // Until the kernel has noticed that both ends are up, frames are dropped without a word.
            try sender.send(frame)
            guard let received = try receiver.receive(timeout: .milliseconds(20)) else { continue }
            arrived = received.starts(with: frame)
        }
        #expect(arrived)
    }

    @Test("a raw packet with a made-up source goes to the loopback")
    func rawPackets() throws {
        let namespace = try makeNetwork()
        #expect(try ProgramOutput.shell("ip link set lo up", setUp: [.join(namespace)]).status == .exited(0))
        let (sender, receiver) = try namespace.onOwnThread {
            (try RawIPSocket.ipv4(), try RawIPSocket.ipv4(protocolNumber: 253))
        }
        var packet: [UInt8] = [0x45, 0, 0, 0, 0, 0, 0, 0, 64, 253, 0, 0, 127, 0, 0, 9, 127, 0, 0, 1]
        packet += Array("data".utf8)
        try sender.send(packet, to: [127, 0, 0, 1])
        let received = try #require(try receiver.receive(timeout: .seconds(5)))
        #expect(received.suffix(4) == Array("data".utf8)[...])
        #expect(Array(received[12..<16]) == [127, 0, 0, 9])
    }
}
