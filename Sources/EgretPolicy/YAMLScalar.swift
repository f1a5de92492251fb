// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Writes texts as YAML.
public enum YAMLScalar {
    /// The text plain where every reader of YAML takes it for a text, in double quotes otherwise.
    public static func text(_ text: String) -> String {
        isPlain(text) ? text : doubleQuoted(text)
    }

    private static func isPlain(_ text: String) -> Bool {
        guard let first = text.unicodeScalars.first, isLetter(first) || text.contains("/") || text.contains("."),
            isLetter(first) || ("0"..."9").contains(first)
        else { return false }
        let words = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"]
        // A colon between digits can read as a number in base sixty, so IPv6 addresses are quoted.
        return !words.contains(text.lowercased()) && !isNumberLike(text)
            && text.unicodeScalars.allSatisfy {
                isLetter($0) || ("0"..."9").contains($0) || "-./".unicodeScalars.contains($0)
            }
    }

    private static func isNumberLike(_ text: String) -> Bool {
        !text.contains("/") && Double(text) != nil
    }

    private static func isLetter(_ scalar: Unicode.Scalar) -> Bool {
        ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar)
    }

    private static func doubleQuoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case _ where scalar.isControl:
                let digits = String(scalar.value, radix: 16)
                let width = scalar.value > 0xffff ? 8 : 4
                result += (width == 8 ? "\\U" : "\\u") + String(repeating: "0", count: width - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
