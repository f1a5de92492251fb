// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension String {
    /// The text with every control character made visible, as `\u{1b}`.
    ///
    /// Nothing that a file or a workload chose can then move the cursor, change colours, reorder text or forge lines.
    public var withVisibleControls: String {
        guard unicodeScalars.contains(where: \.isControl) else { return self }
        return unicodeScalars.reduce(into: "") { result, scalar in
            if scalar.isControl {
                result += "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
    }
}

extension Unicode.Scalar {
    /// Controls, line and paragraph separators, and the invisible marks that reorder or join text.
    var isControl: Bool {
        if isASCII { return value < 0x20 || value == 0x7f }
        return switch properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }
}
