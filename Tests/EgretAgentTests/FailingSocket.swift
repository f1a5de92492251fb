// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretNetlink

/// A socket to the real kernel that fails once, when it is told to.
final class FailingSocket: DatagramSocket {
    /// How it fails.
    enum Failure: CaseIterable {
        /// The kernel does not get the request.
        case sendBusy, sendNoMemory, sendNoBuffers, sendInterrupted
        /// The kernel gets the request, and what it says to it is lost.
        case receiveNoBuffers, receiveInterrupted
        /// Half of what the kernel says is lost.
        case receiveHalf
    }

    private let socket: NetlinkSocket
    private var countdown: Int?
    private var failure = Failure.sendBusy
    /// Whether it has failed since it was told to.
    private(set) var hasFailed = false

    init() throws {
        socket = try NetlinkSocket(.netfilter)
        try socket.setCappedAcknowledgements(true)
        try socket.setReceiveBuffer(bytes: 4 << 20)
    }

    var descriptor: Descriptor { socket.descriptor }

    /// Has the call fail that comes after so many others.
    func fail(_ failure: Failure, after calls: Int) {
        self.failure = failure
        countdown = calls
        hasFailed = false
    }

    func behave() { countdown = nil }

    private func isDue() -> Bool {
        guard let left = countdown else { return false }
        countdown = left > 0 ? left - 1 : nil
        if left == 0 { hasFailed = true }
        return left == 0
    }

    func send(_ bytes: [UInt8]) throws(LinuxError) {
        let errno: Errno? =
            switch failure {
            case .sendBusy: Errno(rawValue: 16)
            case .sendNoMemory: Errno(rawValue: 12)
            case .sendNoBuffers: Errno(rawValue: 105)
            case .sendInterrupted: Errno(rawValue: 4)
            default: nil
            }
        if let errno, isDue() { throw LinuxError(errno, operation: "send a netlink message") }
        try socket.send(bytes)
    }

    func receive() throws(LinuxError) -> [UInt8] {
        switch failure {
        case .receiveNoBuffers where isDue():
            // The kernel's answers are gone.
            try discard()
            throw LinuxError(Errno(rawValue: 105), operation: "receive a netlink message")
        case .receiveInterrupted where isDue():
            throw LinuxError(Errno(rawValue: 4), operation: "receive a netlink message")
        case .receiveHalf where isDue():
            let bytes = try socket.receive()
            return Array(bytes.prefix(bytes.count / 2 / 4 * 4))
        default: return try socket.receive()
        }
    }

    private func discard() throws(LinuxError) {
        try socket.setNonBlocking(true)
        while (try? socket.receive()) != nil {}
        try socket.setNonBlocking(false)
    }

    func setNonBlocking(_ isOn: Bool) throws(LinuxError) { try socket.setNonBlocking(isOn) }
}
