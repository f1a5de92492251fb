// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretDNSWire
public import EgretPolicy

/// What one endpoint may ask, and what it now holds because it has asked: pure state, without clock or sockets.
///
/// Times are milliseconds of one clock, never going back.
public struct NameTable: Sendable {
    /// How a question that no rule allows is answered.
    public enum Denial: Hashable, Sendable {
        /// REFUSED: says what happened. Some resolvers then ask no further names of their search list.
        case refused
        /// NXDOMAIN: as if there were no such name.
        case nameError
    }

    /// What becomes of a question.
    public enum Judgment: Sendable {
        /// It may be passed on.
        case forward(Permission)
        /// It is answered at once.
        case answer(DNSResponseCode, NameEvent)
    }

    /// Under which rules a question is passed on.
    public struct Permission: Sendable {
        /// The question.
        public let question: DNSQuestion
        /// The rules, by their place in the table.
        let rules: [Int]
        /// Whether no rule is about the name, and the server may be asked for it all the same.
        var isUnnamed = false
    }

    /// The types that may be asked of every allowed name.
    public static let usualTypes: Swift.Set<DNSRecordType> = [.a, .aaaa, .cname, .https, .svcb]

    let rules: [NameRule]
    let limits: NameLimits
    private let denial: Denial
    private let matcher: DomainMatcher<Int>
    /// The names whose addresses are noted also where no rule is about them.
    var counted: CountedNames
    private var questions: TokenBucket
    private var newNames: TokenBucket
    /// In bits: what a question for a known name says is not many of them.
    private var nameBits: TokenBucket
    private var seenBelowWildcards: Swift.Set<DomainName> = []
    var holdings: NameHoldings

    /// Creates the table of an endpoint that holds nothing.
    ///
    /// - Parameters:
    ///   - rules: In the order in which they are asked.
    ///   - counted: The names whose addresses are noted also where no rule is about them.
    ///   - limits: How much it may ask and hold.
    ///   - denial: How refused questions are answered.
    ///   - now: The time in milliseconds.
    public init(
        rules: [NameRule], counting counted: [DomainPattern] = [], limits: NameLimits = NameLimits(),
        denial: Denial = .refused, now: UInt64
    ) {
        self.rules = rules
        self.limits = limits
        self.denial = denial
        var matcher = DomainMatcher<Int>()
        for (index, rule) in rules.enumerated() {
            for pattern in rule.patterns { matcher.insert(pattern, index) }
        }
        self.matcher = matcher
        self.counted = CountedNames(counted)
        questions = TokenBucket(
            capacity: limits.questionBurst, perSecond: Double(limits.questionsPerSecond), now: now)
        newNames = TokenBucket(
            capacity: limits.newNameBurst, perSecond: Double(limits.newNamesPerMinute) / 60, now: now)
        nameBits = TokenBucket(
            capacity: limits.newNameByteBurst * 8, perSecond: Double(limits.newNameBytesPerMinute) * 8 / 60, now: now)
        holdings = NameHoldings(ruleCount: rules.count)
    }

    /// Goes on with what is left of the same endpoint's budgets under other rules: a change of rules gives no more of them.
    mutating func keepBudgets(of old: NameTable) {
        guard old.limits == limits else { return }
        (questions, newNames, nameBits) = (old.questions, old.newNames, old.nameBits)
        seenBelowWildcards = old.seenBelowWildcards
    }

    /// Whether the endpoint may ask anything at all now, or has asked too much.
    mutating func mayAsk(now: UInt64) -> Bool { questions.has(now: now) }

    /// Counts a message that is no question, or says that there were too many.
    mutating func takeQuestion(now: UInt64) -> Bool { questions.take(now: now) }

