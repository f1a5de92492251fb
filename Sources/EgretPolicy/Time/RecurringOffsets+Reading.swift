// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension RecurringOffsets {
    /// Reads a TZ string: `CET-1CEST,M3.5.0,M10.5.0/3`, `<+0545>-5:45`, `IST-1GMT0,M10.5.0,M3.5.0/1`.
    ///
    /// Returns `nil` for anything else, a summer time without its days included.
    init?(_ text: some Sequence<UInt8>) {
        var scanner = Scanner(bytes: Array(text))
        guard scanner.skipName(), let standard = scanner.hours(limit: 24) else { return nil }
        self.standard = Int32(-standard)
        if scanner.isAtEnd { return }
        guard scanner.skipName() else { return nil }
        var offset = -standard + 3_600
        if scanner.peek != UInt8(ascii: ",") {
            guard let west = scanner.hours(limit: 24) else { return nil }
            offset = -west
        }
        guard let start = scanner.change(), let end = scanner.change(), scanner.isAtEnd else { return nil }
        summer = Summer(
            offset: Int32(offset), startDay: start.day, startTime: start.time, endDay: end.day, endTime: end.time)
    }

    private struct Scanner {
        let bytes: [UInt8]
        var place = 0

        init(bytes: [UInt8]) {
            self.bytes = bytes
        }

        var peek: UInt8? { place < bytes.count ? bytes[place] : nil }
        var isAtEnd: Bool { place == bytes.count }

        mutating func skip(_ character: Unicode.Scalar) -> Bool {
            guard peek == UInt8(ascii: character) else { return false }
            place += 1
            return true
        }

        /// The name of a zone's time: three letters or more, or anything of letters, digits and signs in brackets.
        mutating func skipName() -> Bool {
            let start = place
            if skip("<") {
                while let byte = peek, Scanner.isLetter(byte) || Scanner.isDigit(byte) || byte == 0x2b || byte == 0x2d {
                    place += 1
                }
                return place - start >= 4 && skip(">")
            }
            while let byte = peek, Scanner.isLetter(byte) { place += 1 }
            return place - start >= 3
        }

        /// `[+|-]hh[:mm[:ss]]` in seconds.
        mutating func hours(limit: Int64) -> Int64? {
            var sign: Int64 = 1
            if skip("-") { sign = -1 } else { _ = skip("+") }
            guard let hours = number(), hours <= limit else { return nil }
            var seconds = hours * 3_600
            for unit: Int64 in [60, 1] where peek == UInt8(ascii: ":") {
                place += 1
                guard let part = number(), part < 60 else { return nil }
                seconds += part * unit
            }
            return sign * seconds
        }

        /// `,date[/time]`
        mutating func change() -> (day: Day, time: Int64)? {
            guard skip(","), let day = day() else { return nil }
            guard skip("/") else { return (day, 7_200) }
            return hours(limit: 167).map { (day, $0) }
        }

        private mutating func day() -> Day? {
            if skip("J") {
                guard let day = number(), (1...365).contains(day) else { return nil }
                return .julian(day)
            }
            guard skip("M") else {
                guard let day = number(), day <= 365 else { return nil }
                return .ordinal(day)
            }
            guard let month = number(), (1...12).contains(month), skip("."), let week = number(),
                (1...5).contains(week), skip("."), let day = number(), day <= 6
            else { return nil }
            return .weekday(month: month, week: week, day: day)
        }

        private mutating func number() -> Int64? {
            var value: Int64 = 0
            let start = place
            while let byte = peek, Scanner.isDigit(byte), place - start < 4 {
                value = value * 10 + Int64(byte - UInt8(ascii: "0"))
                place += 1
            }
            return place > start ? value : nil
        }

        private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
        private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7a).contains(byte | 0x20) }
    }
}
