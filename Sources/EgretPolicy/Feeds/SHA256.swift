// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The digest SHA-256 (FIPS 180-4).
public enum SHA256 {
    /// The digest of some bytes, in lower-case hexadecimal.
    public static func digest(of bytes: [UInt8]) -> String {
        var state = initial
        var schedule = [UInt32](repeating: 0, count: 64)
        var place = 0
        while bytes.count - place >= 64 {
            mix(bytes, at: place, into: &state, &schedule)
            place += 64
        }
        var last = Array(bytes[place...])
        last.append(0x80)
        last.append(contentsOf: repeatElement(0, count: (120 - last.count % 64) % 64))
        let bits = UInt64(bytes.count) << 3
        for shift in stride(from: UInt64(56), through: 0, by: -8) {
            last.append(UInt8(truncatingIfNeeded: bits >> shift))
        }
        for start in stride(from: 0, to: last.count, by: 64) { mix(last, at: start, into: &state, &schedule) }
        return state.map { word in
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 8 - digits.utf8.count) + digits
        }.joined()
    }

    private static func mix(_ bytes: [UInt8], at place: Int, into state: inout [UInt32], _ schedule: inout [UInt32]) {
        for word in 0..<16 {
            let byte = place + word * 4
            schedule[word] =
                UInt32(bytes[byte]) << 24 | UInt32(bytes[byte + 1]) << 16 | UInt32(bytes[byte + 2]) << 8
                | UInt32(bytes[byte + 3])
        }
        for word in 16..<64 {
            let early = schedule[word - 15]
            let late = schedule[word - 2]
            let small = rotated(early, 7) ^ rotated(early, 18) ^ early >> 3
            let large = rotated(late, 17) ^ rotated(late, 19) ^ late >> 10
            schedule[word] = schedule[word - 16] &+ small &+ schedule[word - 7] &+ large
        }
        var (a, b, c, d) = (state[0], state[1], state[2], state[3])
        var (e, f, g, h) = (state[4], state[5], state[6], state[7])
        for round in 0..<64 {
            let sum = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)
            let choice = (e & f) ^ (~e & g)
            let first = h &+ sum &+ choice &+ constants[round] &+ schedule[round]
            let majority = (a & b) ^ (a & c) ^ (b & c)
            let second = (rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) &+ majority
            (h, g, f, e, d, c, b, a) = (g, f, e, d &+ first, c, b, a, first &+ second)
        }
        for (index, word) in [a, b, c, d, e, f, g, h].enumerated() { state[index] &+= word }
    }

    private static func rotated(_ word: UInt32, _ count: UInt32) -> UInt32 {
        word >> count | word << (32 - count)
    }

    private static let primes: [UInt64] = {
        var found: [UInt64] = []
        var candidate: UInt64 = 2
        while found.count < 64 {
            if found.allSatisfy({ candidate % $0 != 0 }) { found.append(candidate) }
            candidate += 1
        }
        return found
    }()

    /// The first 32 bits of the fractional parts of the square roots of the first 8 primes (section 5.3.3).
    private static let initial = primes.prefix(8).map { prime in
        fraction { UInt128($0) * UInt128($0) <= UInt128(prime) << 64 }
    }

    /// The first 32 bits of the fractional parts of the cube roots of the first 64 primes (section 4.2.2).
    private static let constants = primes.map { prime in
        fraction { root in
            let square = UInt128(root) * UInt128(root)
            let (product, isTooLarge) = square.multipliedReportingOverflow(by: UInt128(root))
            return !isTooLarge && product <= UInt128(prime) << 96
        }
    }

    /// The low 32 bits of the largest number below 2^40 that is small enough.
    private static func fraction(isSmallEnough: (UInt64) -> Bool) -> UInt32 {
        var root: UInt64 = 0
        for bit in stride(from: UInt64(39), through: 0, by: -1) where isSmallEnough(root | 1 << bit) {
            root |= 1 << bit
        }
        return UInt32(truncatingIfNeeded: root)
    }
}
