// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
public import EgretDNSWire
import EgretPolicy

extension NameTable {
    /// What becomes of a server's answer.
    public enum AnswerJudgment: Sendable {
        /// It goes to the client once its grants are committed.
        case pass(Passage)
        /// The client gets a code instead.
        case refuse(DNSResponseCode, NameEvent)
    }

    /// An answer that may go to the client.
    public struct Passage: Sendable {
        /// What must be in the kernel before.
        public var grants: [NameGrant]
        /// What whoever keeps notes must know before, so that it outlives the process.
        public var notes: Swift.Set<NameHolding> = []
        /// The answer without what the client is not to see; `nil` if nothing was removed.
        public var changed: DNSMessage?
        /// The longest that the client may keep records of it, in seconds.
        public var longestLifetime: UInt32
        /// What should be known of it.
        public var events: [NameEvent]
    }

    /// Judges the answer to a question that was passed on.
    ///
    /// - Parameters:
    ///   - message: The answer; that it answers this question has been checked.
    ///   - permission: What `ask` said.
    ///   - now: The time in milliseconds.
    /// - Returns: What becomes of it.
    public mutating func answer(_ message: DNSMessage, to permission: Permission, now: UInt64) -> AnswerJudgment {
        let question = permission.question
        guard let chain = AliasChain(message, for: question, limit: limits.aliasesPerAnswer) else {
            let reason = "aliases in a circle, too many, or others than their DNAME says"
            return .refuse(.serverFailure, .badAnswer(question.name, reason))
        }
        if permission.isUnnamed {
            if let denial = firstDenial(of: chain.names) {
                return .refuse(.refused, .denied(denial.name, question.type))
            }
            return unnamed(message, chain, question, now: now)
        }
        // A rule that denies the name that this one is an alias of stands in the way of later rules.
        var allowing = permission.rules
        if let denial = firstDenial(of: chain.names.dropFirst()) {
            allowing.removeAll { $0 > denial.rule }
            guard !allowing.isEmpty else { return .refuse(.refused, .denied(denial.name, question.type)) }
        }
        var filter = AnswerFilter(
            chain, question, rules: allowing.map { rules[$0] }, limits: limits)
        let changed = filter.filter(message)
        var passage = Passage(
            grants: [], changed: changed, longestLifetime: limits.longestLifetime, events: [])
        if !filter.removed.isEmpty {
            passage.events.append(.addressesRemoved(question.name, filter.removed))
        }
        if filter.isCut { passage.events.append(.limited(question.name, .addressesPerAnswer)) }
        guard !filter.kept.isEmpty else { return .pass(passage) }
        // Who keeps a record longer than the others would go to an address whose element has gone.
        passage.longestLifetime = min(limits.longestLifetime, filter.shortestLifetime)
        let name = question.name.lowercased
        let seconds = min(max(filter.shortestLifetime, limits.shortestLifetime), limits.longestLifetime)
        let lifetime = UInt64(seconds + limits.grace) * 1_000
        for index in allowing {
            let addresses = filter.kept.filter { filter.isPermitted($0, by: rules[index]) }
            guard !addresses.isEmpty else { continue }
            if let limit = holdings.hold(name, addresses, rule: index, until: now + lifetime, limits) {
                return .refuse(.refused, .limited(question.name, limit))
            }
            // Not again what stays long enough: half the grace is left to spare for it.
            let enough = now + UInt64(seconds) * 1_000 + UInt64(limits.grace) * 500
            for address in addresses {
                if holdings.notedUntil(address, by: name, rule: index) < enough {
                    passage.notes.insert(NameHolding(name: name, address: address, until: now + lifetime))
                }
                let until = holdings.committedUntil(address, rule: index)
                if until >= enough { continue }
                passage.grants.append(
                    NameGrant(
                        rule: rules[index].number, name: name, address: address, lifetimeMilliseconds: lifetime,
                        isRenewal: until > now))
            }
        }
        for rule in Swift.Set(passage.grants.map(\.rule)).sorted() {
            let addresses = passage.grants.filter { $0.rule == rule }.map(\.address)
            passage.events.append(.granted(question.name, rule: rule, addresses))
        }
        return .pass(passage)
    }
}

