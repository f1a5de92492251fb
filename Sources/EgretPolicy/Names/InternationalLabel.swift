// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Labels in scripts other than ASCII (IDNA 2008, RFC 5891 and RFC 5892), as far as Unicode's properties in the standard
/// library tell; stricter than that where they do not.
enum InternationalLabel {
    /// Letters that case folding would change and that names may hold all the same (RFC 5892, section 2.6).
    private static let exceptions: [Unicode.Scalar] = ["\u{df}", "\u{3c2}"]

    /// The label as the DNS carries it: `xn--` and Punycode.
    static func ascii(_ label: Substring, _ shown: String) throws(DomainProblem) -> String {
        let scalars = Array(label.lowercased().unicodeScalars)
        if let problem = problem(scalars, shown) { throw problem }
        guard let encoded = Punycode.encode(scalars) else {
            throw DomainProblem("\(shown) has a label that is too long")
        }
        return "xn--" + encoded
    }

    /// Checks that an `xn--` label stands for a label that may be written, and is its only spelling.
    static func check(_ label: String, _ shown: String) throws(DomainProblem) {
        let notPunycode = DomainProblem("\(shown) has a label that begins with xn-- and is not Punycode")
        guard let scalars = Punycode.decode(label.dropFirst(4)), scalars.contains(where: { !$0.isASCII }) else {
            throw notPunycode
        }
        if let problem = problem(scalars, shown) { throw problem }
        guard Punycode.encode(scalars) == String(label.dropFirst(4)) else { throw notPunycode }
    }

    private static func problem(_ scalars: [Unicode.Scalar], _ shown: String) -> DomainProblem? {
        for scalar in scalars where !isAllowed(scalar) {
            return DomainProblem("\(shown) holds \(quoted(String(scalar).withVisibleControls)), which no name can")
        }
        guard let first = scalars.first, let last = scalars.last else {
            return DomainProblem("\(shown) has an empty label")
        }
        if isMark(first) { return DomainProblem("\(shown) has a label that begins with a combining mark") }
        if first == "-" || last == "-" {
            return DomainProblem("\(shown) has a label that begins or ends with a hyphen")
        }
        if scalars.count >= 4, scalars[2] == "-", scalars[3] == "-" {
            return DomainProblem("\(shown) has hyphens at the third and fourth place of a label")
        }
        for (base, mark) in zip(scalars, scalars.dropFirst()) where isMark(mark) && isComposable(base, mark) {
            return DomainProblem(
                "\(shown) has a letter and a mark for which there is one letter", suggestion: "write the one letter")
        }
        let rightToLeft = scalars.contains(where: isRightToLeft)
        if rightToLeft, scalars.contains(where: { $0.properties.isAlphabetic && !isRightToLeft($0) && !isMark($0) }) {
            return DomainProblem("\(shown) has a label with letters of both writing directions")
        }
        return nil
    }

    /// Letters, marks and digits that stay as they are under case folding and compatibility mapping.
    private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII {
            switch scalar {
            case "a"..."z", "0"..."9", "-", "_": return true
            default: return false
            }
        }
        if exceptions.contains(scalar) { return true }
        let properties = scalar.properties
        switch properties.generalCategory {
        case .lowercaseLetter, .otherLetter, .modifierLetter, .nonspacingMark, .spacingMark, .decimalNumber: break
        default: return false
        }
        if properties.changesWhenNFKCCaseFolded || properties.isDefaultIgnorableCodePoint { return false }
        // Old Hangul, which composes.
        return !(0x1100...0x11ff).contains(scalar.value) && !(0xa960...0xa97f).contains(scalar.value)
            && !(0xd7b0...0xd7ff).contains(scalar.value)
    }

    private static func isMark(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark: true
        default: false
        }
    }

    /// Whether one character stands for the two: they are then not in normal form C.
    private static func isComposable(_ base: Unicode.Scalar, _ mark: Unicode.Scalar) -> Bool {
        var pair = String(base)
        pair.unicodeScalars.append(mark)
        return (0xc0...0x30ff as ClosedRange<UInt32>).contains { value in
            Unicode.Scalar(value).map { $0 != base && String($0) == pair } ?? false
        }
    }

    private static func isRightToLeft(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x590...0x8ff, 0xfb1d...0xfdff, 0xfe70...0xfeff, 0x10800...0x10fff, 0x1e800...0x1efff: true
        default: false
        }
    }
}
