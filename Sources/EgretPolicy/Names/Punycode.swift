// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Unicode in letters, digits and hyphens (RFC 3492, with the parameters of section 5).
enum Punycode {
    private static let base = 36
    private static let minimumThreshold = 1
    private static let maximumThreshold = 26

    /// The text in ASCII, or `nil` if a number grows too large.
    static func encode(_ scalars: [Unicode.Scalar]) -> String? {
        var output = scalars.filter(\.isASCII).map { UInt8(truncatingIfNeeded: $0.value) }
        var handled = output.count
        let basicCount = handled
        if basicCount > 0 { output.append(UInt8(ascii: "-")) }
        var bound: UInt32 = 128
        var delta = 0
        var bias = 72
        while handled < scalars.count {
            guard let next = scalars.lazy.map(\.value).filter({ $0 >= bound }).min() else { return nil }
            let (growth, overflow) = Int(next - bound).multipliedReportingOverflow(by: handled + 1)
            guard !overflow, delta <= Int(Int32.max) - growth else { return nil }
            delta += growth
            bound = next
            for scalar in scalars {
                if scalar.value < bound { delta += 1 }
                guard scalar.value == bound else { continue }
                append(delta, bias, to: &output)
                bias = adapt(delta, handled + 1, isFirst: handled == basicCount)
                delta = 0
                handled += 1
            }
            delta += 1
            bound += 1
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// The Unicode of a text in ASCII, or `nil` if it is not Punycode.
    static func decode(_ text: some StringProtocol) -> [Unicode.Scalar]? {
        let bytes = Array(text.utf8)
        let split = bytes.lastIndex(of: UInt8(ascii: "-")) ?? -1
        guard bytes.allSatisfy({ $0 < 0x80 }) else { return nil }
        var output = bytes.prefix(max(split, 0)).map { Unicode.Scalar($0) }
        var place = split + 1
        var value = 128
        var index = 0
        var bias = 72
        while place < bytes.count {
            let old = index
            var weight = 1
            var step = base
            while true {
                guard place < bytes.count, let digit = digit(bytes[place]) else { return nil }
                place += 1
                guard digit <= (Int(Int32.max) - index) / weight else { return nil }
                index += digit * weight
                let limit = threshold(step, bias)
                if digit < limit { break }
                guard weight <= Int(Int32.max) / (base - limit) else { return nil }
                weight *= base - limit
                step += base
            }
            let count = output.count + 1
            bias = adapt(index - old, count, isFirst: old == 0)
            value += index / count
            index %= count
            guard value <= 0x10ffff, let scalar = Unicode.Scalar(UInt32(value)) else { return nil }
            output.insert(scalar, at: index)
            index += 1
        }
        return output
    }

    /// Appends a number, its least significant digit first.
    private static func append(_ number: Int, _ bias: Int, to output: inout [UInt8]) {
        var rest = number
        var step = base
        while true {
            let limit = threshold(step, bias)
            if rest < limit { break }
            output.append(letter(limit + (rest - limit) % (base - limit)))
            rest = (rest - limit) / (base - limit)
            step += base
        }
        output.append(letter(rest))
    }

    private static func threshold(_ step: Int, _ bias: Int) -> Int {
        min(max(step - bias, minimumThreshold), maximumThreshold)
    }

    private static func adapt(_ delta: Int, _ count: Int, isFirst: Bool) -> Int {
        var delta = isFirst ? delta / 700 : delta / 2
        delta += delta / count
        var steps = 0
        while delta > (base - minimumThreshold) * maximumThreshold / 2 {
            delta /= base - minimumThreshold
            steps += base
        }
        return steps + (base - minimumThreshold + 1) * delta / (delta + 38)
    }

    private static func letter(_ digit: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: digit < 26 ? 0x61 + digit : 0x30 + digit - 26)
    }

    private static func digit(_ byte: UInt8) -> Int? {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"): Int(byte) - 0x61
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): Int(byte) - 0x41
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(byte) - 0x30 + 26
        default: nil
        }
    }
}
