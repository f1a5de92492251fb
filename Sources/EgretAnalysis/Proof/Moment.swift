// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy

/// Moments as assertions and commands write them: `2026-12-24T18:00Z`, `2026-12-24T18:00:30+01:00` (RFC 3339; the seconds
/// may be left out).
public enum Moment {
    static let example = "write for example 2026-12-24T18:00Z or 2026-12-24T18:00+01:00"

    /// Seconds since 1970-01-01T00:00Z; `nil` for any other text, one without its distance from UTC included.
    public static func unixTime(_ text: String) -> Int64? {
        let bytes = Array(text.utf8)
        guard bytes.count >= 17, bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-"),
            bytes[10] == UInt8(ascii: "T"), let year = number(bytes[0..<4]), let month = number(bytes[5..<7]),
            let day = number(bytes[8..<10]), let date = CivilDate(year: year, month: month, day: day),
            let minutes = minutes(bytes[11..<16])
        else { return nil }
        var rest = bytes[16...]
        var seconds: Int64 = 0
        if rest.first == UInt8(ascii: ":") {
            guard rest.count >= 3, let value = number(rest.dropFirst().prefix(2)), value < 60 else { return nil }
            seconds = value
            rest = rest.dropFirst(3)
        }
        guard let offset = offset(rest) else { return nil }
        return date.dayNumber * 86_400 + minutes * 60 + seconds - offset
    }

    /// The moment in UTC.
    static func text(_ unixTime: Int64) -> String {
        let day = (unixTime >= 0 ? unixTime : unixTime - 86_399) / 86_400
        let second = unixTime - day * 86_400
        func padded(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let tail = second % 60 == 0 ? "" : ":\(padded(second % 60))"
        return "\(CivilDate(dayNumber: day))T\(padded(second / 3_600)):\(padded(second / 60 % 60))\(tail)Z"
    }

    private static func offset(_ bytes: ArraySlice<UInt8>) -> Int64? {
        if bytes.elementsEqual([UInt8(ascii: "Z")]) { return 0 }
        guard bytes.count == 6, let minutes = minutes(bytes.dropFirst()) else { return nil }
        switch bytes.first {
        case UInt8(ascii: "+"): return minutes * 60
        case UInt8(ascii: "-"): return -minutes * 60
        default: return nil
        }
    }

    /// `HH:MM` in minutes.
    private static func minutes(_ bytes: ArraySlice<UInt8>) -> Int64? {
        guard bytes.count == 5, bytes.dropFirst(2).first == UInt8(ascii: ":"), let hour = number(bytes.prefix(2)),
            let minute = number(bytes.suffix(2)), hour < 24, minute < 60
        else { return nil }
        return hour * 60 + minute
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int64? {
        var value: Int64 = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            value = value * 10 + Int64(digit - UInt8(ascii: "0"))
        }
        return value
    }
}
