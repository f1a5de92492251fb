// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Crypto
import EgretAddressing
import EgretCompiler
import EgretNetlinkWire
import EgretNftables

/// Half of a SHA-256: equal in every process for what is equal, and for nothing else.
struct ContentDigest: Hashable, Sendable {
    /// The first eight bytes, and the eight after them, the last byte lowest.
    var high: UInt64
    var low: UInt64

    init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// The digest of bytes.
    init(of bytes: [UInt8]) {
        var words: [UInt64] = [0, 0]
        for (place, byte) in Crypto.SHA256.hash(data: bytes).prefix(16).enumerated() {
            words[place / 8] = words[place / 8] << 8 | UInt64(byte)
        }
        self.init(high: words[0], low: words[1])
    }

    /// The digest of programs: of the very bytes that would bring them into the kernel. `nil` if they cannot be brought there.
    init?(of programs: [TableProgram]) {
        var transaction = Transaction()
        for program in programs {
            for operation in program.installation { transaction.append(operation, in: program.table) }
        }
        guard let batch = try? NftablesWire.encode(transaction, firstSequence: 0) else { return nil }
        self.init(of: batch.bytes)
    }

    /// The digest of a program.
    init?(of program: TableProgram) { self.init(of: [program]) }

    /// The digest of what an endpoint is to the kernel, but for its number, its programs, and where its frames wait.
    init(
        of attachment: HostEndpoint.Attachment, _ hardwareAddress: MACAddress, _ addresses: [IPAddress]
    ) {
        var bytes = ByteList()
        switch attachment {
        case .link(let interface, let index):
            bytes.put(UInt8(1))
            bytes.put(interface.rawValue)
            bytes.put(index)
        case .port(let interface, let index, let bridgeIndex):
            bytes.put(UInt8(2))
            bytes.put(interface.rawValue)
            bytes.put(index)
            bytes.put(bridgeIndex)
        case .cgroup(let id, let level):
            bytes.put(UInt8(3))
            bytes.put(id)
            bytes.put(level)
        }
        bytes.put(hardwareAddress.rawValue)
        for address in addresses {
            bytes.put(UInt8(address.family == .ipv4 ? 4 : 6))
            bytes.put(address.rawValue)
        }
        self.init(of: bytes.bytes)
    }
}

/// Bytes that numbers and texts are put into, one behind the other, so that equal bytes mean equal values.
struct ByteList {
    private(set) var bytes: [UInt8] = []

    /// Appends a number, its lowest byte first.
    mutating func put<Number: FixedWidthInteger>(_ number: Number) {
        for shift in stride(from: 0, to: Number.bitWidth, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: number >> Number(shift)))
        }
    }

    /// Appends a text, its length first.
    mutating func put(_ text: String) {
        put(UInt32(truncatingIfNeeded: text.utf8.count))
        bytes += text.utf8
    }

    /// Appends zeros until there are so many bytes.
    mutating func fill(to count: Int) {
        if bytes.count < count { bytes += repeatElement(0, count: count - bytes.count) }
    }
}
