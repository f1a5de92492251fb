// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The grammar of labels and of names of ports (Kubernetes: labels and selectors; RFC 6335 section 5.1).
public enum LabelSyntax {
    /// Whether the text can be a label's key: a name, with or without a DNS name and a slash before it.
    public static func isKey(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let name = parts.last, parts.count <= 2, !name.isEmpty, isName(name) else { return false }
        guard parts.count == 2 else { return true }
        return isObjectName(String(parts[0]))
    }

    /// Whether the text can be the name of a workload or of a namespace: an RFC 1123 subdomain.
    public static func isObjectName(_ text: String) -> Bool {
        ObjectName.problem(withPolicyName: text) == nil
    }

    /// Whether the text can be a label's value: empty, or a name.
    public static func isValue(_ text: String) -> Bool {
        text.isEmpty || isName(Substring(text))
    }

    /// Whether the text can be the name of a port: at most 15 lower-case letters, digits and single hyphens, with a
    /// letter among them and no hyphen at either end.
    public static func isPortName(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        let isHyphen = { (byte: UInt8) in byte == UInt8(ascii: "-") }
        guard (1...15).contains(bytes.count), let first = bytes.first, let last = bytes.last, !isHyphen(first),
            !isHyphen(last), bytes.contains(where: isLowerCase),
            bytes.allSatisfy({ isLowerCase($0) || isDigit($0) || isHyphen($0) })
        else { return false }
        return zip(bytes, bytes.dropFirst()).allSatisfy { !isHyphen($0) || !isHyphen($1) }
    }

    /// At most `limit` letters, digits, hyphens, underscores and dots, with a letter or digit at each end.
    static func isName(_ text: Substring, limit: Int = 63) -> Bool {
        let bytes = Array(text.utf8)
        guard bytes.count <= limit, let first = bytes.first, let last = bytes.last, isAlphanumeric(first),
            isAlphanumeric(last)
        else { return false }
        return bytes.allSatisfy { isAlphanumeric($0) || "-_.".utf8.contains($0) }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        isLowerCase(byte) || isDigit(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
    }

    private static func isLowerCase(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
}
