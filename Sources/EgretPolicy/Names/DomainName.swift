// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A domain name in the one form in which Egret compares names: letters in lower case, digits, hyphens and underscores,
/// labels in the DNS's own alphabet (A-labels), without a dot at the end.
///
/// The one canonicaliser: what a policy says, what a client asks the DNS, and what it says on a connection all come through
/// here, so that no spelling is one name to one reader and another to the next.
public struct DomainName: Hashable, Sendable, CustomStringConvertible {
    /// The most bytes of a name in this form: 255 on the wire (RFC 1035, section 3.1).
    public static let maximumLength = 253

    /// The name.
    public let text: String

    /// Takes a text that is known to be in the form.
    init(unchecked text: String) {
        self.text = text
    }

    /// The name.
    public var description: String { text }

    /// The labels, from the name's own to the top.
    public var labels: [Substring] { text.split(separator: ".") }

    /// Reads a name as a person writes it: letters of any script and in any case, with or without a dot at the end.
    ///
    /// - Throws: ``DomainProblem`` if it is no name, an address in whatever spelling among them.
    public static func parse(_ text: some StringProtocol) throws(DomainProblem) -> DomainName {
        let shown = quoted(text)
        guard !text.isEmpty else { throw DomainProblem("an empty text is no name") }
        guard text.utf8.count <= 1_024 else { throw DomainProblem("\(shown) is too long for a name") }
        var rest = String(text)
        if rest.last == "." { rest.removeLast() }
        guard !rest.isEmpty else { throw DomainProblem("\(shown) is the root of all names, which no rule can name") }
        if let problem = addressProblem(rest, shown) { throw problem }
        var labels: [String] = []
        for label in rest.split(separator: ".", omittingEmptySubsequences: false) {
            labels.append(try asciiLabel(label, of: shown))
        }
        let name = labels.joined(separator: ".")
        guard name.utf8.count <= maximumLength else {
            throw DomainProblem("\(shown) is longer than \(maximumLength) bytes, the most that a name can have")
        }
        // Resolvers read a name that ends in a number as an address (WHATWG URL, "ends in a number").
        if let last = labels.last, last.utf8.allSatisfy(isDigit) || isHexadecimal(last) {
            throw DomainProblem("\(shown) ends in a number, as an address does", suggestion: "use cidr for an address")
        }
        return DomainName(unchecked: name)
    }

    /// Reads a name as it stands in a message: ASCII in any case, the dot at the end optional. No A-labels are made.
    ///
    /// - Returns: `nil` if it is no name that a rule could cover.
    public init?(ascii text: some StringProtocol) {
        var bytes = Array(text.utf8)
        if bytes.last == UInt8(ascii: ".") { bytes.removeLast() }
        self.init(labels: bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false))
    }

    /// Makes a name of labels as the DNS carries them.
    ///
    /// - Returns: `nil` if a label holds anything but letters, digits, hyphens and underscores: no rule could cover it.
    public init?(labels: some Sequence<some Collection<UInt8>>) {
        var bytes: [UInt8] = []
        for label in labels {
            guard (1...63).contains(label.count) else { return nil }
            if !bytes.isEmpty { bytes.append(UInt8(ascii: ".")) }
            for byte in label {
                switch byte {
                case UInt8(ascii: "A")...UInt8(ascii: "Z"): bytes.append(byte | 0x20)
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                    UInt8(ascii: "-"), UInt8(ascii: "_"):
                    bytes.append(byte)
                default: return nil
                }
            }
        }
        guard (1...DomainName.maximumLength).contains(bytes.count) else { return nil }
        text = String(decoding: bytes, as: UTF8.self)
    }

    /// A label in the DNS's alphabet.
    private static func asciiLabel(_ label: Substring, of shown: String) throws(DomainProblem) -> String {
        guard !label.isEmpty else { throw DomainProblem("\(shown) has an empty label: two dots, or a dot in front") }
        let ascii =
            try label.utf8.allSatisfy { $0 < 0x80 } ? label.lowercased() : InternationalLabel.ascii(label, shown)
        guard ascii.utf8.count <= 63 else {
            throw DomainProblem("\(shown) has a label of more than 63 bytes, the most that a label can have")
        }
        for scalar in ascii.unicodeScalars {
            switch scalar {
            case "a"..."z", "0"..."9", "-", "_": continue
            case "*":
                throw DomainProblem(
                    "\(shown) has a * elsewhere than as its whole first label",
                    suggestion: "*.example.com covers every name below example.com")
            case "/", ":", "@":
                throw DomainProblem("\(shown) is not a name alone", suggestion: "leave out scheme, user, port and path")
            case "?", "[", "]", "(", ")", "^", "$", "+", "|", "\\":
                throw DomainProblem(
                    "\(shown) is a pattern of another kind", suggestion: "write a name, or *. and a name")
            default:
                throw DomainProblem("\(shown) holds \(quoted(String(scalar).withVisibleControls)), which no name can")
            }
        }
        if ascii.hasPrefix("-") || ascii.hasSuffix("-") {
            throw DomainProblem("\(shown) has a label that begins or ends with a hyphen")
        }
        if ascii.hasPrefix("xn--") { try InternationalLabel.check(ascii, shown) }
        return ascii
    }

    /// What to say about an address, in any spelling that some program takes for one.
    private static func addressProblem(_ text: String, _ shown: String) -> DomainProblem? {
        let isAddress =
            text.contains(":")
            && text.utf8.allSatisfy { isHexDigit($0) || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ".") }
            || text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { part in
                !part.isEmpty && (part.utf8.allSatisfy(isDigit) || isHexadecimal(part))
            }
        guard isAddress else { return nil }
        return DomainProblem("\(shown) is an address, not a name", suggestion: "use cidr for an address")
    }

    private static func isHexadecimal(_ text: some StringProtocol) -> Bool {
        text.lowercased().hasPrefix("0x") && text.dropFirst(2).utf8.allSatisfy(isHexDigit)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    private static func isHexDigit(_ byte: UInt8) -> Bool { isDigit(byte) || (byte | 0x20) &- 0x61 < 6 }
}
