// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy
import Testing

/// What names and patterns mean.
struct DomainPatternTests {
    private func pattern(_ text: String) throws -> DomainPattern { try DomainPattern.parse(text) }
    private func name(_ text: String) throws -> DomainName { try DomainName.parse(text) }

    @Test("a name means itself alone")
    func exact() throws {
        let pattern = try pattern("x.io")
        #expect(pattern.covers(try name("x.io")))
        for other in ["a.x.io", "evilx.io", "x.io.evil.com", "io"] { #expect(!pattern.covers(try name(other))) }
    }

    @Test("a wildcard means every depth below, and not the name itself")
    func wildcard() throws {
        let pattern = try pattern("*.x.io")
        for below in ["a.x.io", "a.b.x.io", "_tcp.a.x.io"] { #expect(pattern.covers(try name(below))) }
        for other in ["x.io", "evilx.io", "a.x.io.com"] { #expect(!pattern.covers(try name(other))) }
    }

    @Test(
        "spellings of one name are one name",
        arguments: [
            ("WikiPedia.ORG", "wikipedia.org"), ("wikipedia.org.", "wikipedia.org"),
            ("bücher.example", "xn--bcher-kva.example"), ("BÜCHER.example", "xn--bcher-kva.example"),
            ("XN--BCHER-KVA.example", "xn--bcher-kva.example"), ("faß.de", "xn--fa-hia.de"),
            ("例え.テスト", "xn--r8jz45g.xn--zckzah"), ("президент.рф", "xn--d1abbgf6aiiy.xn--p1ai"),
            ("_acme-challenge.example.com", "_acme-challenge.example.com"), ("münchen.de", "xn--mnchen-3ya.de"),
        ])
    func canonical(text: String, expected: String) throws {
        #expect(try DomainName.parse(text).text == expected)
    }

    @Test(
        "what is no name is refused with a reason",
        arguments: [
            "", ".", "..", "a..b", ".a", "-a.b", "a-.b", "a b", "a/b", "http://a.b", "a.b:443", "u@a.b", "a\u{0}.b",
            "1.2.3.4", "127.1", "0x7f.1", "2130706433", "0", "::1", "a.1", "a.0x7f", "xn--.example", "xn--a.example",
            "xn--bcher-kva2!.example", "e\u{301}.example", "a\u{200d}b.example", "ﬁ.example", "Ⅷ.example", "💩.example",
            "a\u{3002}b", "ab--c\u{fc}.example", "\u{301}a.example", "א\u{61}.example", "xn--bcher-kva-.example",
        ])
    func refused(text: String) {
        #expect(throws: DomainProblem.self) { try DomainName.parse(text) }
    }

    @Test("limits are those of the DNS")
    func limits() throws {
        let label = String(repeating: "a", count: 63)
        #expect(throws: DomainProblem.self) { try DomainName.parse(label + "a.b") }
        let longest = [label, label, label, String(repeating: "a", count: 61)].joined(separator: ".")
        #expect(try DomainName.parse(longest + ".").text == longest)
        #expect(throws: DomainProblem.self) { try DomainName.parse(longest + "a") }
        #expect(throws: DomainProblem.self) { try DomainPattern.parse("*." + longest) }
    }

    @Test(
        "wildcards over public suffixes and other programs' patterns are refused",
        arguments: [
            "*", "**", "*.com", "*.co.uk", "*.github.io", "*.ck", "*.foo.ck", "*.s3.amazonaws.com", "*.unknown-top",
            "**.x.io", "*x.io", "w.*.io", "w*.x.io", ".x.io", "x.*", "[a-z].io", "(a|b).io", "*.", "*.*.x.io", "^x.io$",
            "*.xn--p1ai", "*.рф", "*.kawasaki.jp", "*.elb.amazonaws.com", "*.compute.amazonaws.com",
        ])
    func refusedPatterns(text: String) {
        #expect(throws: DomainProblem.self) { try DomainPattern.parse(text) }
    }

    @Test(
        "wildcards below public suffixes are taken",
        arguments: ["*.x.io", "*.x.co.uk", "*.www.ck", "*.me.github.io", "*.city.kawasaki.jp"])
    func taken(text: String) throws {
        #expect(try DomainPattern.parse(text).description == text)
    }

    @Test("a problem suggests what to write")
    func suggestions() throws {
        let problem = #expect(throws: DomainProblem.self) { try DomainPattern.parse(".x.io") }
        #expect(problem?.suggestion == "write x.io for the name itself and *.x.io for the names below it")
        let address = #expect(throws: DomainProblem.self) { try DomainPattern.parse("0x7f.1") }
        #expect(address?.suggestion == "use cidr for an address")
    }

    @Test("names from messages are read as they are, or not at all")
    func fromMessages() {
        #expect(DomainName(ascii: "WWW.Example.com.")?.text == "www.example.com")
        #expect(DomainName(labels: [Array("a.b".utf8), Array("c".utf8)]) == nil)
        #expect(DomainName(labels: [[0x61, 0], Array("c".utf8)]) == nil)
        #expect(DomainName(ascii: "bücher.example") == nil)
        #expect(DomainName(ascii: "") == nil)
    }

    @Test("a matcher of many patterns agrees with the patterns")
    func matcher() throws {
        var generator = SystemRandomNumberGenerator()
        let labels = ["a", "b", "c", "d"]
        func random(_ count: ClosedRange<Int>) -> String {
            (0..<Int.random(in: count, using: &generator)).map { _ in labels.randomElement(using: &generator) ?? "a" }
                .joined(separator: ".") + ".example.com"
        }
        var patterns: [DomainPattern] = []
        var matcher = DomainMatcher<Int>()
        for index in 0..<300 {
            let pattern = try DomainPattern.parse((Bool.random(using: &generator) ? "*." : "") + random(1...4))
            patterns.append(pattern)
            matcher.insert(pattern, index)
        }
        for _ in 0..<500 {
            let name = try DomainName.parse(random(1...6))
            let expected = patterns.indices.filter { patterns[$0].covers(name) }
            let found = matcher.matches(name)
            #expect(found.map(\.value).sorted() == expected)
            #expect(found.allSatisfy { $0.pattern == patterns[$0.value] })
        }
    }
}
