// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Tells whether a TLS server wants a second ClientHello (HelloRetryRequest: RFC 8446, section 4.1.3).
public enum ServerHello {
    /// The random of a ServerHello that is none: SHA-256 of "HelloRetryRequest".
    private static let retryRandom: [UInt8] = [
        0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2,
        0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
    ]

    /// Whether the server's first bytes ask for a second hello; `nil` if there are too few to tell.
    ///
    /// A ServerHello whose first record ends before its random is taken for a request, to be on the safe side.
    public static func isRetry(_ bytes: some RandomAccessCollection<UInt8>) -> Bool? {
        let head = Array(bytes.prefix(43))
        guard let type = head.first else { return nil }
        // An alert, or no TLS.
        guard type == 22 else { return false }
        guard head.count >= 6 else { return nil }
        guard head[5] == 2 else { return false }
        if (Int(head[3]) << 8 | Int(head[4])) < 38 { return true }
        guard head.count == 43 else { return nil }
        return head[11...].elementsEqual(retryRandom)
    }
}
