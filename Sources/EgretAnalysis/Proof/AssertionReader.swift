// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
public import EgretPolicy

/// Reads assertions, and says of each mistake where it is and what was probably meant.
public struct AssertionReader {
    /// The words of the language, in the order in which they stand.
    static let keywords = ["no", "only", "every", "never", "reaches", "on", "at"]

    private let catalog: PolicyCatalog
    private let inventory: Inventory

    /// Creates a reader.
    ///
    /// - Parameters:
    ///   - catalog: Where groups are looked up.
    ///   - inventory: Where selectors are looked up: one that chooses nobody is a mistake, as what is said of nobody is
    ///     always true.
    public init(_ catalog: PolicyCatalog, inventory: Inventory) {
        self.catalog = catalog
        self.inventory = inventory
    }

    /// Reads one assertion.
    ///
    /// - Parameters:
    ///   - text: The assertion, on one line.
    ///   - location: Where the line begins.
    /// - Returns: The assertion, or what is wrong.
    public func read(_ text: String, at location: SourceLocation) -> (assertion: Assertion?, diagnostic: Diagnostic?) {
        do throws(AssertionProblem) {
            return (try parse(text, location), nil)
        } catch {
            var place = location
            place.column += error.offset
            return (
                nil,
                Diagnostic(
                    .error, code: DiagnosticCode.assertion, at: place, error.message, suggestion: error.suggestion)
            )
        }
    }

    /// Reads a file of assertions: one a line; what follows a `#` that begins a word is passed over, as are empty lines.
    public func read(file name: String, text: String) -> (assertions: [Assertion], diagnostics: [Diagnostic]) {
        var assertions: [Assertion] = []
        var diagnostics: [Diagnostic] = []
        let lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }
        for (index, line) in lines.enumerated() {
            var content = String(line)
            if let comment = AssertionWord.words(of: content).first(where: { $0.text.hasPrefix("#") }) {
                content = String(content.unicodeScalars.prefix(comment.offset))
            }
            if content.allSatisfy(\.isWhitespace) { continue }
            let (assertion, diagnostic) = read(content, at: SourceLocation(file: name, line: index + 1, column: 1))
            if let assertion { assertions.append(assertion) }
            if let diagnostic { diagnostics.append(diagnostic) }
        }
        return (assertions, diagnostics)
    }

    // MARK: - Grammar

    /// What may stand before `reaches`.
    private static let adverbs: [String: Assertion.Claim] = ["never": .none, "only": .nothingElse]

    private func parse(_ text: String, _ location: SourceLocation) throws(AssertionProblem) -> Assertion {
        var words = AssertionWords(text)
        guard let first = words.first else {
            throw AssertionProblem(0, "the assertion is empty", AssertionReader.example)
        }
        var claim = Assertion.Claim.some
        switch first.text {
        case "no": claim = .none
        case "only": claim = .only
        case "every": claim = .every
        default: break
        }
        if claim != .some { words.removeFirst() }
        let reader = PartyReader(catalog: catalog, inventory: inventory)
        let source = try reader.party(try words.next("who begins, for example app=build or any"))
        if let adverb = words.first, let meant = AssertionReader.adverbs[adverb.text] {
            words.removeFirst()
            guard claim == .some else {
                throw AssertionProblem(
                    adverb.offset, "\"\(adverb.text)\" does not go with \"\(first.text)\"", "leave one of the two out")
            }
            claim = meant
        }
        try words.expect("reaches", or: "never")
        let place = words.first?.offset ?? words.end
        let target = try reader.party(try words.next("who is reached, for example app=db, outside or group:internet"))
        if !source.isWorkloads && !target.isWorkloads {
            throw AssertionProblem(
                place, "neither end is a workload, and no policy speaks of such traffic",
                "name workloads at one end, for example any")
        }
        if case .builtIn(.host) = source {
            throw AssertionProblem(
                first.offset, "connections of the host to its own workloads always pass", "name addresses or workloads")
        }
        let services = try services(&words)
        let time = try time(&words)
        if let extra = words.first { throw unexpected(extra) }
        return Assertion(
            text: words.text, location: location, claim: claim, source: source, target: target, services: services,
            time: time)
    }

    private func time(_ words: inout AssertionWords) throws(AssertionProblem) -> Int64? {
        guard words.first?.text == "at" else { return nil }
        let word = words.removeFirst()
        guard let moment = words.first else {
            throw AssertionProblem(word.offset, "no time follows \"at\"", Moment.example)
        }
        guard let time = Moment.unixTime(moment.text) else {
            let isLocal = Moment.unixTime(moment.text + "Z") != nil
            throw AssertionProblem(
                moment.offset, "\"\(moment.text)\" is not a time\(isLocal ? ": the zone is missing" : "")",
                isLocal ? "write \(moment.text)Z, or another offset from UTC such as +01:00" : Moment.example)
        }
        words.removeFirst()
        return time
    }

    private func services(_ words: inout AssertionWords) throws(AssertionProblem) -> [Service] {
        guard words.first?.text == "on" else { return [] }
        let word = words.removeFirst()
        var services: [Service] = []
        while let next = words.first, next.text != "at" {
            words.removeFirst()
            for part in next.split(at: ",") where !part.text.isEmpty {
                let (service, problem) = Service.read(part.text, at: SourceLocation(file: "", line: 1, column: 1))
                if let problem { throw AssertionProblem(part.offset, problem.message, problem.suggestion) }
                if let service { services.append(service) }
            }
        }
        if services.isEmpty {
            throw AssertionProblem(word.offset, "no ports follow \"on\"", "write for example on 443/tcp,53/udp")
        }
        return services
    }

    private func unexpected(_ word: AssertionWord) -> AssertionProblem {
        let isPort = Service.read(word.text, at: SourceLocation(file: "", line: 1, column: 1)).service != nil
        return AssertionProblem(
            word.offset, "\"\(word.text)\" is not expected here",
            isPort ? "write on \(word.text)" : AssertionProblem.question(word.text, among: ["on", "at"]) ?? "end here"
        )
    }

    static let example = "write for example: no app=build reaches group:metadata"
}

/// What is wrong with an assertion, and how many characters stand before it.
struct AssertionProblem: Error {
    var offset: Int
    var message: String
    var suggestion: String?

    init(_ offset: Int, _ message: String, _ suggestion: String?) {
        self.offset = offset
        self.message = message
        self.suggestion = suggestion
    }

    /// `did you mean "reaches"?`, if a candidate is near.
    static func question(_ text: some StringProtocol, among candidates: some Sequence<String>) -> String? {
        Spelling.nearest(to: text, among: candidates).map { "did you mean \"\($0)\"?" }
    }
}
