// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Why bytes are no JSON, or say something else than what has to be there.
struct JSONFault: Error, Hashable {
    /// The place in the bytes.
    var position: Int
    /// What is wrong there.
    var words: String

    /// What is wrong and where, for people with an editor; a column is a byte of its line, as editors of plain text count.
    ///
    /// - Parameter bytes: All that were read.
    /// - Returns: The text.
    func text(in bytes: [UInt8]) -> String {
        let before = bytes.prefix(position)
        let line = before.count { $0 == UInt8(ascii: "\n") } + 1
        let start = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        return "line \(line), column \(before.count - start + 1): \(words)"
    }
}
