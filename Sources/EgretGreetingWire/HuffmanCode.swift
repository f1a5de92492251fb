// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The code of strings in HPACK (RFC 7541, appendix B).
///
/// The code is canonical: codes of one length follow each other in the order of their symbols, and the first of a length
/// follows the last of the length before. So the lengths are all of it.
enum HuffmanCode {
    /// The symbol that ends a string, and may not be in one.
    private static let end = 256
    private static let longest = 30

    /// The length of each symbol's code in bits, 0 to 255 and the end.
    private static let lengths: [UInt8] = [
        13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28,
        28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6,
        6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
        7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7,
        6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22,
        23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21,
        20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23,
        22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
        21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26,
        26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
    ]

    /// For each length: its first code, how many there are, and where their symbols begin in `symbols`.
    private static let rows: [(first: UInt32, count: UInt32, start: Int)] = {
        var rows: [(first: UInt32, count: UInt32, start: Int)] = [(0, 0, 0)]
        var code: UInt32 = 0
        var start = 0
        for length in 1...longest {
            code <<= 1
            let count = lengths.count { Int($0) == length }
            rows.append((code, UInt32(count), start))
            code += UInt32(count)
            start += count
        }
        return rows
    }()

    /// The symbols in the order of their codes.
    private static let symbols: [Int] = lengths.indices.sorted { (lengths[$0], $0) < (lengths[$1], $1) }

    /// Decodes a string.
    ///
    /// - Throws: If it holds the end, or what is left over is not a beginning of the end, shorter than a byte.
    static func decode(_ bytes: ArraySlice<UInt8>) throws(GreetingFailure) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count * 8 / 5 + 1)
        var code: UInt32 = 0
        var length = 0
        for byte in bytes {
            for shift in stride(from: 7, through: 0, by: -1) {
                code = code << 1 | UInt32(byte >> UInt8(shift) & 1)
                length += 1
                guard length <= longest else { throw GreetingFailure(.malformed) }
                let row = rows[length]
                guard code >= row.first, code - row.first < row.count else { continue }
                let symbol = symbols[row.start + Int(code - row.first)]
                guard symbol != end else { throw GreetingFailure(.malformed) }
                result.append(UInt8(truncatingIfNeeded: symbol))
                (code, length) = (0, 0)
            }
        }
        // Padding: the first bits of the end's code, which are ones (section 5.2).
        guard length < 8, code == (1 << UInt32(length)) - 1 else { throw GreetingFailure(.malformed) }
        return result
    }
}
