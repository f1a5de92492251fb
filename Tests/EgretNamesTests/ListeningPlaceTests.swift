// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretNames
import EgretTesting
import Testing

/// What a proxy uses of sockets that somebody has handed over.
struct ListeningPlaceTests {
    @Test("a socket serves in its own place alone, at its port of all addresses")
    func places() throws {
        let datagrams = try InternetSocket.datagrams(at: SocketAddress(ipv4: 0, port: 0), receiveBuffer: 65_536)
        let stream = try InternetSocket.listener(at: SocketAddress(ipv6: 0, port: 0))
        let local = try InternetSocket.datagrams(
            at: SocketAddress(ipv4: 0x7f00_0001, port: 0), receiveBuffer: 65_536)
        func mismatch(
            _ socket: InternetSocket, _ place: ListeningPlace, at port: UInt16? = nil, isTransparent: Bool = false
        ) throws -> String? {
            let port = try port ?? socket.ownAddress().port
            return place.mismatch(of: socket.descriptor, port: port, isTransparent: isTransparent)
        }
        #expect(try mismatch(datagrams, .datagrams4) == nil)
        #expect(try mismatch(datagrams, .datagrams6) == "it is not of IPv6")
        #expect(try mismatch(datagrams, .stream4) == "it is not of TCP")
        #expect(try mismatch(datagrams, .datagrams4, at: 1) == "it is not at port 1 of all addresses")
        #expect(try mismatch(datagrams, .datagrams4, isTransparent: true) == "it is not transparent")
        #expect(try mismatch(stream, .stream6) == nil)
        #expect(try mismatch(stream, .stream4) == "it is not of IPv4")
        #expect(try mismatch(stream, .datagrams6) == "it is not of UDP")
        let port = try local.ownAddress().port
        #expect(try mismatch(local, .datagrams4) == "it is not at port \(port) of all addresses")
    }

    @Test("what is no socket of IP serves nowhere", arguments: ListeningPlace.allCases)
    func others(_ place: ListeningPlace) throws {
        let directory = try TemporaryDirectory()
        let file = try Descriptor.open("/dev/null")
        let unix = try UnixSocket.bind("\(directory.path)/socket")
        for (descriptor, reason) in [(file, "ENOTSOCK"), (unix, "EAFNOSUPPORT")] {
            let mismatch = place.mismatch(of: descriptor, port: 53, isTransparent: false)
            #expect(mismatch?.contains(reason) == true, "\(mismatch ?? "")")
        }
    }

    @Test("a transparent socket is told from others, and one of another network namespace", .requiresRoot)
    func namespaces() throws {
        let own = SocketAddress(ipv4: 0, port: 0)
        let transparent = try InternetSocket.transparentListener(at: own)
        let port = try transparent.ownAddress().port
        func mismatch(_ socket: Descriptor, _ port: UInt16, isTransparent: Bool) -> String? {
            ListeningPlace.stream4.mismatch(of: socket, port: port, isTransparent: isTransparent)
        }
        #expect(mismatch(transparent.descriptor, port, isTransparent: true) == nil)
        #expect(mismatch(transparent.descriptor, port, isTransparent: false) == "it is transparent")
        let other = try OwnThread.run {
            try Namespace.unshare(.network)
            return try InternetSocket.listener(at: own).descriptor
        }
        let otherPort = try SocketState(of: other).own.port
        #expect(mismatch(other, otherPort, isTransparent: false) == "it is in another network namespace")
    }
}
