// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The name in a ClientHello (RFC 8446, section 4.1.2; RFC 6066, section 3).
///
/// ```
///   version 2 | random 32 | session id <0..32> | cipher suites <2..2^16-2> | compression methods <1..2^8-1>
///   | extensions <0..2^16-1>: type 2, data <0..2^16-1> …
/// ```
enum ClientHello {
    private static let serverName = 0
    private static let encryptedClientHello = 0xfe0d
    /// What came before ECH, of drafts.
    private static let encryptedServerName = 0xffce

    /// Reads a whole message, its type and length left out. Nothing may follow it.
    ///
    /// Stricter than some servers: what one of them could read in another way is malformed.
    static func read(_ body: ArraySlice<UInt8>) throws(GreetingFailure) -> SpokenName {
        var reader = GreetingReader(body)
        guard try reader.readUInt8() == 3 else { throw GreetingFailure(.malformed) }
        _ = try reader.readUInt8()
        _ = try reader.readBytes(32)
        guard try reader.readVector8().count <= 32 else { throw GreetingFailure(.malformed) }
        let suites = try reader.readVector16()
        guard suites.count >= 2, suites.count.isMultiple(of: 2), try !reader.readVector8().isEmpty else {
            throw GreetingFailure(.malformed)
        }
        // TLS 1.0 knows hellos without extensions.
        guard reader.count > 0 else { throw GreetingFailure(.nameless) }
        var extensions = GreetingReader(try reader.readVector16())
        guard reader.count == 0 else { throw GreetingFailure(.malformed) }
        return try readExtensions(&extensions)
    }

    private static func readExtensions(_ reader: inout GreetingReader) throws(GreetingFailure) -> SpokenName {
        var seen: Swift.Set<Int> = []
        var name: String?
        var isEncrypted = false
        while reader.count > 0 {
            let type = try reader.readUInt16()
            let data = try reader.readVector16()
            // Each type once (RFC 8446, section 4.2).
            guard seen.insert(type).inserted else { throw GreetingFailure(.malformed) }
            switch type {
            case serverName: name = try readNames(data)
            case encryptedClientHello, encryptedServerName: isEncrypted = true
            default: break
            }
        }
        guard let name else { throw GreetingFailure(.nameless) }
        return SpokenName(name, .tls, hasEncryptedName: isEncrypted)
    }

    /// Reads a list of names, which holds one: one type is known, and each type may be there once.
    private static func readNames(_ data: ArraySlice<UInt8>) throws(GreetingFailure) -> String {
        var outer = GreetingReader(data)
        var list = GreetingReader(try outer.readVector16())
        guard outer.count == 0 else { throw GreetingFailure(.malformed) }
        // 0: a host's name.
        guard try list.readUInt8() == 0 else { throw GreetingFailure(.malformed) }
        let name = try list.readVector16()
        guard list.count == 0 else { throw GreetingFailure(.severalNames) }
        guard !name.isEmpty else { throw GreetingFailure(.malformed) }
        return try WrittenHost.read(name).get()
    }
}
