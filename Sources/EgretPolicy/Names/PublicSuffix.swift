// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Names below which anybody can have a name: `com`, `co.uk`, `github.io` (https://publicsuffix.org/list/).
///
/// The list is part of the program, so that a policy means the same on every host. It is as old as the program.
public enum PublicSuffix {
    /// Whether anybody can have a name below this one.
    ///
    /// A name at the top that the list does not know is one.
    ///
    /// - Complexity: Three binary searches in the list; nothing is read beforehand.
    public static func contains(_ name: DomainName) -> Bool {
        if contains(word: "!" + name.text) { return false }
        guard let dot = name.text.firstIndex(of: ".") else { return true }
        return contains(word: name.text) || contains(word: "*" + name.text[dot...])
    }

    /// Whether every name right below this one is a public suffix: the list has `*.elb.amazonaws.com`.
    ///
    /// - Complexity: As for ``contains(_:)``.
    public static func isAbove(_ name: DomainName) -> Bool { contains(word: "*." + name.text) }

    private static func contains(word: String) -> Bool {
        let wanted = Array(word.utf8)
        return PublicSuffixList.words.withUTF8Buffer { list in
            var low = 0
            var high = list.count
            while low < high {
                // The word in the middle: from behind the last separator to before the next.
                var start = (low + high) / 2
                while start > low, unsafe !isSeparator(list[start - 1]) { start -= 1 }
                var end = start
                while end < high, unsafe !isSeparator(list[end]) { end += 1 }
                let middle = unsafe list[start..<end]
                if unsafe middle.elementsEqual(wanted) { return true }
                if unsafe middle.lexicographicallyPrecedes(wanted) { low = end + 1 } else { high = start }
            }
            return false
        }
    }

    private static func isSeparator(_ byte: UInt8) -> Bool { byte <= 0x20 }
}