extension NameTable {
    /// An answer for a name that no rule is about. It opens nothing, but whoever counts what goes to the name must know its
    /// addresses.
    private mutating func unnamed(
        _ message: DNSMessage, _ chain: AliasChain, _ question: DNSQuestion, now: UInt64
    ) -> AnswerJudgment {
        var passage = Passage(grants: [], changed: nil, longestLifetime: .max, events: [])
        guard counted.covers(question.name) else { return .pass(passage) }
        var addresses: Swift.Set<IPAddress> = []
        var shortest = chain.shortestLifetime
        var answers: [DNSRecord] = []
        for record in message.answers {
            let isOfName = record.recordClass == DNSQuestion.internetClass && chain.names.contains(record.name)
            switch record.data {
            case .address(let address) where isOfName:
                addresses.insert(address)
                shortest = min(shortest, record.timeToLive.asLifetime)
            case .binding(let binding) where isOfName:
                // The client would ask for another name's addresses, and go there uncounted: without the record it goes on without.
                guard binding.target == .root || chain.names.contains(binding.target) else { continue }
                addresses.formUnion(binding.addressHints)
                shortest = min(shortest, record.timeToLive.asLifetime)
            default: break
            }
            answers.append(record)
        }
        if answers.count < message.answers.count {
            var changed = message
            changed.answers = answers
            // What a server has vouched for is not this any more.
            changed.flags.isAuthenticData = false
            passage.changed = changed
        }
        if addresses.isEmpty { return .pass(passage) }
        // Who keeps a record longer than it is noted would go there uncounted.
        passage.longestLifetime = min(limits.longestLifetime, shortest)
        let seconds = min(max(shortest, limits.shortestLifetime), limits.longestLifetime)
        let until = now + UInt64(seconds + limits.grace) * 1_000
        let name = question.name.lowercased
        counted.expire(now: now)
        // What cannot be remembered would one day go there uncounted.
        guard counted.hold(name, addresses, until: until, atMost: limits.addresses) else {
            return .refuse(.refused, .limited(question.name, .addresses))
        }
        if counted.isWithheld(addresses, of: name, now: now) {
            return .refuse(.serverFailure, .limited(question.name, .addresses))
        }
        // Not again what stays long enough: half the grace is left to spare for it.
        let enough = now + UInt64(seconds) * 1_000 + UInt64(limits.grace) * 500
        for address in addresses where counted.notedUntil(address, by: name) < enough {
            passage.notes.insert(NameHolding(name: name, address: address, until: until, isCounted: true))
        }
        return .pass(passage)
    }
}

/// The names that an answer leads through: the one asked for, and what it is an alias of.
struct AliasChain {
    /// The names, from the one asked for to the last.
    private(set) var names: [DNSName]
    /// The names below which others stand for those on the way (DNAME).
    private(set) var subtrees: Swift.Set<DNSName> = []
    /// The shortest lifetime of an alias on the way, in seconds: of one that a DNAME has made, the DNAME's too.
    private(set) var shortestLifetime = UInt32.max

    /// What stands for a name, or for all names below one.
    private struct Alias {
        var target: DNSName
        var lifetime: UInt32
    }

    /// Follows the aliases inside one answer, or `nil` if they do not end, or are others than a DNAME says.
    init?(_ message: DNSMessage, for question: DNSQuestion, limit: Int) {
        names = [question.name]
        guard question.type != .cname, message.answers.contains(where: { $0.type == .cname }) else { return }
        guard let aliases = AliasChain.aliases(.cname, in: message),
            let redirections = AliasChain.aliases(.dname, in: message)
        else { return nil }
        while let last = names.last, let alias = aliases[last] {
            guard names.count <= limit, !names.contains(alias.target) else { return nil }
            if let (owner, redirection) = AliasChain.redirection(of: last, in: redirections) {
                // There is nothing else below the owner of a DNAME (RFC 6672, section 2.4).
                guard last.replacing(owner, with: redirection.target) == alias.target else { return nil }
                subtrees.insert(owner)
                shortestLifetime = min(shortestLifetime, redirection.lifetime)
            }
            names.append(alias.target)
            shortestLifetime = min(shortestLifetime, alias.lifetime)
        }
    }

    /// The aliases of a type, by their owners; `nil` if one has two.
    private static func aliases(_ type: DNSRecordType, in message: DNSMessage) -> [DNSName: Alias]? {
        var aliases: [DNSName: Alias] = [:]
        for record in message.answers {
            guard record.type == type, record.recordClass == DNSQuestion.internetClass,
                case .name(let target) = record.data
            else { continue }
            let other = aliases[record.name]
            // Two aliases of one name are no answer (RFC 2181, section 10.1; RFC 6672, section 2.4).
            if let other, other.target != target { return nil }
            let lifetime = record.timeToLive.asLifetime
            aliases[record.name] = Alias(target: target, lifetime: min(lifetime, other?.lifetime ?? lifetime))
        }
        return aliases
    }

