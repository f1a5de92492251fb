// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras

/// Makes the Initial packets with which a QUIC client begins (RFC 9000, section 17.2.2; RFC 9001, section 5).
public struct QUICInitial: Sendable {
    /// Whether the packets are of version 2 (RFC 9369), and not of version 1.
    public var isVersion2: Bool
    /// The destination connection ID, of which the keys come.
    public var destination: [UInt8]

    /// Creates a client.
    public init(
        isVersion2: Bool = false, destination: [UInt8] = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08]
    ) {
        self.isVersion2 = isVersion2
        self.destination = destination
    }

    /// A datagram as clients send it first: one Initial packet with a whole ClientHello, padded to 1,200 bytes.
    ///
    /// - Parameter name: The name that it says; `nil` for none.
    /// - Returns: The datagram.
    /// - Throws: What the library for ciphers throws: nothing, with keys of these sizes.
    public func datagram(saying name: String?) throws -> [UInt8] {
        let frames = QUICInitial.crypto(QUICInitial.hello(name)[...], at: 0)
        return try packet(0, frames, paddedTo: 1_200)
    }

    /// An Initial packet.
    ///
    /// - Parameters:
    ///   - number: Its number.
    ///   - frames: Its frames.
    ///   - size: How long the packet is at least; frames of padding are appended.
    /// - Returns: The packet.
    /// - Throws: What the library for ciphers throws: nothing, with keys of these sizes.
    public func packet(_ number: UInt8, _ frames: [UInt8], paddedTo size: Int = 0) throws -> [UInt8] {
        let version: [UInt8] = isVersion2 ? [0x6b, 0x33, 0x43, 0xcf] : [0, 0, 0, 1]
        var header: [UInt8] = [isVersion2 ? 0xd0 : 0xc0] + version
        header += [UInt8(truncatingIfNeeded: destination.count)] + destination
        // No source connection ID, and no token.
        header += [0, 0]
        // The sample begins four bytes behind the beginning of the number, which has one.
        let least = max(3, size - header.count - 4 - 1 - 16)
        let payload = frames + [UInt8](repeating: 0, count: max(0, least - frames.count))
        header += QUICInitial.variable(1 + payload.count + 16)
        let place = header.count
        header.append(number)
        let keys = self.keys
        var nonce = keys.vector
        nonce[11] ^= number
        let box = try AES.GCM.seal(
            payload, using: SymmetricKey(data: keys.payload), nonce: AES.GCM.Nonce(data: nonce),
            authenticating: header)
        var bytes = header + Array(box.ciphertext) + Array(box.tag)
        var mask = Array(bytes[(place + 4)..<(place + 20)])
        try AES.permute(&mask, key: SymmetricKey(data: keys.header))
        bytes[0] ^= mask[0] & 0x0f
        bytes[place] ^= mask[1]
        return bytes
    }

    private var keys: (payload: [UInt8], vector: [UInt8], header: [UInt8]) {
        let salt: [UInt8] =
            isVersion2
            ? [
                0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9,
                0xbd, 0x2e, 0xd9,
            ]
            : [
                0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc,
                0xbb, 0x7f, 0x0a,
            ]
        func expand(_ secret: [UInt8], _ label: String, _ count: Int) -> [UInt8] {
            let label = Array("tls13 \(label)".utf8)
            let info: [UInt8] =
                [0, UInt8(truncatingIfNeeded: count), UInt8(truncatingIfNeeded: label.count)] + label + [0, 1]
            let block = HMAC<SHA256>.authenticationCode(for: info, using: SymmetricKey(data: secret))
            return Array(block.prefix(count))
        }
        let first = HKDF<SHA256>.extract(inputKeyMaterial: SymmetricKey(data: destination), salt: salt)
        let secret = expand(Array(first), "client in", 32)
        let prefix = isVersion2 ? "quicv2" : "quic"
        return (
            expand(secret, "\(prefix) key", 16), expand(secret, "\(prefix) iv", 12), expand(secret, "\(prefix) hp", 16)
        )
    }

    /// A CRYPTO frame.
    ///
    /// - Parameters:
    ///   - bytes: A piece of the message.
    ///   - offset: Where it begins there.
    /// - Returns: The frame.
    public static func crypto(_ bytes: ArraySlice<UInt8>, at offset: Int) -> [UInt8] {
        [6] + variable(offset) + variable(bytes.count) + Array(bytes)
    }

    /// A ClientHello of TLS 1.3, with its type and length, that says a name, or none.
    public static func hello(_ name: String?) -> [UInt8] {
        func sized(_ bytes: [UInt8]) -> [UInt8] {
            [UInt8(truncatingIfNeeded: bytes.count >> 8), UInt8(truncatingIfNeeded: bytes.count)] + bytes
        }
        var extensions: [UInt8] = [0, 43, 0, 3, 2, 3, 4]
        if let name { extensions += [0, 0] + sized(sized([0] + sized(Array(name.utf8)))) }
        let random = [UInt8](repeating: 0x5a, count: 32)
        let body: [UInt8] = [3, 3] + random + [0, 0, 2, 0x13, 1, 1, 0] + sized(extensions)
        return [1, 0] + sized(body)
    }

    /// An integer in four bytes (RFC 9000, section 16).
    private static func variable(_ value: Int) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: (value | 0x8000_0000) >> $0) }
    }
}
