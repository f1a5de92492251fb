// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What is known of a feed, attempt after attempt: pure, without clock or network.
///
/// A list that was good stays in force until a better one comes: an attempt that fails, whatever the reason, changes
/// nothing. Before the first good list there is none, and rules that name the group are closed: those that let out match
/// nothing, those that hold back match everything.
public struct FeedState: Hashable, Sendable {
    /// What an attempt led to.
    public enum Change: Hashable, Sendable {
        /// There are new blocks: policies that name the group are to be applied again.
        case replaced
        /// The list is what it was.
        case unchanged
        /// The attempt failed, and the last good list stays; why.
        case kept(FeedError)
        /// The attempt failed, and there is no good list yet; why.
        case closed(FeedError)
    }

    /// The first wait after a failure, in seconds; it doubles up to the feed's own interval.
    public static let firstRetry: Int64 = 30

    /// The feed.
    public let feed: Feed
    /// The last good list; `nil` before the first.
    public private(set) var blocks: [AddressBlock]?
    /// When the last good list came.
    public private(set) var loadedAt: Int64?
    /// What was wrong with the last attempt; `nil` if it was good.
    public private(set) var failure: FeedError?
    /// The attempts that have failed since the last good one.
    public private(set) var failures = 0
    /// When the next attempt is due; `nil` for at once.
    public private(set) var nextAttempt: Int64?

    /// Creates the state before the first attempt.
    ///
    /// - Parameters:
    ///   - feed: The feed.
    ///   - lastGood: A good list that was kept from an earlier life of the program.
    public init(_ feed: Feed, lastGood: [AddressBlock]? = nil) {
        self.feed = feed
        blocks = lastGood
    }

    /// Whether an attempt is due.
    ///
    /// - Parameter now: Seconds of a clock that does not run backwards; the same for all calls.
    /// - Returns: `true` if the source was never asked, or the pause after the last attempt is over.
    public func isDue(at now: Int64) -> Bool {
        nextAttempt.map { $0 <= now } ?? true
    }

    /// Takes what the source answered.
    public mutating func receive(_ bytes: [UInt8], at now: Int64) -> Change {
        do throws(FeedError) {
            let new = try feed.blocks(of: bytes)
            let isNew = new != blocks
            blocks = new
            loadedAt = now
            failure = nil
            failures = 0
            nextAttempt = FeedState.sum(now, feed.refresh)
            return isNew ? .replaced : .unchanged
        } catch {
            return fail(error, at: now)
        }
    }

    /// Takes that the source has what it had: a list must have come before, or this is a failure.
    public mutating func remain(at now: Int64) -> Change {
        guard blocks != nil else {
            return fail(FeedError("the source says that an unknown list is unchanged"), at: now)
        }
        loadedAt = now
        failure = nil
        failures = 0
        nextAttempt = FeedState.sum(now, feed.refresh)
        return .unchanged
    }

    /// Takes that the source could not be asked, or did not answer.
    public mutating func fail(_ error: FeedError, at now: Int64) -> Change {
        failure = error
        let wait = failures < 20 ? min(FeedState.firstRetry << Int64(failures), feed.refresh) : feed.refresh
        failures += failures == .max ? 0 : 1
        nextAttempt = FeedState.sum(now, wait)
        return blocks == nil ? .closed(error) : .kept(error)
    }

    /// One attempt, if one is due.
    ///
    /// - Parameters:
    ///   - now: The time.
    ///   - fetch: Asks the source for the whole list.
    /// - Returns: What it led to; `nil` if none was due.
    public mutating func attempt(
        at now: Int64, fetch: (Feed.Source) throws(FeedError) -> [UInt8]
    ) -> Change? {
        guard isDue(at: now) else { return nil }
        do throws(FeedError) {
            return receive(try fetch(feed.source), at: now)
        } catch {
            return fail(error, at: now)
        }
    }

    private static func sum(_ now: Int64, _ wait: Int64) -> Int64 {
        let (sum, isTooLarge) = now.addingReportingOverflow(wait)
        return isTooLarge ? .max : sum
    }
}
