// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDNSWire
import EgretNames
import EgretPolicy
import Testing

/// What an endpoint may ask, and what answers give it.
struct NameTableTests {
    private static let web = IPAddress.v4(IPv4Address(203, 0, 113, 10))

    private func rule(_ number: Int, _ patterns: String..., effect: NameRule.Effect = .allow) throws -> NameRule {
        NameRule(number: number, patterns: try patterns.map { try DomainPattern.parse($0) }, effect: effect)
    }

    private func name(_ text: String) throws -> DNSName { try #require(DNSName(text)) }

    private func ask(_ table: inout NameTable, _ text: String, _ type: DNSRecordType = .a, now: UInt64 = 0) throws
        -> NameTable.Judgment
    {
        table.ask(DNSQuestion(try name(text), type), now: now)
    }

    private func permission(_ table: inout NameTable, _ text: String, _ type: DNSRecordType = .a, now: UInt64 = 0)
        throws -> NameTable.Permission
    {
        guard case .forward(let permission) = try ask(&table, text, type, now: now) else {
            throw Unexpected(what: "\(text) is refused")
        }
        return permission
    }

    private struct Unexpected: Error { var what: String }

    private func answer(_ question: NameTable.Permission, _ records: [DNSRecord]) -> DNSMessage {
        var message = DNSMessage(id: 1, flags: DNSFlags(rawValue: 0x8180), questions: [question.question])
        message.answers = records
        return message
    }

    private func passage(_ judgment: NameTable.AnswerJudgment) throws -> NameTable.Passage {
        guard case .pass(let passage) = judgment else { throw Unexpected(what: "\(judgment)") }
        return passage
    }

    private func grants(
        _ table: inout NameTable, _ text: String, _ addresses: [IPAddress], lifetime: UInt32 = 300, now: UInt64 = 0
    ) throws -> [NameGrant] {
        let permission = try permission(&table, text, now: now)
        let records = try addresses.map { DNSRecord(try name(text), $0, timeToLive: lifetime) }
        let grants = try passage(table.answer(answer(permission, records), to: permission, now: now)).grants
        table.committed(grants, now: now)
        return grants
    }

    private func code(_ judgment: NameTable.Judgment) -> DNSResponseCode? {
        if case .answer(let code, _) = judgment { return code }
        return nil
    }

    private func limit(_ judgment: NameTable.Judgment) -> NameEvent.Limit? {
        if case .answer(_, .limited(_, let limit)) = judgment { return limit }
        return nil
    }

    @Test("what no rule allows is refused, as the setting says")
    func denied() throws {
        var table = NameTable(rules: [try rule(0, "example.com")], now: 0)
        #expect(code(try ask(&table, "evil.test")) == .refused)
        #expect(code(try ask(&table, "www.example.com")) == .refused)
        #expect(code(try ask(&table, "EXAMPLE.com")) == nil)
        table = NameTable(rules: [try rule(0, "example.com")], denial: .nameError, now: 0)
        #expect(code(try ask(&table, "evil.test")) == .nameError)
        #expect(code(try ask(&table, "example.com", .txt)) == .noError)
    }

    @Test("the first rule that covers a name decides")
    func order() throws {
        let denial = try rule(0, "bad.example.com", effect: .deny)
        var table = NameTable(rules: [denial, try rule(1, "*.example.com")], now: 0)
        #expect(code(try ask(&table, "bad.example.com")) == .refused)
        #expect(code(try ask(&table, "good.example.com")) == nil)
        table = NameTable(rules: [try rule(1, "*.example.com"), denial], now: 0)
        #expect(code(try ask(&table, "bad.example.com")) == nil)
    }

    @Test("types are a list, which a rule can extend")
    func types() throws {
        var mail = try rule(1, "mail.example.com")
        mail.furtherTypes = [.mx]
        var table = NameTable(rules: [try rule(0, "*.example.com"), mail], now: 0)
        for type in NameTable.usualTypes { #expect(code(try ask(&table, "www.example.com", type)) == nil) }
        for type in [.txt, .null, .any, .mx, .ns] as [DNSRecordType] {
            #expect(code(try ask(&table, "www.example.com", type)) == .refused)
        }
        #expect(code(try ask(&table, "mail.example.com", .mx)) == nil)
    }

    @Test("a label with a dot or a NUL inside is no name that a rule covers")
    func strangeLabels() throws {
        var table = NameTable(rules: [try rule(0, "*.example.com", "example.com")], now: 0)
        for label in [Array("www.example".utf8), [0], [0x61, 0x20]] {
            let name = try DNSName(labels: [label, Array("example".utf8), Array("com".utf8)])
            #expect(code(table.ask(DNSQuestion(name, .a), now: 0)) == .refused)
        }
        let joined = try DNSName(labels: [Array("example.com".utf8)])
        #expect(code(table.ask(DNSQuestion(joined, .a), now: 0)) == .refused)
    }

    @Test("every rule that allows a name is granted its addresses")
    func grantsPerRule() throws {
        var table = NameTable(rules: [try rule(3, "example.com"), try rule(7, "example.com", "*.example.org")], now: 0)
        let grants = try grants(&table, "example.com", [NameTableTests.web], lifetime: 100)
        #expect(grants.map(\.rule) == [3, 7])
        #expect(grants.allSatisfy { $0.address == NameTableTests.web && $0.lifetimeMilliseconds == 160_000 })
        #expect(table.holds(NameTableTests.web, by: try DomainName.parse("example.com"), rule: 7, now: 159_999))
        #expect(!table.holds(NameTableTests.web, by: try DomainName.parse("example.com"), rule: 7, now: 160_000))
        #expect(!table.holds(NameTableTests.web, by: try DomainName.parse("a.example.org"), rule: 7, now: 0))
    }

    @Test(
        "an element lives for the answer's lifetime, within bounds, and the grace",
        arguments: [
            (UInt32(0), UInt64(90)), (1, 90), (30, 90), (300, 360), (86_400, 3_660), (.max, 90),
        ])
    func lifetimes(lifetime: UInt32, expected: UInt64) throws {
        var table = NameTable(rules: [try rule(0, "example.com")], now: 0)
        let grants = try grants(&table, "example.com", [NameTableTests.web], lifetime: lifetime)
        #expect(grants.map(\.lifetimeMilliseconds) == [expected * 1_000])
    }

    @Test("an element that stays long enough is not committed again, and one that does not is")
    func renewal() throws {
        var table = NameTable(rules: [try rule(0, "example.com")], now: 0)
        #expect(try grants(&table, "example.com", [NameTableTests.web], lifetime: 60).count == 1)
        // From a cache, the rest of the lifetime.
        #expect(try grants(&table, "example.com", [NameTableTests.web], lifetime: 50, now: 10_000).isEmpty)
        // From the authority, the whole.
        #expect(try grants(&table, "example.com", [NameTableTests.web], lifetime: 60, now: 10_000).isEmpty)
        let again = try grants(&table, "example.com", [NameTableTests.web], lifetime: 60, now: 31_000)
        #expect(again.map(\.isRenewal) == [true])
        table.expire(now: 500_000)
        #expect(table.held == (0, 0))
        #expect(try grants(&table, "example.com", [NameTableTests.web], now: 500_000).map(\.isRenewal) == [false])
    }

    @Test("what is held outlives a change of rules, as far as the new ones allow it")
    func takeOver() throws {
        var old = NameTable(rules: [try rule(0, "*.example.com"), try rule(1, "a.example.com", "gone.test")], now: 0)
        let texts = ["a.example.com", "b.example.com", "gone.test"]
        for text in texts { _ = try grants(&old, text, [NameTableTests.web], lifetime: 100) }
        // Nobody has been given it yet.
        #expect(old.holdings(now: 10_000).isEmpty)
        let given = try texts.map { NameHolding(name: try name($0), address: NameTableTests.web, until: 160_000) }
        old.noted(given)
        #expect(Set(old.holdings(now: 10_000)) == Set(given))
        let denial = try rule(4, "b.example.com", effect: .deny)
        var new = NameTable(rules: [try rule(3, "a.example.com"), denial, try rule(5, "*.example.com")], now: 10_000)
        let grants = new.takeOver(old.holdings(now: 10_000), now: 10_000)
        #expect(grants.map(\.rule) == [3, 5])
        #expect(Set(grants.map(\.name)) == [try name("a.example.com")])
        #expect(grants.allSatisfy { $0.lifetimeMilliseconds == 150_000 })
        new.committed(grants, now: 10_000)
        #expect(new.holdings(now: 10_000) == [given[0]])
        let a = try DomainName.parse("a.example.com")
        #expect(new.rules(holding: NameTableTests.web, by: a, now: 159_999) == [3, 5])
        #expect(new.rules(holding: NameTableTests.web, by: nil, now: 160_000) == [])
        #expect(new.rules(holding: NameTableTests.web, by: try .parse("b.example.com"), now: 10_000) == [])
        #expect(old.holdings(now: 160_000).isEmpty)
    }

    @Test("a name is noted though the kernel has its address by another, again once it would end earlier than it does")
    func notes() throws {
        var table = NameTable(rules: [try rule(0, "*.example.com"), try rule(1, "b.example.com")], now: 0)
        func passage(_ text: String, now: UInt64) throws -> NameTable.Passage {
            let permission = try permission(&table, text, now: now)
            let record = DNSRecord(try name(text), NameTableTests.web, timeToLive: 100)
            let passage = try self.passage(table.answer(answer(permission, [record]), to: permission, now: now))
            table.committed(passage.grants, now: now)
            table.noted(passage.notes)
            return passage
        }
        func note(_ text: String, until: UInt64) throws -> Swift.Set<NameHolding> {
            [NameHolding(name: try name(text), address: NameTableTests.web, until: until)]
        }
        #expect(try passage("a.example.com", now: 0).notes == note("a.example.com", until: 160_000))
        let other = try passage("c.example.com", now: 10_000)
        #expect(try other.grants.isEmpty && other.notes == note("c.example.com", until: 170_000))
        #expect(try passage("c.example.com", now: 20_000).notes.isEmpty)
        #expect(try passage("c.example.com", now: 50_000).notes == note("c.example.com", until: 210_000))
        // Once for all rules.
        #expect(try passage("b.example.com", now: 50_000).notes == note("b.example.com", until: 210_000))
        #expect(try passage("b.example.com", now: 50_000).notes.isEmpty)
    }

    @Test("what the kernel did not take is asked of it again")
    func uncommitted() throws {
        var table = NameTable(rules: [try rule(0, "example.com")], now: 0)
        for _ in 0..<2 {
            let permission = try permission(&table, "example.com")
            let message = answer(permission, [DNSRecord(try name("example.com"), NameTableTests.web, timeToLive: 60)])
            #expect(try passage(table.answer(message, to: permission, now: 0)).grants.map(\.isRenewal) == [false])
        }
        _ = try grants(&table, "example.com", [NameTableTests.web])
        table.forgetCommits()
        #expect(try grants(&table, "example.com", [NameTableTests.web]).count == 1)
    }

    @Test(
        "an allowed name's addresses that are not public are dropped",
        arguments: [
            "10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "0.0.0.0", "169.254.169.254", "169.254.1.1",
            "100.64.0.1", "100.100.100.200", "168.63.129.16", "224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1",
            "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:203.0.113.10", "64:ff9b::a00:1",
            "2002:a00:1::1", "2001::1",
        ])
    func rebinding(text: String) throws {
        let bad = try #require(IPAddress(text))
        var table = NameTable(rules: [try rule(0, "example.com")], now: 0)
        let type: DNSRecordType = bad.family == .ipv4 ? .a : .aaaa
        let good = try #require(IPAddress(bad.family == .ipv4 ? "203.0.113.10" : "2001:db8:113::10"))
        let permission = try permission(&table, "example.com", type)
        let records = [bad, good].compactMap { address in
            DNSName("example.com").map { DNSRecord($0, address, timeToLive: 60) }
        }
        let passage = try passage(table.answer(answer(permission, records), to: permission, now: 0))
        #expect(passage.changed?.answers == [records[1]])
        #expect(passage.grants.map(\.address) == [good])
        #expect(passage.events.contains(.addressesRemoved(try name("example.com"), [bad])))
    }

    @Test("a rule can permit addresses that are not public, for itself alone")
    func permitted() throws {
        var internalRule = try rule(1, "*.example.com")
        let prefix = try #require(IPPrefix("10.0.0.0/8"))
        internalRule.permittedAddresses = AddressRangeSet([AddressBlock(prefix)])
        var table = NameTable(rules: [try rule(0, "a.example.com"), internalRule], now: 0)
        let grants = try grants(&table, "a.example.com", [.v4(IPv4Address(10, 0, 0, 1))])
        #expect(grants.map(\.rule) == [1])
    }

    @Test("aliases are followed inside one answer, and what is not on the way is dropped")
    func aliases() throws {
        var table = NameTable(rules: [try rule(0, "api.example.com")], now: 0)
        let permission = try permission(&table, "api.example.com")
        let (api, edge, lb) = (try name("api.example.com"), try name("edge.cdn.test"), try name("lb.cdn.test"))
        let records = [
            DNSRecord(lb, NameTableTests.web, timeToLive: 200), DNSRecord(edge, .cname, timeToLive: 40, .name(lb)),
            DNSRecord(api, .cname, timeToLive: 300, .name(edge)),
            DNSRecord(try name("evil.test"), .v4(IPv4Address(203, 0, 113, 66)), timeToLive: 60),
        ]
        let passage = try passage(table.answer(answer(permission, records), to: permission, now: 0))
        #expect(passage.grants.map(\.address) == [NameTableTests.web])
        #expect(passage.grants.map(\.name) == [api])
        #expect(passage.grants.map(\.lifetimeMilliseconds) == [100_000])
        #expect(passage.changed?.answers == Array(records.prefix(3)))
    }

    @Test("a name that limits are about is noted also where no rule is, opens nothing, and is not kept for longer")
    func counted() throws {
        let patterns = try ["*.example.net"].map { try DomainPattern.parse($0) }
        var table = NameTable(rules: [try rule(0, "a.example.com")], counting: patterns, now: 0)
        func ask(_ text: String, _ records: [DNSRecord]) throws -> NameTable.Passage {
            let question = DNSQuestion(try name(text), .a)
            guard case .forward(let permission) = table.ask(question, isServerOpen: true, now: 0) else {
                throw Unexpected(what: "\(text) is refused")
            }
            return try passage(table.answer(answer(permission, records), to: permission, now: 0))
        }
        let (video, edge) = (try name("video.example.net"), try name("edge.cdn.test"))
        let second = IPAddress.v4(IPv4Address(10, 0, 0, 5))
        let records = [
            DNSRecord(video, .cname, timeToLive: 300, .name(edge)),
            DNSRecord(edge, NameTableTests.web, timeToLive: 40), DNSRecord(edge, second, timeToLive: 50),
            DNSRecord(try name("evil.test"), .v4(IPv4Address(203, 0, 113, 66)), timeToLive: 1),
        ]
        let noted = try ask("video.example.net", records)
        #expect(noted.grants.isEmpty && noted.changed == nil && noted.longestLifetime == 40)
        #expect(
            noted.notes == [
                NameHolding(name: video, address: NameTableTests.web, until: 100_000, isCounted: true),
                NameHolding(name: video, address: second, until: 100_000, isCounted: true),
            ])
        // Whoever follows a binding to another name asks for that one's addresses, and nobody counts what goes there.
        let bindings = [DNSName.root, video, edge].map { target in
            DNSRecord(video, .https, timeToLive: 60, .binding(ServiceBinding(priority: 1, target: target)))
        }
        #expect(try ask("video.example.net", bindings).changed?.answers == Array(bindings.prefix(2)))
        let plain = try name("www.example.org")
        let foreign = DNSRecord(plain, .https, timeToLive: 60, .binding(ServiceBinding(priority: 1, target: edge)))
        #expect(try ask("www.example.org", [foreign]).changed == nil)
        let other = try ask("www.example.org", [DNSRecord(plain, NameTableTests.web, timeToLive: 60)])
        #expect(other.notes.isEmpty && other.longestLifetime == .max)
        #expect(table.held == (0, 0))
        // What was noted is held, and not noted again as long as it stays.
        table.noted(noted.notes)
        #expect(Set(table.holdings(now: 0)) == noted.notes)
        #expect(try ask("video.example.net", records).notes.isEmpty)
        #expect(table.holdings(now: 100_000).isEmpty && table.held == (0, 0))
    }

    @Test("a name with bytes that no pattern has is denied and counted below a wildcard like others, and is no rule's")
    func oddNames() throws {
        let patterns = [try DomainPattern.parse("*.example.net")]
        let rules = [try rule(0, "*.evil.test", effect: .deny), try rule(1, "*.example.com")]
        var table = NameTable(rules: rules, counting: patterns, now: 0)
        func asked(_ text: String) throws -> NameTable.Permission? {
            let question = DNSQuestion(try name(text), .a)
            guard case .forward(let permission) = table.ask(question, isServerOpen: true, now: 0) else { return nil }
            return permission
        }
        func judge(_ text: String, _ records: [DNSRecord]) throws -> NameTable.AnswerJudgment {
            guard let permission = try asked(text) else { throw Unexpected(what: "\(text) is refused") }
            return table.answer(answer(permission, records), to: permission, now: 0)
        }
        for text in ["a!b.evil.test", "a!b.c.evil.test"] {
            let permission = try asked(text)
            #expect(permission == nil, "\(text)")
        }
        let (video, open) = (try name("a!b.example.net"), try name("a!b.example.org"))
        let noted = try passage(judge("a!b.example.net", [DNSRecord(video, NameTableTests.web, timeToLive: 60)]))
        #expect(noted.notes.map(\.name) == [video] && noted.grants.isEmpty)
        let other = try passage(judge("a!b.example.org", [DNSRecord(open, NameTableTests.web, timeToLive: 60)]))
        #expect(other.notes.isEmpty)
        let alias = DNSRecord(open, .cname, timeToLive: 60, .name(try name("a!b.evil.test")))
        guard case .refuse(.refused, _) = try judge("a!b.example.org", [alias]) else {
            throw Unexpected(what: "an alias of a denied name")
        }
        let record = DNSRecord(try name("a!b.example.com"), NameTableTests.web, timeToLive: 60)
        let unnamed = try passage(judge("a!b.example.com", [record]))
        #expect(unnamed.grants.isEmpty && unnamed.notes.isEmpty)
    }

    @Test("what limits only are about opens nothing under rules that come, and is held as long as limits are about it")
    func countedTakeOver() throws {
        let patterns = try ["*.example.net"].map { try DomainPattern.parse($0) }
        let video = try name("video.example.net")
        let noted = NameHolding(name: video, address: NameTableTests.web, until: 100_000, isCounted: true)
        var ruled = NameTable(rules: [try rule(0, "*.example.net")], counting: patterns, now: 0)
        #expect(ruled.takeOver([noted], now: 10_000).isEmpty)
        #expect(ruled.holdings(now: 10_000) == [noted] && ruled.held == (0, 0))
        var other = NameTable(rules: [], counting: [try DomainPattern.parse("example.org")], now: 0)
        #expect(other.takeOver([noted], now: 10_000).isEmpty && other.holdings(now: 10_000).isEmpty)
        // A rule's name that is only a limit's any more.
        let held = NameHolding(name: video, address: NameTableTests.web, until: 100_000)
        var limited = NameTable(rules: [], counting: patterns, now: 0)
        #expect(limited.takeOver([held], now: 10_000).isEmpty && limited.holdings(now: 10_000) == [noted])
        limited.expire(now: 100_000)
        #expect(limited.holdings(now: 99_999).isEmpty)
    }

    @Test("an answer that has more addresses than can be remembered for limits is none")
    func countedRoom() throws {
        var limits = NameLimits()
        limits.addresses = 2
        let patterns = try ["*.example.net"].map { try DomainPattern.parse($0) }
        var table = NameTable(rules: [], counting: patterns, limits: limits, now: 0)
        func ask(
            _ text: String, _ last: ClosedRange<UInt8>, now: UInt64, isTaken: Bool = true
        ) throws -> NameTable.AnswerJudgment {
            let question = DNSQuestion(try name(text), .a)
            guard case .forward(let permission) = table.ask(question, isServerOpen: true, now: now) else {
                throw Unexpected(what: "\(text) is refused")
            }
            let records = try last.map {
                DNSRecord(try name(text), .v4(IPv4Address(203, 0, 113, $0)), timeToLive: 60)
            }
            let judgment = table.answer(answer(permission, records), to: permission, now: now)
            if isTaken, case .pass(let passage) = judgment { table.noted(passage.notes) }
            return judgment
        }
        guard case .pass = try ask("a.example.net", 1...2, now: 0) else { throw Unexpected(what: "no room") }
        guard case .pass = try ask("a.example.net", 1...2, now: 1) else { throw Unexpected(what: "no room again") }
        let refused = try ask("b.example.net", 3...3, now: 1)
        guard case .refuse(let told, .limited(let asked, let reached)) = refused else {
            throw Unexpected(what: "there is room")
        }
        #expect(told == .refused && "\(asked)" == "b.example.net" && reached == .addresses)
        guard case .pass = try ask("b.example.net", 3...4, now: 200_000) else { throw Unexpected(what: "no room left") }
        // What limits do not take has its room all the same, is not tried again at once, and nobody's to hand on.
        for now: UInt64 in [400_000, 400_001, 405_001] {
            let untaken = try passage(ask("c.example.net", 5...6, now: now, isTaken: false))
            #expect(untaken.notes.count == 2 && table.holdings(now: now).isEmpty)
            if now == 400_000 { continue }
            table.withheld(untaken.notes, now: now)
            let withheld = try ask("c.example.net", 6...6, now: now + 4_999)
            guard case .refuse(.serverFailure, _) = withheld else { throw Unexpected(what: "tried again") }
        }
        guard case .refuse = try ask("d.example.net", 7...7, now: 410_000) else { throw Unexpected(what: "more room") }
    }

    @Test("what is taken back is asked for again, and stays in the kernel as long as another name of the rule has it")
    func withdrawn() throws {
        var table = NameTable(rules: [try rule(0, "*.example.com")], now: 0)
        func hold(_ text: String) throws -> NameTable.Passage {
            let permission = try permission(&table, text)
            let record = DNSRecord(try name(text), NameTableTests.web, timeToLive: 300)
            let passage = try passage(table.answer(answer(permission, [record]), to: permission, now: 0))
            table.committed(passage.grants, now: 0)
            table.noted(passage.notes)
            return passage
        }
        let one = try hold("a.example.com")
        let two = try hold("b.example.com")
        #expect(one.grants.count == 1 && two.grants.isEmpty && two.notes.count == 1)
        let first = table.withdraw(one.notes, now: 1)
        #expect(first.isEmpty && table.rules(holding: NameTableTests.web, by: nil, now: 1) == [0])
        #expect(table.holdings(now: 1).map(\.name) == two.notes.map(\.name))
        let second = table.withdraw(two.notes, now: 1)
        #expect(second.map { "\($0.rule) \($0.address)" } == ["0 \(NameTableTests.web)"])
        #expect(table.holdings(now: 1).isEmpty)
        #expect(table.rules(holding: NameTableTests.web, by: nil, now: 1).isEmpty)
        #expect(table.held.names == 0 && table.held.addresses == 0)
        let again = try hold("a.example.com")
        #expect(again.grants.count == 1 && again.notes.count == 1)
    }

    @Test(
        "an element lives for the shortest lifetime on the way to its address, and nobody is told a longer one",
        arguments: [
            // The alias, two addresses; what the client may keep, and the element's life.
            ([300, 300, 300], 300, 360), ([40, 300, 300], 40, 100), ([300, 300, 35], 35, 95),
            ([300, 1, 300], 1, 90), ([0x8000_0001, 300, 300], 0, 90), ([300, 300, .max], 0, 90),
            ([90_000, 80_000, 70_000], 3_600, 3_660),
        ] as [([UInt32], UInt32, UInt64)])
    func mixedLifetimes(_ lifetimes: [UInt32], _ longest: UInt32, _ seconds: UInt64) throws {
        var table = NameTable(rules: [try rule(0, "api.example.com")], now: 0)
        let permission = try permission(&table, "api.example.com")
        let (api, edge) = (try name("api.example.com"), try name("edge.cdn.test"))
        let second = IPAddress.v4(IPv4Address(203, 0, 113, 11))
        let records = [
            DNSRecord(api, .cname, timeToLive: lifetimes[0], .name(edge)),
            DNSRecord(edge, NameTableTests.web, timeToLive: lifetimes[1]),
            DNSRecord(edge, second, timeToLive: lifetimes[2]),
        ]
        let passage = try passage(table.answer(answer(permission, records), to: permission, now: 0))
        #expect(passage.grants.map(\.address) == [NameTableTests.web, second])
        #expect(passage.grants.allSatisfy { $0.lifetimeMilliseconds == seconds * 1_000 })
        #expect(passage.longestLifetime == longest)
    }

    @Test("an alias that stands there twice counts as the shorter one, and one of another class leads nowhere")
    func repeatedAliases() throws {
        var table = NameTable(rules: [try rule(0, "api.example.com")], now: 0)
        let permission = try permission(&table, "api.example.com")
        let (api, edge) = (try name("api.example.com"), try name("edge.cdn.test"))
        let address = DNSRecord(edge, NameTableTests.web, timeToLive: 300)
        func alias(_ lifetime: UInt32) -> DNSRecord { DNSRecord(api, .cname, timeToLive: lifetime, .name(edge)) }
        for lifetimes in [[40, 300], [300, 40]] as [[UInt32]] {
            let answer = answer(permission, lifetimes.map { alias($0) } + [address])
            let passage = try passage(table.answer(answer, to: permission, now: 0))
            #expect(passage.longestLifetime == 40)
        }
        var chaos = alias(300)
        chaos.recordClass = 3
        let passage = try passage(table.answer(answer(permission, [chaos, address]), to: permission, now: 0))
        #expect(passage.grants.isEmpty && passage.changed?.answers == [])
    }

    @Test("aliases in a circle, too many, or two of one name are no answer")
    func badAliases() throws {
        var table = NameTable(rules: [try rule(0, "n0.example.com")], now: 0)
        let permission = try permission(&table, "n0.example.com")
        let names = try (0...40).map { try name("n\($0).example.com") }
        func alias(_ from: Int, _ to: Int) -> DNSRecord {
            DNSRecord(names[from], .cname, timeToLive: 60, .name(names[to]))
        }
        for records in [[alias(0, 1), alias(1, 0)], (0..<40).map { alias($0, $0 + 1) }, [alias(0, 1), alias(0, 2)]] {
            guard
                case .refuse(.serverFailure, .badAnswer) = table.answer(
                    answer(permission, records), to: permission, now: 0)
            else {
                Issue.record("taken: \(records.count)")
                continue
            }
        }
    }

    @Test("what follows from a DNAME lives no longer than it, and its signature stays")
    func redirections() throws {
        let (owner, target) = (try name("www.old.example.com"), try name("www.new.test"))
        func records(_ lifetimes: [UInt32]) throws -> [DNSRecord] {
            [
                DNSRecord(try name("old.example.com"), .dname, timeToLive: lifetimes[0], .name(try name("new.test"))),
                DNSRecord(try name("old.example.com"), .rrsig, timeToLive: lifetimes[0], .opaque([0, 39])),
                DNSRecord(owner, .cname, timeToLive: lifetimes[1], .name(target)),
                DNSRecord(target, NameTableTests.web, timeToLive: lifetimes[2]),
            ]
        }
        let cases: [([UInt32], UInt32)] = [
            ([40, 300, 300], 40), ([300, 40, 300], 40), ([300, 300, 40], 40), ([0x8000_0001, 300, 300], 0),
        ]
        for (lifetimes, longest) in cases {
            var table = NameTable(rules: [try rule(0, "*.example.com")], now: 0)
            let permission = try permission(&table, "www.old.example.com")
            let answer = try answer(permission, records(lifetimes))
            let passage = try passage(table.answer(answer, to: permission, now: 0))
            #expect(passage.grants.map(\.address) == [NameTableTests.web])
            #expect(passage.longestLifetime == longest && passage.changed == nil, "\(lifetimes)")
        }
    }

    @Test("an alias below a DNAME that is another than the DNAME says is no answer")
    func badRedirections() throws {
        func judge(_ target: String, _ redirections: [(String, String)], _ asked: String = "a.b.old.example.com") throws
            -> Bool
        {
            var table = NameTable(rules: [try rule(0, "*.example.com")], now: 0)
            let permission = try permission(&table, asked)
            var records = try redirections.map { owner, target in
                DNSRecord(try name(owner), .dname, timeToLive: 60, .name(try name(target)))
            }
            records.append(DNSRecord(try name(asked), .cname, timeToLive: 60, .name(try name(target))))
            records.append(DNSRecord(try name(target), NameTableTests.web, timeToLive: 60))
            switch table.answer(answer(permission, records), to: permission, now: 0) {
            case .pass: return true
            case .refuse(let code, _):
                #expect(code == .serverFailure)
                return false
            }
        }
        #expect(try judge("a.b.new.test", [("old.example.com", "new.test")]))
        #expect(try judge("A.b.New.test", [("OLD.example.com", "new.TEST")]))
        #expect(try judge("a.b", [("old.example.com", ".")]))
        #expect(try !judge("a.new.test", [("old.example.com", "new.test")]))
        #expect(try !judge("evil.test", [("old.example.com", "new.test")]))
        #expect(try !judge("a.b.new.test", [("old.example.com", "new.test"), ("old.example.com", "other.test")]))
        // One that is about others, or about what is below the name alone.
        #expect(try judge("evil.test", [("other.example.com", "new.test")]))
        #expect(try judge("evil.test", [("a.b.old.example.com", "new.test")]))
        let long = [String](repeating: String(repeating: "x", count: 60), count: 4).joined(separator: ".")
        #expect(try !judge("a.b.new.test", [("old.example.com", long)], "a.bcdefghijk.old.example.com"))
    }

    @Test("a rule that denies what a name is an alias of stands in the way of the rules behind it")
    func deniedAliases() throws {
        let denial = try rule(1, "ads.test", effect: .deny)
        var table = NameTable(rules: [try rule(0, "a.example.com"), denial, try rule(2, "*.example.com")], now: 0)
        for (name, expected) in [("a.example.com", [0]), ("b.example.com", nil)] as [(String, [Int]?)] {
            let permission = try permission(&table, name)
            let (owner, ads) = (try self.name(name), try self.name("ads.test"))
            let records = [
                DNSRecord(owner, .cname, timeToLive: 60, .name(ads)),
                DNSRecord(ads, NameTableTests.web, timeToLive: 60),
            ]
            switch table.answer(answer(permission, records), to: permission, now: 0) {
            case .pass(let passage): #expect(passage.grants.map(\.rule) == expected)
            case .refuse(let code, let event):
                #expect(expected == nil && code == .refused && event == .denied(ads, .a))
            }
        }
    }

    @Test("a binding to another name is left out, also to one that may be asked, so that the client goes on without")
    func bindingTargets() throws {
        var table = NameTable(rules: [try rule(0, "example.com", "*.example.com")], now: 0)
        let permission = try permission(&table, "example.com", .https)
        let owner = try name("example.com")
        let hint = ServiceBinding.Parameter(key: 4, value: [203, 0, 113, 10])
        let records = try [DNSName.root, owner, name("www.example.com"), name("cdn.test")].map { target in
            DNSRecord(
                owner, .https, timeToLive: 60,
                .binding(ServiceBinding(priority: 1, target: target, parameters: target == .root ? [] : [hint])))
        }
        let passage = try passage(table.answer(answer(permission, records), to: permission, now: 0))
        #expect(passage.changed?.answers == Array(records.prefix(2)))
    }

    @Test("a binding to what the name is an alias of stays")
    func bindingToAlias() throws {
        var table = NameTable(rules: [try rule(0, "example.com")], now: 0)
        let permission = try permission(&table, "example.com", .https)
        let (owner, other) = (try name("example.com"), try name("cdn.test"))
        let records = [
            DNSRecord(owner, .cname, timeToLive: 60, .name(other)),
            DNSRecord(other, .https, timeToLive: 60, .binding(ServiceBinding(priority: 1, target: other))),
        ]
        #expect(try passage(table.answer(answer(permission, records), to: permission, now: 0)).changed == nil)
    }

    @Test("hints of HTTPS records are addresses, and ech goes")
    func hints() throws {
        var table = NameTable(rules: [try rule(0, "example.com")], now: 0)
        let permission = try permission(&table, "example.com", .https)
        let binding = ServiceBinding(
            priority: 1, target: .root,
            parameters: [
                .init(key: 4, value: [203, 0, 113, 10, 127, 0, 0, 1]), .init(key: 5, value: [1, 2, 3]),
            ])
        let record = DNSRecord(try name("example.com"), .https, timeToLive: 60, .binding(binding))
        var message = answer(permission, [record])
        message.additional = [DNSRecord(try name("example.com"), .v4(IPv4Address(203, 0, 113, 99)), timeToLive: 60)]
        let passage = try passage(table.answer(message, to: permission, now: 0))
        #expect(passage.grants.map(\.address) == [NameTableTests.web])
        let expected = ServiceBinding(
            priority: 1, target: .root, parameters: [.init(key: 4, value: [203, 0, 113, 10])])
        #expect(passage.changed?.answers.map(\.data) == [.binding(expected)])
        #expect(passage.changed?.additional.isEmpty == true)
    }

    @Test("limits against tunnels are kept, each with its event")
    func tunnels() throws {
        var limits = NameLimits()
        (limits.nameLength, limits.labelCount, limits.newNameBurst, limits.newNamesPerMinute) = (60, 6, 5, 60)
        limits.questionBurst = 50
        var table = NameTable(rules: [try rule(0, "*.example.com", "example.com")], limits: limits, now: 0)
        #expect(limit(try ask(&table, String(repeating: "a", count: 50) + ".example.com")) == .nameLength)
        #expect(limit(try ask(&table, "1.2.3.4.5.6.example.com")) == .labelCount)
        for index in 0..<5 { #expect(code(try ask(&table, "n\(index).example.com")) == nil) }
        #expect(limit(try ask(&table, "n5.example.com")) == .newNames)
        // What was asked before, and what is named outright, costs nothing.
        #expect(code(try ask(&table, "n0.example.com")) == nil)
        #expect(code(try ask(&table, "example.com")) == nil)
        #expect(code(try ask(&table, "n5.example.com", now: 1_000)) == nil)
        var last: NameEvent.Limit?
        for _ in 0..<60 { last = limit(try ask(&table, "example.com", now: 1_000)) }
        #expect(last == .questions)
        #expect(code(try ask(&table, "example.com", now: 2_000)) == nil)
    }

    @Test("bytes in new names below a wildcard are limited")
    func tunnelBytes() throws {
        var limits = NameLimits()
        limits.newNameByteBurst = 100
        var table = NameTable(rules: [try rule(0, "*.example.com")], limits: limits, now: 0)
        let filler = String(repeating: "x", count: 40)
        #expect(code(try ask(&table, "1\(filler).example.com")) == nil)
        #expect(code(try ask(&table, "2\(filler).example.com")) == nil)
        #expect(limit(try ask(&table, "3\(filler).example.com")) == .newNameBytes)
    }

    @Test("names below a wildcard that are asked again and again tell no more bytes than new ones may")
    func tunnelOfKnownNames() throws {
        var limits = NameLimits()
        limits.questionBurst = 99_999_999
        var table = NameTable(rules: [try rule(0, "*.example.com", "www.example.org")], limits: limits, now: 0)
        let names = try (0..<256).map { DNSQuestion(try name("n\($0).example.com"), .a) }
        // Each question chooses one of 256 names: a byte.
        var told = 0
        for number in 0..<70_000 {
            if case .forward = table.ask(names[number % 256], now: 0) { told += 1 }
        }
        #expect((10_000...limits.newNameByteBurst).contains(told))
        #expect(limit(try ask(&table, "n1.example.com")) == .newNameBytes)
        #expect(code(try ask(&table, "www.example.org")) == nil)
        told = 0
        for number in 0..<15_000 {
            if case .forward = table.ask(names[number % 256], now: UInt64(number * 4)) { told += 1 }
        }
        #expect((2_000...limits.newNameBytesPerMinute).contains(told))
    }

    @Test("names and addresses are capped, per rule and in all, and room comes back with time")
    func caps() throws {
        var limits = NameLimits()
        (limits.namesPerRule, limits.names, limits.addressesPerRule, limits.addresses) = (2, 3, 4, 100)
        let rules = [try rule(0, "*.example.com"), try rule(1, "*.example.org")]
        var table = NameTable(rules: rules, limits: limits, now: 0)
        _ = try grants(&table, "a.example.com", [NameTableTests.web])
        _ = try grants(&table, "b.example.com", [NameTableTests.web])
        #expect(throws: (any Error).self) { try grants(&table, "c.example.com", [NameTableTests.web]) }
        _ = try grants(&table, "a.example.org", [NameTableTests.web])
        #expect(throws: (any Error).self) { try grants(&table, "b.example.org", [NameTableTests.web]) }
        let many = (1...4).map { IPAddress.v4(IPv4Address(198, 51, 100, UInt8($0))) }
        #expect(throws: (any Error).self) { try grants(&table, "a.example.com", many) }
        #expect(table.held == (3, 2))
        table.expire(now: 10_000_000)
        #expect(try grants(&table, "c.example.com", many, now: 10_000_000).count == 4)
    }

    @Test("addresses of all rules together are capped, counted once for each rule, and what is held goes on")
    func addressCap() throws {
        var limits = NameLimits.reading(["addresses=3"]).limits
        limits.newNameBurst = 100
        let rules = [try rule(0, "example.com"), try rule(1, "*.example.com", "example.com")]
        var table = NameTable(rules: rules, limits: limits, now: 0)
        #expect(try grants(&table, "example.com", [NameTableTests.web]).count == 2)
        #expect(try grants(&table, "a.example.com", [.v4(IPv4Address(198, 51, 100, 1))]).count == 1)
        let permission = try permission(&table, "b.example.com")
        let record = DNSRecord(try name("b.example.com"), .v4(IPv4Address(198, 51, 100, 2)), timeToLive: 60)
        switch table.answer(answer(permission, [record]), to: permission, now: 0) {
        case .refuse(let code, let event):
            #expect(code == .refused && event == .limited(try name("b.example.com"), .addresses))
        case .pass: Issue.record("there was no room")
        }
        #expect(table.held == (3, 3))
        // What is held costs no more room, also by another name.
        #expect(try grants(&table, "c.example.com", [NameTableTests.web]).isEmpty)
    }

    @Test("one answer has no more addresses than the limit, and grants just those that it has")
    func manyAddresses() throws {
        var limits = NameLimits()
        limits.addressesPerAnswer = 3
        var table = NameTable(rules: [try rule(0, "example.com")], limits: limits, now: 0)
        let permission = try permission(&table, "example.com")
        let records = try (1...9).map {
            DNSRecord(try name("example.com"), .v4(IPv4Address(198, 51, 100, UInt8($0))), timeToLive: 60)
        }
        let passage = try passage(table.answer(answer(permission, records), to: permission, now: 0))
        #expect(passage.grants.count == 3)
        #expect(passage.events.contains(.limited(try name("example.com"), .addressesPerAnswer)))
        #expect(passage.changed?.answers == Array(records.prefix(3)))
    }
}
