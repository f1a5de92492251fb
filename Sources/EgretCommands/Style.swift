// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Colour for a terminal, nothing for anything else (ECMA-48 SGR; <https://no-color.org>).
struct Style: Sendable {
    private let isColoured: Bool

    init(isColoured: Bool) {
        self.isColoured = isColoured
    }

    func bold(_ text: String) -> String { wrap(text, "1") }
    func dim(_ text: String) -> String { wrap(text, "2") }
    func red(_ text: String) -> String { wrap(text, "31") }
    func green(_ text: String) -> String { wrap(text, "32") }
    func yellow(_ text: String) -> String { wrap(text, "33") }

    private func wrap(_ text: String, _ code: String) -> String {
        isColoured ? "\u{1b}[\(code)m\(text)\u{1b}[0m" : text
    }
}

/// Bytes as people read them, in powers of 1000: `0 B`, `1.5 kB`, `20 MB`.
func formatted(bytes: UInt64) -> String {
    var value = Double(bytes)
    for unit in ["B", "kB", "MB", "GB", "TB"] {
        if value < 999.5 || unit == "TB" {
            if unit == "B" { return "\(bytes) B" }
            let tenths = (value * 10).rounded() / 10
            return tenths < 10 ? "\(tenths) \(unit)" : "\(Int(value.rounded())) \(unit)"
        }
        value /= 1000
    }
    return "\(bytes) B"
}
