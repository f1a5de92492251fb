// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretTesting

/// TCP connections whose two ends a test has.
enum LoopbackConnection {
    private struct NotConnected: Error {}

    /// Both ends of a new connection over the loopback device; the near one was accepted.
    static func pair() throws -> (near: InternetSocket, far: InternetSocket) {
        let listener = try InternetSocket.listener(at: SocketAddress(ipv4: 0x7f00_0001, port: 0))
        let far = try InternetSocket.connecting(to: try listener.ownAddress())
        for _ in 0..<1_000 {
            if let (near, _) = try listener.accept() { return (near, far) }
            _ = try runProgram(["sleep", "0.01"])
        }
        throw NotConnected()
    }
}
