// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretPolicy
import EgretTesting
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import EgretAgent

@Suite("Feeds from URLs", .serialized)
struct FeedTests {
    @Test(
        "URLs of https are read, and nothing else",
        arguments: [
            ("https://example.org/list?a=b#c", "example.org 443 /list?a=b"),
            ("HTTPS://example.org:8443", "example.org 8443 /"), ("https://[2001:db8::1]:1/x", "2001:db8::1 1 /x"),
            ("https://example.org?x", "example.org 443 /?x"), ("http://example.org/", "-"), ("file:///etc/passwd", "-"),
            ("https://user:secret@example.org/", "-"), ("https://exa mple.org/", "-"), ("https:///x", "-"),
            ("https://example.org:0/", "-"), ("https://example.org:65536/", "-"), ("https://[::1", "-"),
            ("https://example.org/\r\nx: y", "-"),
        ])
    func urls(_ text: String, _ expected: String) {
        #expect(FeedURL(text).map { "\($0.host) \($0.port) \($0.target)" } ?? "-" == expected)
    }

    /// A server of lists on this machine, and a fetcher that trusts it.
    private func withServer(
        for address: String = "127.0.0.1", isExpired: Bool = false, isTrusted: Bool = true,
        _ body: (_ base: String, _ fetcher: FeedFetcher, _ log: String) async throws -> Void
    ) async throws {
        let (authority, folder) = (try Authority("feeds"), try TemporaryDirectory())
        let files = try authority.issue("server", for: address, isExpired: isExpired)
        let port = Int.random(in: 20_000...60_000)
        let script =
            String(#filePath.prefix(upTo: #filePath.lastIndex(of: "/") ?? #filePath.endIndex)) + "/FeedServer.py"
        let server = try RunningProgram(
            ["python3", script, "\(port)", files.certificate, files.key, "\(folder.path)/log"])
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        var limits = FeedFetcher.Limits()
        limits.bytes = 1 << 20
        limits.silence = .milliseconds(500)
        limits.whole = .seconds(2)
        do {
            let fetcher = try FeedFetcher(
                group: group, authorities: isTrusted ? authority.certificate : nil, limits: limits)
            try await listening(port, group)
            try await body("https://127.0.0.1:\(port)", fetcher, "\(folder.path)/log")
        } catch {
            server.send(signal: 9)
            _ = server.wait()
            throw error
        }
        server.send(signal: 9)
        _ = server.wait()
        try await group.shutdownGracefully()
    }

    private func listening(_ port: Int, _ group: MultiThreadedEventLoopGroup) async throws {
        for _ in 0..<200 {
            if let channel = try? await ClientBootstrap(group: group).connect(host: "127.0.0.1", port: port).get() {
                return try await channel.close()
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    private func outcome(_ url: String, _ fetcher: FeedFetcher) async -> String {
        do throws(FeedError) {
            switch try await fetcher.fetch(url, FeedFetcher.Validators()) {
            case .list(let bytes, _):
                return try "\(Feed(.url(url)).blocks(of: bytes).count) blocks"
            case .unchanged: return "unchanged"
            }
        } catch {
            return error.message
        }
    }

    @Test("a good list comes, and whatever else a server does is an error in time")
    func answers() async throws {
        try await withServer { base, fetcher, _ in
            let expected = [
                ("good", "100 blocks"), ("moved", "100 blocks"), ("missing", "status 404"),
                ("truncated", "ends too early"), ("unending", "more than 1048576 bytes"),
                ("large", "more than 1048576 bytes"), ("slow", "within 2 s"), ("silent", "silent"),
                ("garbage", "wrong"), ("page", "wrong"), ("nothing", "no address"), ("nonsense", "not HTTP"),
                ("coded", "gzip"), ("file", "leads to file:///etc/hostname"), ("plain", "leads to http://"),
                ("loop", "more than 5 times"),
            ]
            for (path, words) in expected {
                let found = await outcome("\(base)/\(path)", fetcher)
                #expect(found.contains(words), "\(path): \(found)")
            }
            #expect(await outcome("https://127.0.0.1:1/", fetcher).contains("cannot be asked"))
            #expect(await outcome("http://127.0.0.1/", fetcher).contains("no URL of https"))
        }
    }

    @Test("a certificate of nobody, for another host, or of another time is not taken")
    func certificates() async throws {
        try await withServer(isTrusted: false) { base, fetcher, _ in
            #expect(await outcome("\(base)/good", fetcher).contains("cannot be asked"))
        }
        try await withServer(for: "192.0.2.1") { base, fetcher, _ in
            #expect(await outcome("\(base)/good", fetcher).contains("cannot be asked"))
        }
        try await withServer(isExpired: true) { base, fetcher, _ in
            #expect(await outcome("\(base)/good", fetcher).contains("cannot be asked"))
        }
    }

    /// Lets the keeper fetch, and waits until it has.
    private func fetch(_ keeper: FeedKeeper, _ feed: Feed) async throws -> Bool {
        let arrivals = Mutex(0)
        let before = keeper.attempts(of: feed)
        keeper.fetchDue { arrivals.withLock { $0 += 1 } }
        for _ in 0..<200 where keeper.attempts(of: feed) == before { try await Task.sleep(for: .milliseconds(25)) }
        try await Task.sleep(for: .milliseconds(25))
        return arrivals.withLock { $0 > 0 }
    }

    @Test("the last good list stays over failures and restarts, and a server is asked whether it has changed")
    func keeping() async throws {
        try await withServer { base, fetcher, log in
            let folder = try TemporaryDirectory()
            let uptime = Mutex<Int64>(0)
            func keeper() -> FeedKeeper {
                FeedKeeper(
                    FeedArchive(directory: folder.path + "/feeds"), fetcher, uptime: { uptime.withLock { $0 } },
                    log: { _ in })
            }
            let (first, feed) = (keeper(), Feed(.url("\(base)/good"), refresh: 3_600))
            #expect(first.blocks(of: feed) == nil)
            #expect(try await fetch(first, feed))
            #expect(first.blocks(of: feed)?.count == 100)
            // Not due before its time; then the server says that nothing has changed.
            #expect(try await !fetchNow(first))
            uptime.withLock { $0 = 3_600 }
            #expect(try await !fetch(first, feed))
            #expect(first.failure(of: feed) == nil)
            let second = keeper()
            #expect(second.blocks(of: feed)?.count == 100)
            #expect(try await !fetch(second, feed))
            let requests = String(decoding: try contents(of: log), as: UTF8.self).split(separator: "\n")
            #expect(
                requests == [
                    "/good None None", "/good \"one\" Tue, 01 Jul 2025 00:00:00 GMT",
                    "/good \"one\" Tue, 01 Jul 2025 00:00:00 GMT",
                ])

            let bad = Feed(.url("\(base)/missing"))
            #expect(second.blocks(of: bad) == nil)
            #expect(try await !fetch(second, bad))
            #expect(second.blocks(of: bad) == nil)
            #expect(second.failure(of: bad)?.contains("404") == true)
            // Another digest is asked for: what is kept will not do.
            let other = Feed(.url("\(base)/good"), sha256: String(repeating: "0", count: 64))
            #expect(second.blocks(of: other) == nil)
            #expect(try await !fetch(second, other))
            #expect(second.failure(of: other)?.contains("digest") == true)
            #expect(second.blocks(of: feed)?.count == 100)
            // What a damaged disk holds is nothing.
            for name in try files(in: folder.path + "/feeds", endingIn: [".list"]) {
                try write("0.0.0.0/0\n", to: "\(folder.path)/feeds/\(name)")
            }
            #expect(keeper().blocks(of: feed) == nil)
        }
    }

    private func fetchNow(_ keeper: FeedKeeper) async throws -> Bool {
        let arrivals = Mutex(0)
        keeper.fetchDue { arrivals.withLock { $0 += 1 } }
        try await Task.sleep(for: .milliseconds(100))
        return arrivals.withLock { $0 > 0 }
    }

    @Test("a server that says that an unknown list is unchanged has no list")
    func stale() async throws {
        try await withServer { base, fetcher, _ in
            let folder = try TemporaryDirectory()
            let keeper = FeedKeeper(
                FeedArchive(directory: folder.path), fetcher, uptime: { 0 }, log: { _ in })
            let feed = Feed(.url("\(base)/stale"))
            #expect(keeper.blocks(of: feed) == nil)
            #expect(try await !fetch(keeper, feed))
            #expect(keeper.blocks(of: feed) == nil)
            #expect(keeper.failure(of: feed)?.contains("unchanged") == true)
        }
    }

    @Test("a list that a feed names by its digest stays for going back, whatever its URL has had since")
    func digests() throws {
        let folder = try TemporaryDirectory()
        let archive = FeedArchive(directory: folder.path + "/feeds")
        let url = "https://lists.example.org/partners"
        let lists = ["203.0.113.7\n", "198.51.100.7\n"].map { Array($0.utf8) }
        let feeds = lists.map { Feed(.url(url), sha256: SHA256.digest(of: $0)) }
        for (number, list) in lists.enumerated() {
            // As if the server had it.
            try archive.keep(FeedArchive.Kept(bytes: list, validators: FeedFetcher.Validators()), of: url)
            let keeper = FeedKeeper(archive, nil, uptime: { 0 }, log: { _ in })
            #expect(try keeper.blocks(of: feeds[number]) == feeds[number].blocks(of: list))
            keeper.keep([feeds[number]], in: number + 1, oldest: { 1 })
        }
        let later = FeedKeeper(archive, nil, uptime: { 0 }, log: { _ in })
        #expect(try later.blocks(of: feeds[0]) == feeds[0].blocks(of: lists[0]))
        #expect(later.blocks(of: Feed(.url(url))) != nil)
        // What no revision that is kept may have needed goes.
        later.keep([feeds[1]], in: 3, oldest: { 2 })
        #expect(try files(in: folder.path + "/feeds", endingIn: [".list"]).count == 2)
    }

    @Test("lists that nothing in force needs stay for going back: the latest, while a revision may have needed them")
    func past() throws {
        let folder = try TemporaryDirectory()
        let archive = FeedArchive(directory: folder.path + "/feeds", room: 25)
        func come(_ urls: String...) throws {
            let list = FeedArchive.Kept(bytes: Array("203.0.113.7\n".utf8), validators: FeedFetcher.Validators())
            for url in urls { try archive.keep(list, of: url) }
        }
        func kept() -> [String] { ["a", "b", "c", "d"].filter { archive.read($0) != nil } }
        try come("a", "b", "c")
        archive.forget(except: ["a", "b", "c"], in: 1, oldest: 1)
        archive.forget(except: ["b", "c"], in: 2, oldest: 1)
        archive.forget(except: ["c"], in: 3, oldest: 1)
        archive.forget(except: [], in: 4, oldest: 1)
        #expect(kept() == ["a", "b", "c"])
        // There is room for two besides what the revision in force has let go.
        try come("d")
        archive.forget(except: ["d"], in: 4, oldest: 1)
        #expect(kept() == ["a", "b", "c", "d"])
        archive.forget(except: [], in: 5, oldest: 1)
        #expect(kept() == ["b", "c", "d"])
        // What is needed again is let go anew.
        archive.forget(except: ["b"], in: 6, oldest: 1)
        archive.forget(except: [], in: 7, oldest: 5)
        #expect(kept() == ["b"])
        archive.forget(except: [], in: 8, oldest: 7)
        #expect(kept().isEmpty)
        #expect(try files(in: folder.path + "/feeds", endingIn: [".list", ".json", ".past"]).isEmpty)
    }
}
