// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy
import Synchronization

/// What is known of the feeds that are URLs: the lists in memory and on disk, and when each is asked for again.
///
/// Lists are fetched and read outside the agent's thread, which is only told that there is a new one.
final class FeedKeeper: Sendable {
    private struct Entry: Sendable {
        var state: FeedState
        var validators: FeedFetcher.Validators
        var isUnderWay = false
        var attempts = 0
    }

    private let archive: FeedArchive
    private let fetcher: FeedFetcher?
    private let uptime: @Sendable () -> Int64
    private let log: @Sendable (String) -> Void
    private let entries = Mutex<[Feed: Entry]>([:])
    /// The feeds of groups in force when this was last told; `nil` before.
    private let needed = Mutex<Swift.Set<Feed>?>(nil)

    /// Creates a keeper.
    ///
    /// - Parameters:
    ///   - archive: Where lists are kept.
    ///   - fetcher: Asks servers; `nil` for a keeper that never does.
    ///   - uptime: Seconds of a clock that nobody sets.
    ///   - log: Takes lines for whoever runs the agent.
    init(
        _ archive: FeedArchive, _ fetcher: FeedFetcher?, uptime: @escaping @Sendable () -> Int64,
        log: @escaping @Sendable (String) -> Void
    ) {
        self.archive = archive
        self.fetcher = fetcher
        self.uptime = uptime
        self.log = log
    }

    /// The last good list of a feed; `nil` before the first. From then on the feed is kept.
    func blocks(of feed: Feed) -> [AddressBlock]? {
        let keys = FeedArchive.keys(of: feed)
        if keys.isEmpty { return nil }
        if let entry = entries.withLock({ $0[feed] }) { return entry.state.blocks }
        var blocks: [AddressBlock]?
        var validators = FeedFetcher.Validators()
        for key in keys {
            // The feed may ask for another digest than it did.
            guard let kept = archive.read(key), let found = try? feed.blocks(of: kept.bytes) else { continue }
            if key != keys.first { keep(kept, of: feed) }
            (blocks, validators) = (found, kept.validators)
            break
        }
        let entry = Entry(state: FeedState(feed, lastGood: blocks), validators: validators)
        entries.withLock { $0[feed] = $0[feed] ?? entry }
        return blocks
    }

    /// Why a feed's list is not there, or not fresh; `nil` if it is.
    func failure(of feed: Feed) -> String? {
        entries.withLock { $0[feed]?.state.failure?.description }
    }

    /// How often a server was asked for a feed to the end.
    func attempts(of feed: Feed) -> Int { entries.withLock { $0[feed]?.attempts ?? 0 } }

    /// Forgets feeds that no group has; on disk, lists that going back may need stay.
    ///
    /// - Parameters:
    ///   - feeds: The feeds of groups in force.
    ///   - revision: The number of the revision in force.
    ///   - oldest: The number of the oldest revision that is kept; asked for only when the feeds are others than before.
    func keep(_ feeds: Swift.Set<Feed>, in revision: Int, oldest: () -> Int) {
        let hasGone = entries.withLock { entries in
            let count = entries.count
            entries = entries.filter { feeds.contains($0.key) }
            return entries.count < count
        }
        let areOthers = needed.withLock { needed in
            let areOthers = needed != feeds
            needed = feeds
            return areOthers
        }
        guard hasGone || areOthers else { return }
        archive.forget(
            except: Swift.Set(feeds.flatMap { FeedArchive.keys(of: $0) }), in: revision, oldest: oldest())
    }

    /// Begins to fetch what is due.
    ///
    /// - Parameter arrived: Called when a list has come that is another than before.
    func fetchDue(_ arrived: @escaping @Sendable () async -> Void) {
        guard let fetcher else { return }
        let now = uptime()
        let due = entries.withLock { entries in
            let due = entries.filter { !$0.value.isUnderWay && $0.value.state.isDue(at: now) }
            for feed in due.keys { entries[feed]?.isUnderWay = true }
            return due
        }
        for (feed, entry) in due {
            Task {
                if await self.fetch(feed, entry.validators, fetcher) { await arrived() }
            }
        }
    }

    /// Asks once. Returns whether there is a new list.
    private func fetch(_ feed: Feed, _ validators: FeedFetcher.Validators, _ fetcher: FeedFetcher) async -> Bool {
        guard case .url(let url) = feed.source, var state = entries.withLock({ $0[feed]?.state }) else { return false }
        var fresh = validators
        let change: FeedState.Change
        do throws(FeedError) {
            switch try await fetcher.fetch(url, validators) {
            case .list(let bytes, let told):
                change = state.receive(bytes, at: uptime())
                if case .replaced = change { keep(FeedArchive.Kept(bytes: bytes, validators: told), of: feed) }
                if state.failure == nil { fresh = told }
            case .unchanged: change = state.remain(at: uptime())
            }
        } catch {
            change = state.fail(error, at: uptime())
        }
        let (result, told) = (state, fresh)
        entries.withLock { entries in
            // It may have been forgotten meanwhile.
            guard let attempts = entries[feed]?.attempts else { return }
            entries[feed] = Entry(state: result, validators: told, attempts: attempts + 1)
        }
        return report(change, url)
    }

    private func keep(_ kept: FeedArchive.Kept, of feed: Feed) {
        do {
            for key in FeedArchive.keys(of: feed) { try archive.keep(kept, of: key) }
        } catch {
            log("the list of \(feed.source) is not kept for the next start: \(error)")
        }
    }

    private func report(_ change: FeedState.Change, _ url: String) -> Bool {
        switch change {
        case .replaced:
            log("there is a new list of \(url)")
            return true
        case .unchanged: return false
        case .kept(let error):
            log("the last good list of \(url) stays: \(error)")
            return false
        case .closed(let error):
            log("there is no list of \(url) yet, and rules that name it are closed: \(error)")
            return false
        }
    }
}
