// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What the OPT pseudo-record of a message says (EDNS, RFC 6891).
public struct ExtendedDNS: Hashable, Sendable {
    /// An option: a code and bytes.
    public struct Option: Hashable, Sendable {
        /// The code (IANA, DNS EDNS0 Option Codes).
        public var code: UInt16
        /// The value.
        public var value: [UInt8]

        /// Creates an option.
        public init(code: UInt16, value: [UInt8]) {
            self.code = code
            self.value = value
        }
    }

    /// Code of an extended error (RFC 8914).
    public static let extendedError: UInt16 = 15
    /// Code of padding (RFC 7830).
    public static let padding: UInt16 = 12

    /// The largest datagram that the sender takes, in bytes; below 512 means 512.
    public var payloadSize: UInt16
    /// The upper eight bits of the response code.
    public var extendedCode: UInt8
    /// The version; 0 is the only one.
    public var version: UInt8
    /// Bit 15 is DO: the asker wants signatures (RFC 3225).
    public var flags: UInt16
    /// The options.
    public var options: [Option]

    /// Creates the least that says something: a payload size.
    public init(payloadSize: UInt16, options: [Option] = []) {
        self.payloadSize = payloadSize
        extendedCode = 0
        version = 0
        flags = 0
        self.options = options
    }

    /// Whether the asker wants signatures: DO.
    public var wantsSignatures: Bool { flags & 0x8000 != 0 }

    /// An extended error: 15 blocked, 18 prohibited (RFC 8914, section 4).
    public static func error(_ code: UInt16) -> Option {
        Option(code: extendedError, value: [UInt8(truncatingIfNeeded: code >> 8), UInt8(truncatingIfNeeded: code)])
    }

    /// The codes of the extended errors (RFC 8914, section 2).
    public var errors: [UInt16] {
        options.compactMap { option in
            guard option.code == ExtendedDNS.extendedError, option.value.count >= 2 else { return nil }
            return UInt16(option.value[0]) << 8 | UInt16(option.value[1])
        }
    }

    init(recordClass: UInt16, timeToLive: UInt32, from reader: inout DNSReader) throws(DNSWireError) {
        payloadSize = recordClass
        extendedCode = UInt8(truncatingIfNeeded: timeToLive >> 24)
        version = UInt8(truncatingIfNeeded: timeToLive >> 16)
        flags = UInt16(truncatingIfNeeded: timeToLive)
        options = []
        while reader.count > 0 {
            let code = try reader.readUInt16()
            options.append(Option(code: code, value: Array(try reader.readBytes(Int(try reader.readUInt16())))))
        }
    }

    func encode(into writer: inout DNSWriter) throws(DNSWireError) {
        writer.append(UInt8(0))
        writer.append(DNSRecordType.opt.rawValue)
        writer.append(payloadSize)
        writer.append(UInt32(extendedCode) << 24 | UInt32(version) << 16 | UInt32(flags))
        try writer.lengthPrefixed { (writer) throws(DNSWireError) in
            for option in options {
                guard let count = UInt16(exactly: option.value.count) else { throw .tooLong }
                writer.append(option.code)
                writer.append(count)
                writer.append(contentsOf: option.value)
            }
        }
    }
}
