// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretNetlink
import EgretNetlinkWire

/// A kernel's end of a socket that has one bucket at the root of one link, and answers other requests as it is told.
final class AnsweringSocket: DatagramSocket {
    let descriptor = Descriptor.standardInput
    /// What was asked about fair queues, in order.
    private(set) var queueRequests: [NetlinkMessage] = []
    /// The link that has the bucket; `nil` for none.
    var link: UInt32?
    /// The error number that the next requests about fair queues are answered by, in order; then by none.
    var refusals: [Int32] = []
    private var answers: [[UInt8]] = []

    init(link: UInt32?, refusals: [Int32] = []) {
        self.link = link
        self.refusals = refusals
    }

    func send(_ bytes: [UInt8]) throws(LinuxError) {
        guard let request = (try? NetlinkMessage.parse(bytes))?.first else { return }
        // RTM_GETQDISC and RTM_GETTCLASS.
        if request.type == 38 || request.type == 42 {
            if request.type == 38, let link, let found = try? bucket(link, request.sequence) { answers.append(found) }
            answers.append(answer(3, 0, request.sequence))
            return
        }
        var number: Int32 = 0
        if String(decoding: request.payload, as: UTF8.self).contains("fq_codel") {
            queueRequests.append(request)
            if !refusals.isEmpty { number = refusals.removeFirst() }
        }
        answers.append(answer(2, number, request.sequence))
    }

    func receive() throws(LinuxError) -> [UInt8] {
        guard !answers.isEmpty else { throw LinuxError(.again, operation: "receive") }
        return answers.removeFirst()
    }

    func setNonBlocking(_ isOn: Bool) {}

    private func bucket(_ link: UInt32, _ sequence: UInt32) throws -> [UInt8] {
        let bucket = TokenBucket(bytesPerSecond: 1_000, burstBytes: 1_518, queueBytes: 7_590)
        return try RouteWire.setTokenBucket(bucket, link: link, sequence: sequence)
    }

    /// An acknowledgement (2) or the end of a dump (3).
    private func answer(_ type: UInt16, _ number: Int32, _ sequence: UInt32) -> [UInt8] {
        var writer = NetlinkWriter()
        try? writer.message(type: type, flags: type == 3 ? 2 : 0x100, sequence: sequence) { (writer) in
            writer.appendHost(-number)
            if type == 2 { writer.append([UInt8](repeating: 0, count: 16)) }
        }
        return writer.bytes
    }
}