    /// The DNAME that a name comes under: the nearest one, and never the name's own.
    private static func redirection(of name: DNSName, in redirections: [DNSName: Alias]) -> (DNSName, Alias)? {
        if redirections.isEmpty { return nil }
        var owner = name
        while owner != .root {
            owner = owner.parent
            if let found = redirections[owner] { return (owner, found) }
        }
        return nil
    }
}

extension DNSName {
    /// The name with other labels in the place of those of a name that it is below (RFC 6672, section 2.2).
    ///
    /// - Parameters:
    ///   - ancestor: The name that it is below.
    ///   - target: What takes its place.
    /// - Returns: The name; `nil` if it is too long.
    fileprivate func replacing(_ ancestor: DNSName, with target: DNSName) -> DNSName? {
        try? DNSName(labels: Array(labels.dropLast(ancestor.labelCount)) + target.labels)
    }
}

extension UInt32 {
    /// A record's lifetime as it is meant: one with the top bit set is zero (RFC 2181, section 8).
    fileprivate var asLifetime: UInt32 { self > UInt32(Int32.max) ? 0 : self }
}

/// Takes out of an answer what the client is not to see, and gathers the addresses that are left.
struct AnswerFilter {
    private let chain: AliasChain
    private let question: DNSQuestion
    private let rules: [NameRule]
    private let limits: NameLimits
    /// Whether there were more addresses than an answer may have.
    private(set) var isCut = false
    /// The addresses that are left, each once.
    private(set) var kept: [IPAddress] = []
    /// The addresses that were removed because they are not public.
    private(set) var removed: [IPAddress] = []
    /// The shortest lifetime of the addresses that are left and of the aliases that lead there, in seconds: records of one set
    /// that differ count as the shortest (RFC 2181, section 5.2).
    private(set) var shortestLifetime: UInt32

    init(_ chain: AliasChain, _ question: DNSQuestion, rules: [NameRule], limits: NameLimits) {
        (self.chain, self.question, self.rules, self.limits) = (chain, question, rules, limits)
        shortestLifetime = chain.shortestLifetime
    }

    /// Whether a rule may reach the address by a name.
    func isPermitted(_ address: IPAddress, by rule: NameRule) -> Bool {
        AddressClass.isPublic(address) || rule.permittedAddresses.contains(address)
    }

    /// The answer without what must go, or `nil` if nothing must.
    mutating func filter(_ message: DNSMessage) -> DNSMessage? {
        var answers: [DNSRecord] = []
        var isChanged = false
        for record in message.answers {
            guard let allowed = filtered(record) else {
                isChanged = true
                continue
            }
            if allowed != record { isChanged = true }
            answers.append(allowed)
        }
        // Addresses of other names: the client would use them without having asked.
        let additional = message.additional.filter { ![.a, .aaaa, .https, .svcb].contains($0.type) }
        guard isChanged || additional.count != message.additional.count else { return nil }
        var changed = message
        changed.answers = answers
        changed.additional = additional
        // What a server has signed or vouched for is not this any more.
        if isChanged { changed.flags.isAuthenticData = false }
        return changed
    }

    private mutating func filtered(_ record: DNSRecord) -> DNSRecord? {
        guard record.recordClass == DNSQuestion.internetClass else { return nil }
        if record.type == .dname { return record }
        // Without the signature of the DNAME nobody could check the alias that it has made, which has none.
        if record.type == .rrsig, chain.subtrees.contains(record.name) { return record }
        guard chain.names.contains(record.name) else { return nil }
        if record.type == .rrsig || record.type == .cname { return record }
        guard record.type == question.type || question.type == .any else { return nil }
        switch record.data {
        case .address(let address):
            guard take(address, record.timeToLive) else { return nil }
            return record
        case .binding(let binding):
            // The client would ask for another name's addresses, and then say this one there, where no rule holds it:
            // without the record it goes on without.
            guard binding.target == .root || chain.names.contains(binding.target) else { return nil }
            var result = record
            let wanted = binding.addressHints.filter { take($0, record.timeToLive) }
            result.data = .binding(
                binding.removing(key: ServiceBinding.encryptedClientHello) { wanted.contains($0) })
            return result
        default:
            return record
        }
    }

    /// Notes an address, and whether it stays.
    private mutating func take(_ address: IPAddress, _ lifetime: UInt32) -> Bool {
        guard rules.contains(where: { isPermitted(address, by: $0) }) else {
            removed.append(address)
            return false
        }
        if !kept.contains(address) {
            guard kept.count < limits.addressesPerAnswer else {
                isCut = true
                return false
            }
            kept.append(address)
        }
        shortestLifetime = min(shortestLifetime, lifetime.asLifetime)
        return true
    }
}
