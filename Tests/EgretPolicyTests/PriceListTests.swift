// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDocuments
import EgretPolicy
import Testing

@Suite("Price lists")
struct PriceListTests {
    private static let gigabyte: UInt64 = 1_000_000_000

    private func read(_ text: String) -> PolicyReader.Result {
        PolicyFiles.read([("prices.yaml", Array(text.utf8))], scope: .manifests, timeZones: testTimeZones)
    }

    /// As clouds charge: what is free, and less for more.
    private func internet() throws -> PriceList.Entry {
        PriceList.Entry(
            name: "internet", free: ByteCount("100GB"),
            tiers: [
                .init(upTo: ByteCount("10TB"), price: try #require(TrafficPrice("0.09 USD/GB"))),
                .init(upTo: ByteCount("50TB"), price: try #require(TrafficPrice("0.085 USD/GB"))),
                .init(price: try #require(TrafficPrice("0.07 USD/GB"))),
            ])
    }

    @Test("every field is read, and what is left out has its default")
    func fields() throws {
        let result = read(
            """
            apiVersion: egret.dev/v1
            kind: DestinationGroup
            metadata: { name: zones }
            spec: { cidrs: [10.0.0.0/16] }
            ---
            apiVersion: egret.dev/v1
            kind: PriceList
            metadata: { name: cloud }
            spec:
              timezone: Europe/Zurich
              prices:
              - { name: same-zone, to: [{ cidr: 10.0.1.0/24 }], direction: both, price: 0 USD/GB }
              - { name: other-zone, to: [{ group: zones }, { group: private }], price: 0.01 USD/GB }
              - name: internet
                free: 100GB
                tiers:
                - { upTo: 10TB, price: 0.09 USD/GB }
                - { upTo: 50TB, price: 0.085 USD/GB }
                - { price: 0.07 USD/GB }
            """)
        #expect(result.diagnostics.map(DiagnosticFormatter.format) == [])
        #expect(result.kinds["PriceList"] == 1)
        let list = try #require(result.priceLists.first)
        #expect(list.name == "cloud" && list.zone.name == "Europe/Zurich" && list.currency == "USD")
        #expect(list.entries.map(\.name) == ["same-zone", "other-zone", "internet"])
        #expect(list.entries.map(\.direction) == [.both, .egress, .egress])
        #expect(list.entries.map(\.destinations.count) == [1, 2, 0])
        #expect(list.entries[0].tiers.map(\.price.micros) == [0])
        #expect(list.location?.line == 6)
        var last = list.entries[2]
        last.location = nil
        #expect(try last == internet())
        #expect(result.catalog.priceLists == result.priceLists)
    }

    @Test("an entry may be for ports, and one behind those for everything is for nothing")
    func ports() throws {
        let result = read(
            """
            apiVersion: egret.dev/v1
            kind: PriceList
            metadata: { name: cloud }
            spec:
              prices:
              - { name: web, ports: [443/tcp, 8000-8999/udp], price: 0.01 USD/GB }
              - { name: all, price: 0.02 USD/GB }
              - { name: never, ports: [53/udp], price: 0.03 USD/GB }
            """)
        #expect(result.diagnostics.map { "\($0.location?.line ?? 0) \($0.code.rawValue)" } == ["8 EGR0041"])
        let list = try #require(result.priceLists.first)
        #expect(list.hasServices && list.entries.map(\.services.count) == [2, 0, 1])
    }

    @Test("a group that is not there is a mistake, and one with names is none")
    func groups() {
        func mistakes(_ group: String) -> [String] {
            read(
                """
                apiVersion: egret.dev/v1
                kind: DestinationGroup
                metadata: { name: wiki }
                spec: { domains: [wikipedia.org] }
                ---
                apiVersion: egret.dev/v1
                kind: PriceList
                metadata: { name: cloud }
                spec: { prices: [{ name: a, to: [{ group: \(group) }], price: 1 EUR/GB }] }
                """
            ).diagnostics.map { "\($0.location?.line ?? 0) \($0.code.rawValue)" }
        }
        #expect(mistakes("wiky") == ["9 EGR0024"])
        #expect(mistakes("wiki") == [])
    }

    @Test("an entry may be for names, and counts what was reached by one of them")
    func names() throws {
        let result = read(
            """
            apiVersion: egret.dev/v1
            kind: DestinationGroup
            metadata: { name: wiki }
            spec: { domains: [wikipedia.org], cidrs: [198.51.100.0/24] }
            ---
            apiVersion: egret.dev/v1
            kind: PriceList
            metadata: { name: cloud }
            spec:
              prices:
              - { name: video, to: [{ domains: ["*.video.example"] }, { cidr: 192.0.2.0/24 }], price: 0.01 USD/GB }
              - { name: wiki, to: [{ group: wiki }], price: 0.02 USD/GB }
              - { name: rest, direction: both, price: 0.03 USD/GB }
            """)
        #expect(result.diagnostics.map(DiagnosticFormatter.format) == [])
        let list = try #require(result.priceLists.first)
        #expect(list.entries.map(\.domains.count) == [1, 0, 0] && !list.hasServices)
        let groups = Dictionary(result.groups.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        #expect(list.mustBeAskedInOrder(groups) && list.mustBeAskedInOrder([:]))
        #expect(list.entries[1].patterns(groups).map(\.description) == ["wikipedia.org"])
        let address = try #require(IPAddress("203.0.113.10"))
        func entry(_ name: String?, _ far: IPAddress? = nil) throws -> String? {
            let place = list.entry(
                for: far ?? address, .tcp, port: 443, name: try name.map { try DomainName.parse($0) }, .egress,
                groups: groups)
            return place.map { list.entries[$0].name }
        }
        #expect(try entry("a.video.example") == "video")
        #expect(try entry("wikipedia.org") == "wiki")
        #expect(try entry("video.example") == "rest")
        #expect(try entry(nil) == "rest")
        #expect(try entry("wikipedia.org", IPAddress("192.0.2.7")) == "video")
        #expect(try entry(nil, IPAddress("198.51.100.7")) == "wiki")
    }

    @Test(
        "free bytes are the first ones, and every byte costs what its tier says",
        arguments: [
            (0, 0), (100, 0), (101, 90_000), (10_000, 891_000_000), (10_001, 891_085_000), (50_000, 4_291_000_000),
            (60_000, 4_991_000_000),
        ] as [(UInt64, UInt64)])
    func tiers(_ gigabytes: UInt64, _ micros: UInt64) throws {
        #expect(try internet().micros(of: gigabytes * Self.gigabyte) == micros)
    }

    @Test("what is free may reach beyond the first tier")
    func largeAllowance() throws {
        var entry = try internet()
        entry.free = ByteCount("20TB")
        #expect(entry.micros(of: 20_000 * Self.gigabyte) == 0)
        #expect(entry.micros(of: 20_001 * Self.gigabyte) == 85_000)
    }

    @Test("the sum is rounded down once, not by tiers, and nothing overflows or traps")
    func rounding() throws {
        let price = try #require(TrafficPrice("0.0005 USD/GB"))
        let entry = PriceList.Entry(
            name: "a", tiers: [.init(upTo: ByteCount("1MB"), price: price), .init(price: price)])
        #expect(entry.micros(of: 1_000_000) == 0)
        #expect(entry.micros(of: 1_999_999) == 0)
        #expect(entry.micros(of: 2_000_000) == 1)
        #expect(try internet().micros(of: .max) == 1_291_272_876_159_668)
        let dear = try #require(TrafficPrice("1000000 USD/B"))
        #expect(PriceList.Entry(name: "a", tiers: [.init(price: dear)]).micros(of: .max) == .max)
        #expect(PriceList.Entry(name: "a", tiers: []).micros(of: .max) == 0)
    }

    @Test("a day costs what it adds to its month, and each has his part of it")
    func shares() throws {
        let entry = try internet()
        let days = [[60, 60], [30], [0, 0], [10, 0, 5]].map { $0.map { UInt64($0) * Self.gigabyte } }
        #expect(
            entry.shares(of: days) == [[900_000, 900_000], [2_700_000], [0, 0], [900_000, 0, 450_000]])
        #expect(entry.shares(of: []) == [])
        #expect(entry.shares(of: [[.max, .max]])[0].reduce(0, +) == entry.micros(of: .max))
    }

    @Test("parts are together exactly the whole, whatever is divided", arguments: 0..<20)
    func wholes(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let price = try #require(TrafficPrice("0.\(Int.random(in: 1...999_999, using: &random)) USD/kB"))
        let entry = PriceList.Entry(
            name: "a", free: ByteCount(bytes: UInt64.random(in: 0...5_000, using: &random)),
            tiers: [
                .init(upTo: ByteCount(bytes: UInt64.random(in: 1...9_000, using: &random)), price: price),
                .init(price: TrafficPrice(micros: 7, currency: "USD", unit: price.unit)),
            ])
        let days = (0..<31).map { _ in
            (0..<Int.random(in: 0...4, using: &random)).map { _ in UInt64.random(in: 0...999, using: &random) }
        }
        let shares = entry.shares(of: days)
        #expect(shares.map(\.count) == days.map(\.count))
        #expect(shares.joined().reduce(0, +) == entry.micros(of: days.joined().reduce(0, +)))
        var before: UInt64 = 0
        for bytes in UInt64(0)..<2_000 {
            #expect(entry.micros(of: bytes) >= before)
            before = entry.micros(of: bytes)
        }
    }

    @Test("months begin with their first day")
    func months() throws {
        let day = try #require(CivilDate(year: 2026, month: 2, day: 28))
        #expect(PriceList.month(of: day).description == "2026-02-01")
        #expect(PriceList.month(of: PriceList.month(of: day)).description == "2026-02-01")
    }
}
