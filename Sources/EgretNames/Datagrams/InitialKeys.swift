// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras
public import EgretGreetingWire

/// What takes the protection off the Initial packets of a client (RFC 9001, section 5).
///
/// The keys come of what stands in the packet itself: they keep nobody from reading, but nobody reads by accident.
public struct InitialKeys: Sendable {
    /// The secret that the rest comes of, for tests against the vectors of the RFCs.
    let secret: [UInt8]
    /// The key of the payload.
    let key: [UInt8]
    /// What the nonces are made of.
    let vector: [UInt8]
    /// The key of the header's protection.
    let headerKey: [UInt8]

    /// Derives the keys.
    ///
    /// - Parameters:
    ///   - version: The packets' version.
    ///   - destination: The destination connection ID of the client's first packet.
    public init(_ version: QUICVersion, destination: [UInt8]) {
        let initial = HKDF<SHA256>.extract(
            inputKeyMaterial: SymmetricKey(data: destination), salt: InitialKeys.salt(version))
        secret = InitialKeys.expand(Array(initial), "client in", 32)
        // RFC 9369, section 3.3.2.
        let prefix = version == .version1 ? "quic" : "quicv2"
        key = InitialKeys.expand(secret, "\(prefix) key", 16)
        vector = InitialKeys.expand(secret, "\(prefix) iv", 12)
        headerKey = InitialKeys.expand(secret, "\(prefix) hp", 16)
    }

    /// RFC 9001, section 5.2, and RFC 9369, section 3.3.1.
    private static func salt(_ version: QUICVersion) -> [UInt8] {
        switch version {
        case .version1:
            [
                0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc,
                0xbb, 0x7f, 0x0a,
            ]
        case .version2:
            [
                0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9,
                0xbd, 0x2e, 0xd9,
            ]
        }
    }

    /// HKDF-Expand-Label (RFC 8446, section 7.1) without context, for at most 32 bytes: one block of HKDF-Expand (RFC 5869,
    /// section 2.3), which is one HMAC.
    private static func expand(_ secret: [UInt8], _ label: String, _ count: Int) -> [UInt8] {
        let label = Array("tls13 \(label)".utf8)
        let info: [UInt8] = [0, UInt8(truncatingIfNeeded: count), UInt8(truncatingIfNeeded: label.count)] + label + [0]
        let block = HMAC<SHA256>.authenticationCode(for: info + [1], using: SymmetricKey(data: secret))
        return Array(block.prefix(count))
    }

    /// Takes a packet's protection off.
    ///
    /// - Parameters:
    ///   - packet: The packet.
    ///   - largest: The largest number of a packet before.
    /// - Returns: The packet's number, and its frames; `nil` if it was not made with these keys.
    public func open(_ packet: ProtectedInitial, after largest: UInt64?) -> (number: UInt64, frames: [UInt8])? {
        let place = packet.numberOffset
        var bytes = packet.bytes
        let sample = place + 4
        guard place > 0, sample + ProtectedInitial.sampleSize <= bytes.count else { return nil }
        var mask = Array(bytes[sample..<(sample + ProtectedInitial.sampleSize)])
        do { try AES.permute(&mask, key: SymmetricKey(data: headerKey)) } catch { return nil }
        bytes[0] ^= mask[0] & 0x0f
        // Reserved bits.
        guard bytes[0] & 0x0c == 0 else { return nil }
        let length = Int(bytes[0] & 3) + 1
        var written: UInt64 = 0
        for offset in 0..<length {
            bytes[place + offset] ^= mask[1 + offset]
            written = written << 8 | UInt64(bytes[place + offset])
        }
        let number = InitialKeys.number(written, byteCount: length, after: largest)
        var nonce = vector
        for offset in 0..<8 { nonce[11 - offset] ^= UInt8(truncatingIfNeeded: number >> UInt64(8 * offset)) }
        let (start, end) = (place + length, bytes.count - 16)
        do {
            let box = try AES.GCM.SealedBox(
                nonce: AES.GCM.Nonce(data: nonce), ciphertext: bytes[start..<end], tag: bytes[end...])
            let frames = try AES.GCM.open(
                box, using: SymmetricKey(data: key), authenticating: bytes[..<start])
            return (number, Array(frames))
        } catch {
            return nil
        }
    }

    /// The number that is closest to the next one, of those that end so (RFC 9000, section A.3).
    static func number(_ written: UInt64, byteCount: Int, after largest: UInt64?) -> UInt64 {
        guard let largest else { return written }
        let expected = largest + 1
        let window: UInt64 = 1 << UInt64(8 * byteCount)
        let candidate = expected & ~(window - 1) | written
        if candidate + window / 2 <= expected, candidate < 1 << 62 - window { return candidate + window }
        if candidate > expected + window / 2, candidate >= window { return candidate - window }
        return candidate
    }
}
