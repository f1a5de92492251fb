// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux

/// Standard output and standard error, unbuffered, with write errors passed over: there is nobody left to tell.
enum Console {
    static func output(_ text: String) {
        try? Descriptor.standardOutput.write(text)
    }

    static func error(_ lines: [String]) {
        if lines.isEmpty { return }
        try? Descriptor.standardError.write(lines.map { $0 + "\n" }.joined())
    }

    /// Colour for standard output, if a person reads it (`NO_COLOR` is heeded).
    static var outputStyle: Style { style(of: .standardOutput) }

    /// Colour for standard error, likewise.
    static var errorStyle: Style { style(of: .standardError) }

    private static func style(of descriptor: Descriptor) -> Style {
        let environment = Environment.current
        let wantsColour = environment["NO_COLOR"]?.isEmpty != false && environment["TERM"] != "dumb"
        return Style(isColoured: wantsColour && Terminal.isTerminal(descriptor))
    }
}
