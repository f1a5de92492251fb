// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A word, and how many characters (Unicode scalars) stand before it in its line.
struct AssertionWord {
    var text: String
    var offset: Int

    /// The words of a line.
    static func words(of line: String) -> [AssertionWord] {
        pieces(of: line, from: 0) { $0.properties.isWhitespace }.filter { !$0.text.isEmpty }
    }

    /// The parts between separators.
    func split(at separator: Unicode.Scalar) -> [AssertionWord] {
        AssertionWord.pieces(of: text, from: offset) { $0 == separator }
    }

    /// The word without its first characters.
    func dropping(_ count: Int) -> AssertionWord {
        AssertionWord(text: String(text.unicodeScalars.dropFirst(count)), offset: offset + count)
    }

    private static func pieces(
        of text: String, from start: Int, isSeparator: (Unicode.Scalar) -> Bool
    ) -> [AssertionWord] {
        var pieces: [AssertionWord] = []
        var piece = String.UnicodeScalarView()
        var first = start
        for (index, scalar) in text.unicodeScalars.enumerated() {
            if isSeparator(scalar) {
                pieces.append(AssertionWord(text: String(piece), offset: first))
                piece = String.UnicodeScalarView()
                first = start + index + 1
            } else {
                piece.append(scalar)
            }
        }
        return pieces + [AssertionWord(text: String(piece), offset: first)]
    }
}

/// The words that are left to be read.
struct AssertionWords {
    /// The assertion, with single spaces.
    let text: String
    /// How many characters the line has.
    let end: Int
    private var words: ArraySlice<AssertionWord>

    init(_ line: String) {
        let all = AssertionWord.words(of: line)
        text = all.map(\.text).joined(separator: " ")
        end = all.last.map { $0.offset + $0.text.unicodeScalars.count } ?? 0
        words = all[...]
    }

    var first: AssertionWord? { words.first }

    @discardableResult
    mutating func removeFirst() -> AssertionWord { words.removeFirst() }

    /// The next word, which is no keyword.
    mutating func next(_ expected: String) throws(AssertionProblem) -> AssertionWord {
        guard let word = words.first else {
            throw AssertionProblem(end, "the assertion ends too early", "say \(expected)")
        }
        if AssertionReader.keywords.contains(word.text) {
            throw AssertionProblem(word.offset, "\"\(word.text)\" stands where an end should", "say \(expected)")
        }
        return words.removeFirst()
    }

    mutating func expect(_ keyword: String, or other: String) throws(AssertionProblem) {
        guard let word = words.first else {
            throw AssertionProblem(end, "the assertion ends too early", "go on with \"\(keyword)\"")
        }
        guard word.text == keyword else {
            throw AssertionProblem(
                word.offset, "\"\(word.text)\" stands where \"\(keyword)\" should",
                AssertionProblem.question(word.text, among: [keyword, other]) ?? AssertionReader.example
            )
        }
        words.removeFirst()
    }
}