    /// Judges a question before anything of it leaves the host.
    ///
    /// - Parameters:
    ///   - question: The question.
    ///   - isServerOpen: Whether the server that it was sent to may be asked for names that no rule is about.
    ///   - now: The time in milliseconds.
    /// - Returns: What becomes of it.
    public mutating func ask(_ question: DNSQuestion, isServerOpen: Bool = false, now: UInt64) -> Judgment {
        let name = question.name
        // First what costs least, so that a flood costs little.
        guard questions.take(now: now) else { return .answer(.refused, .limited(name, .questions)) }
        guard question.recordClass == DNSQuestion.internetClass else {
            return .answer(.refused, .denied(name, question.type))
        }
        let plain = DomainName(labels: name.labels)
        let matches = plain.map { matcher.matches($0).sorted { $0.value < $1.value } } ?? []
        if matches.isEmpty && isServerOpen && (plain != nil || firstDenial(of: [name]) == nil) {
            return .forward(Permission(question: question, rules: [], isUnnamed: true))
        }
        guard plain != nil else { return deny(question) }
        let allowing = allowingRules(matches)
        guard !allowing.isEmpty else { return deny(question) }
        if name.wire.count > limits.nameLength { return .answer(.refused, .limited(name, .nameLength)) }
        if name.labelCount > limits.labelCount { return .answer(.refused, .limited(name, .labelCount)) }
        let typed = allowing.filter { index in
            NameTable.usualTypes.contains(question.type) || rules[index].furtherTypes.contains(question.type)
        }
        guard !typed.isEmpty else {
            // NXDOMAIN would deny the name's other records too.
            return .answer(denial == .refused ? .refused : .noError, .typeDenied(name, question.type))
        }
        if matches.allSatisfy(\.pattern.isWildcard), let nearest = matches.first?.pattern.base,
            let plain, let limit = payForName(plain, below: nearest, now: now)
        {
            return .answer(.refused, .limited(name, limit))
        }
        return .forward(Permission(question: question, rules: typed))
    }

    /// The rules that allow what these patterns cover: those before the first that denies it.
    private func allowingRules(_ matches: [(value: Int, pattern: DomainPattern)]) -> [Int] {
        var allowing: [Int] = []
        for match in matches {
            if rules[match.value].effect == .deny { break }
            if allowing.last != match.value { allowing.append(match.value) }
        }
        return allowing
    }

    /// The rules that allow a name, by their place, in order.
    func allowingRules(of name: DNSName) -> [Int] {
        guard let plain = DomainName(labels: name.labels) else { return [] }
        return allowingRules(matcher.matches(plain).sorted { $0.value < $1.value })
    }

    /// Whether some rule allows a name.
    func allows(_ name: DNSName) -> Bool { !allowingRules(of: name).isEmpty }

    /// The first rule that denies one of some names, and the name.
    func firstDenial(of names: some Sequence<DNSName>) -> (rule: Int, name: DNSName)? {
        var first: (rule: Int, name: DNSName)?
        for name in names {
            guard let plain = name.comparedName else { continue }
            for match in matcher.matches(plain) where rules[match.value].effect == .deny {
                if match.value < first?.rule ?? .max { first = (match.value, name) }
            }
        }
        return first
    }

    private func deny(_ question: DNSQuestion) -> Judgment {
        .answer(denial == .refused ? .refused : .nameError, .denied(question.name, question.type))
    }

    /// Pays for what a question for a name below a wildcard can tell whoever runs the zone, or says what is spent.
    ///
    /// A new name tells its bytes. One that was asked before tells which one it is of those, and a byte: the type and the
    /// bits that go on.
    private mutating func payForName(_ name: DomainName, below base: DomainName, now: UInt64) -> NameEvent.Limit? {
        if seenBelowWildcards.contains(name) {
            let choice = Int.bitWidth - seenBelowWildcards.count.leadingZeroBitCount
            return nameBits.take(8 + choice, now: now) ? nil : .newNameBytes
        }
        guard newNames.take(now: now) else { return .newNames }
        guard nameBits.take((name.text.utf8.count - base.text.utf8.count) * 8, now: now) else { return .newNameBytes }
        // Forgetting some makes them cost again, no more.
        if seenBelowWildcards.count >= limits.names { seenBelowWildcards.removeAll(keepingCapacity: true) }
        seenBelowWildcards.insert(name)
        return nil
    }

