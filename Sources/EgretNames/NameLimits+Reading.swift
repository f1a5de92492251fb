// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy

extension NameLimits {
    /// Reads limits as people write them, one in each text: `questions=500/s`, `new-names=60/min`, `new-bytes=4KiB/min`.
    ///
    /// What is not set stays as it is by default; but a rate that is set has a burst in proportion, and one rule may hold no
    /// more names, and no more addresses, than its endpoint.
    ///
    /// - Parameter texts: The limits, in any order, each at most once.
    /// - Returns: The limits, and a sentence for each mistake; with mistakes, the limits are of no use.
    public static func reading(_ texts: [String]) -> (limits: NameLimits, mistakes: [String]) {
        var values: [Setting: Int] = [:]
        var mistakes: [String] = []
        for text in texts {
            do throws(Mistake) {
                let (setting, value) = try Setting.read(text)
                if values[setting] != nil { mistakes.append("\(setting.rawValue) is set twice") }
                values[setting] = value
            } catch {
                mistakes.append(error.text)
            }
        }
        var limits = NameLimits()
        limits.set(values)
        if limits.namesPerRule > limits.names {
            mistakes.append("names-per-rule=\(limits.namesPerRule) is more than names=\(limits.names)")
        }
        if limits.addressesPerRule > limits.addresses {
            mistakes.append("addresses-per-rule=\(limits.addressesPerRule) is more than addresses=\(limits.addresses)")
        }
        return (limits, mistakes)
    }

    private mutating func set(_ values: [Setting: Int]) {
        nameLength = values[.nameLength] ?? nameLength
        labelCount = values[.labels] ?? labelCount
        if let rate = values[.questions] { (questionsPerSecond, questionBurst) = (rate, rate * 2) }
        questionBurst = values[.questionsBurst] ?? questionBurst
        if let rate = values[.newNames] { (newNamesPerMinute, newNameBurst) = (rate, rate * 4) }
        newNameBurst = values[.newNamesBurst] ?? newNameBurst
        if let rate = values[.newBytes] { (newNameBytesPerMinute, newNameByteBurst) = (rate, rate * 8) }
        newNameByteBurst = values[.newBytesBurst] ?? newNameByteBurst
        names = values[.names] ?? names
        namesPerRule = values[.namesPerRule] ?? min(namesPerRule, names)
        addresses = values[.addresses] ?? addresses
        addressesPerRule = values[.addressesPerRule] ?? min(addressesPerRule, addresses)
    }

    /// What is wrong with a text.
    private struct Mistake: Error {
        var text: String
    }

    /// A limit that may be set, by the word for it.
    private enum Setting: String, CaseIterable {
        case nameLength = "name-length"
        case labels
        case questions
        case questionsBurst = "questions-burst"
        case newNames = "new-names"
        case newNamesBurst = "new-names-burst"
        case newBytes = "new-bytes"
        case newBytesBurst = "new-bytes-burst"
        case names
        case namesPerRule = "names-per-rule"
        case addresses
        case addressesPerRule = "addresses-per-rule"

        /// What it may be.
        var range: ClosedRange<Int> {
            switch self {
            // RFC 1035, section 2.3.4.
            case .nameLength: 1...255
            case .labels: 1...127
            // No more reach the proxy from one address of an agent's endpoint.
            case .questions: 1...2_000
            case .questionsBurst: 1...4_000
            case .newNames, .newNamesBurst: 1...1_000_000
            case .newBytes, .newBytesBurst: 1...(1 << 30)
            // A rule's set of a run has as many elements of each family.
            case .names, .namesPerRule, .addresses, .addressesPerRule: 1...65_536
            }
        }

        /// How it may be written.
        var example: String {
            switch self {
            case .nameLength: "name-length=100"
            case .labels: "labels=8"
            case .questions: "questions=500/s"
            case .questionsBurst: "questions-burst=1000"
            case .newNames: "new-names=60/min"
            case .newNamesBurst: "new-names-burst=500"
            case .newBytes: "new-bytes=4KiB/min"
            case .newBytesBurst: "new-bytes-burst=16KiB"
            case .names: "names=1000"
            case .namesPerRule: "names-per-rule=500"
            case .addresses: "addresses=2000"
            case .addressesPerRule: "addresses-per-rule=1000"
            }
        }

        /// Reads a limit and its value.
        static func read(_ text: String) throws(Mistake) -> (Setting, Int) {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let word = parts.first.map(String.init) ?? ""
            guard let setting = Setting(rawValue: word) else {
                let words = allCases.map(\.rawValue)
                let advice =
                    Spelling.nearest(to: word, among: words).map { "did you mean \($0)?" }
                    ?? "there are \(words.joined(separator: ", "))"
                throw Mistake(text: "\(text): there is no such limit of names; \(advice)")
            }
            guard parts.count == 2, let value = setting.value(of: parts[1]) else {
                throw Mistake(text: "\(text): write for example \(setting.example)")
            }
            let range = setting.range
            guard range.contains(value) else {
                throw Mistake(text: "\(text): it may be from \(range.lowerBound) to \(range.upperBound)")
            }
            return (setting, value)
        }

        /// Its value; `nil` if it is written in another way.
        private func value(of text: Substring) -> Int? {
            switch self {
            case .questions: EventRate(text).flatMap { $0.unit == .second ? Int($0.count) : nil }
            case .newNames: EventRate(text).flatMap { $0.unit == .minute ? Int($0.count) : nil }
            case .newBytes: text.hasSuffix("/min") ? Setting.bytes(text.dropLast(4)) : nil
            case .newBytesBurst: Setting.bytes(text)
            case .nameLength, .labels, .questionsBurst, .newNamesBurst, .names, .namesPerRule, .addresses,
                .addressesPerRule:
                text.allSatisfy { $0.isASCII && $0.isNumber } ? Int(text) : nil
            }
        }

        private static func bytes(_ text: Substring) -> Int? {
            ByteCount(text).map { Int(clamping: $0.bytes) }
        }
    }
}
