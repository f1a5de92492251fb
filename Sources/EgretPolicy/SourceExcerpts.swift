// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Cuts the parts of one file that diagnostics are about.
///
/// The file is walked once, however many places are asked for, as long as they are asked for in order; a place before
/// the last one costs a walk from the beginning of its line.
public struct SourceExcerpts {
    /// A part of a line, and where in it the place is.
    struct Excerpt: Equatable {
        var scalars: [Unicode.Scalar]
        /// How many of the scalars stand before the place.
        var offset: Int
    }

    /// The most characters before the place, and in all.
    private static let widths = (before: 70, whole: 110)

    private let bytes: [UInt8]
    /// Where each line begins.
    private let lineStarts: [Int]
    /// A place in the file: the line, the characters before it in its line, and the index of its byte.
    private var cursor = (line: 0, column: 0, index: 0)

    /// Prepares a file.
    ///
    /// - Parameter bytes: The whole file, as UTF-8; what is not is shown as U+FFFD.
    /// - Complexity: O(*n*) in the number of bytes.
    public init(_ bytes: [UInt8]) {
        self.bytes = bytes
        var starts = [0]
        for (index, byte) in bytes.enumerated() where byte == UInt8(ascii: "\n") { starts.append(index + 1) }
        lineStarts = starts
    }

    /// - Returns: The part of the line around the place; `nil` if the file has no such line.
    mutating func excerpt(at location: SourceLocation) -> Excerpt? {
        guard location.line > 0, location.line <= lineStarts.count else { return nil }
        let column = max(location.column - 1, 0)
        move(toLine: location.line, column: max(0, column - SourceExcerpts.widths.before))
        let before = column - cursor.column
        var end = cursor.index
        for _ in 0..<SourceExcerpts.widths.whole { end = indexAfterScalar(at: end) }
        let scalars = Array(String(decoding: bytes[cursor.index..<end], as: UTF8.self).unicodeScalars)
        return Excerpt(scalars: scalars, offset: min(before, scalars.count))
    }

    private mutating func move(toLine line: Int, column: Int) {
        if cursor.line != line || cursor.column > column { cursor = (line, 0, lineStarts[line - 1]) }
        while cursor.column < column {
            let next = indexAfterScalar(at: cursor.index)
            if next == cursor.index { return }
            cursor = (line, cursor.column + 1, next)
        }
    }

    /// The index after the character that begins here; the same index at the line's end.
    private func indexAfterScalar(at index: Int) -> Int {
        guard index < bytes.count, bytes[index] != UInt8(ascii: "\n") else { return index }
        var next = index + 1
        while next < bytes.count, bytes[next] & 0xc0 == 0x80 { next += 1 }
        return next
    }
}