    /// Whether a rule now reaches an address by a name: this endpoint has asked for the name, and the answer had it.
    public func holds(_ address: IPAddress, by name: DomainName, rule number: Int, now: UInt64) -> Bool {
        guard let rule = rules.firstIndex(where: { $0.number == number }),
            let name = try? DNSName(labels: name.labels.map(\.utf8))
        else { return false }
        return holdings.holds(address, by: name, rule: rule, now: now)
    }

    /// The numbers of the rules that now reach an address by a name, or by any, in their order.
    public func rules(holding address: IPAddress, by name: DomainName?, now: UInt64) -> [Int] {
        guard let name else {
            return rules.indices.filter { holdings.holds(address, rule: $0, now: now) }.map { rules[$0].number }
        }
        guard let name = try? DNSName(labels: name.labels.map(\.utf8)) else { return [] }
        return rules.indices.filter { holdings.holds(address, by: name, rule: $0, now: now) }.map { rules[$0].number }
    }

    /// The names by which some rule now reaches an address.
    public func names(holding address: IPAddress, now: UInt64) -> Swift.Set<DomainName> {
        Swift.Set(holdings.names(holding: address, now: now).compactMap { DomainName(labels: $0.labels) })
    }

    /// The numbers of the rules that now reach an address, each with one of the names by which it does.
    public func holders(of address: IPAddress, now: UInt64) -> [Int: DomainName] {
        holdings.holders(of: address, now: now).reduce(into: [:]) { found, holder in
            found[rules[holder.key].number] = DomainName(labels: holder.value.labels)
        }
    }

    /// Notes that the kernel has taken grants.
    public mutating func committed(_ grants: [NameGrant], now: UInt64) {
        for grant in grants {
            guard let rule = rules.firstIndex(where: { $0.number == grant.rule }) else { continue }
            holdings.committed(grant, rule: rule, now: now)
        }
    }

    /// Hears that holdings were noted where they outlive the process.
    public mutating func noted(_ notes: some Sequence<NameHolding>) {
        for note in notes {
            if note.isCounted {
                counted.noted(note)
            } else {
                holdings.noted(note, rules: allowingRules(of: note.name))
            }
        }
    }

    /// Hears that answers were withheld, as somebody could not take these notes.
    public mutating func withheld(_ notes: some Sequence<NameHolding>, now: UInt64) {
        for note in notes where note.isCounted { counted.withhold(note, now: now) }
    }

    /// Takes back what answers have given, as limits or budgets have no room for it: whoever wants it asks again.
    ///
    /// - Parameters:
    ///   - notes: What is taken back.
    ///   - now: The time in milliseconds.
    /// - Returns: What the kernel is not to have any more, by the rules' numbers: no other name of the rule has the address.
    public mutating func withdraw(
        _ notes: some Sequence<NameHolding>, now: UInt64
    ) -> [(rule: Int, address: IPAddress)] {
        var gone: [(rule: Int, address: IPAddress)] = []
        for note in notes {
            counted.withdraw(note, now: now)
            for rule in holdings.forget(note.address, of: note.name, now: now) {
                gone.append((rule: rules[rule].number, address: note.address))
            }
        }
        return gone
    }

    /// Those of some grants that the kernel is to have still: they may have been taken back.
    func outstanding(_ grants: [NameGrant], now: UInt64) -> [NameGrant] {
        grants.filter { grant in
            guard let rule = rules.firstIndex(where: { $0.number == grant.rule }) else { return false }
            return holdings.holds(grant.address, rule: rule, now: now)
        }
    }

    /// Forgets what the kernel holds, so that every answer is committed anew: after the sets were made again.
    public mutating func forgetCommits() { holdings.forgetCommits() }

    /// Forgets what has expired. To be called now and then.
    public mutating func expire(now: UInt64) {
        holdings.expire(now: now)
        counted.expire(now: now)
    }

    /// How many names and addresses are held, the latter counted once for each rule.
    public var held: (names: Int, addresses: Int) { (holdings.nameCount, holdings.addressCount) }
}
