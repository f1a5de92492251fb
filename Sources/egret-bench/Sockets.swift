// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Blocking IPv4 sockets, as thin as can be: what is measured is the path, not the program.
enum Sockets {
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    static func check(_ result: Int, _ what: String) throws(Failure) -> Int {
        if result < 0 { throw Failure(description: "\(what): \(unsafe String(cString: strerror(errno)))") }
        return result
    }

    static func make(datagrams: Bool) throws(Failure) -> Int32 {
        let kind = datagrams ? Int32(SOCK_DGRAM.rawValue) : Int32(SOCK_STREAM.rawValue)
        let socket = Int32(try check(Int(Glibc.socket(AF_INET, kind, 0)), "socket"))
        var one: Int32 = 1
        let size = socklen_t(MemoryLayout<Int32>.size)
        unsafe setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &one, size)
        if !datagrams { unsafe setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &one, size) }
        // A lost datagram ends the wait, not the measurement.
        var patience = timeval(tv_sec: datagrams ? 1 : 10, tv_usec: 0)
        unsafe setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        return socket
    }

    static func connect(_ socket: Int32, _ address: String, _ port: UInt16) throws(Failure) {
        let result = unsafe withAddress(address, port) { unsafe Glibc.connect(socket, $0, $1) }
        _ = try check(Int(result), "connect to \(address)")
    }

    static func bind(_ socket: Int32, _ address: String, _ port: UInt16) throws(Failure) {
        let result = unsafe withAddress(address, port) { unsafe Glibc.bind(socket, $0, $1) }
        _ = try check(Int(result), "bind to \(address)")
    }

    static func send(_ socket: Int32, _ bytes: [UInt8]) -> Int {
        unsafe bytes.withUnsafeBytes {
            unsafe Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
    }

    static func receive(_ socket: Int32, _ bytes: inout [UInt8]) -> Int {
        unsafe bytes.withUnsafeMutableBytes { unsafe Glibc.recv(socket, $0.baseAddress, $0.count, 0) }
    }

    /// Receives a datagram and sends back what `answer` makes of it.
    static func serve(_ socket: Int32, _ bytes: inout [UInt8], _ answer: (inout [UInt8], Int) -> Int?) {
        var sender = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        unsafe withUnsafeMutablePointer(to: &sender) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                let count = unsafe bytes.withUnsafeMutableBytes {
                    unsafe recvfrom(socket, $0.baseAddress, $0.count, 0, address, &size)
                }
                guard count > 0, let length = answer(&bytes, count) else { return }
                _ = unsafe bytes.withUnsafeBytes { unsafe sendto(socket, $0.baseAddress, length, 0, address, size) }
            }
        }
    }

    private static func withAddress(
        _ text: String,
        _ port: UInt16,
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        unsafe inet_pton(AF_INET, text, &address.sin_addr)
        return unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                unsafe body(address, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
