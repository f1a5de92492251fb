// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// ClientHellos as no library would send them.
struct HelloBuilder {
    /// Extensions in their order: type and data.
    var extensions: [(Int, [UInt8])] = []
    var version: [UInt8] = [3, 3]
    var hasExtensions = true

    static func number(_ value: Int, _ width: Int) -> [UInt8] {
        (0..<width).reversed().map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
    }

    static func vector(_ bytes: [UInt8], _ width: Int) -> [UInt8] { number(bytes.count, width) + bytes }

    /// A server_name extension of one name.
    static func name(_ text: String) -> (Int, [UInt8]) { names([(0, Array(text.utf8))]) }

    static func names(_ list: [(UInt8, [UInt8])]) -> (Int, [UInt8]) {
        (0, vector(list.flatMap { [$0.0] + vector($0.1, 2) }, 2))
    }

    /// The handshake message.
    var message: [UInt8] {
        var body = version + [UInt8](repeating: 7, count: 32) + [0] + HelloBuilder.vector([0x13, 1, 0x0a, 0x0a], 2)
        body += HelloBuilder.vector([0], 1)
        if hasExtensions {
            body += HelloBuilder.vector(
                extensions.flatMap { HelloBuilder.number($0.0, 2) + HelloBuilder.vector($0.1, 2) }, 2)
        }
        return [1] + HelloBuilder.vector(body, 3)
    }

    /// The message in records of at most so many bytes.
    func records(of size: Int = 16_384) -> [UInt8] {
        HelloBuilder.records(message, of: size)
    }

    static func records(_ message: [UInt8], of size: Int, type: UInt8 = 22) -> [UInt8] {
        stride(from: 0, to: message.count, by: size).flatMap { start in
            [type, 3, 1] + vector(Array(message[start..<min(start + size, message.count)]), 2)
        }
    }
}
