// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// How much an endpoint may ask, and hold.
public struct NameLimits: Hashable, Sendable {
    /// The longest name, in bytes without compression, 255 at most.
    public var nameLength = 200
    /// The most labels of a name.
    public var labelCount = 16
    /// Questions per second, in the long run.
    public var questionsPerSecond = 1_000
    /// Questions at once.
    public var questionBurst = 2_000
    /// New names below a wildcard per minute, in the long run: what a tunnel under an allowed wildcard needs many of.
    public var newNamesPerMinute = 240
    /// New names below a wildcard at once.
    public var newNameBurst = 1_024
    /// Bytes that names below a wildcard may tell per minute: those before the wildcard's own labels in new names, and in
    /// a question for a known one a byte, and which of them it is.
    public var newNameBytesPerMinute = 8_192
    /// Such bytes at once.
    public var newNameByteBurst = 65_536
    /// Names that an endpoint may hold addresses of at a time, counted once for each rule.
    public var names = 8_192
    /// The same for one rule.
    public var namesPerRule = 4_096
    /// Addresses that an endpoint may hold at a time, counted once for each rule.
    public var addresses = 16_384
    /// The same for one rule.
    public var addressesPerRule = 8_192
    /// Addresses in one answer.
    public var addressesPerAnswer = 64
    /// Aliases (CNAME) in one answer.
    public var aliasesPerAnswer = 16
    /// Questions that wait for an answer at a time.
    public var pendingQuestions = 512
    /// TCP connections of clients at a time.
    public var connections = 64
    /// The shortest time that an element stays, in seconds, grace left out.
    public var shortestLifetime: UInt32 = 30
    /// The longest time that an answer may be kept, in seconds; longer lifetimes are lowered in the answer too.
    public var longestLifetime: UInt32 = 3_600
    /// How long an element stays beyond the answer's lifetime, in seconds.
    public var grace: UInt32 = 60

    /// The defaults.
    public init() {}
}

/// A budget that refills with time.
struct TokenBucket: Sendable {
    private let capacity: Double
    private let perMillisecond: Double
    private var tokens: Double
    private var last: UInt64

    init(capacity: Int, perSecond: Double, now: UInt64) {
        self.capacity = Double(capacity)
        perMillisecond = perSecond / 1_000
        tokens = Double(capacity)
        last = now
    }

    /// Whether there are so many.
    mutating func has(_ count: Int = 1, now: UInt64) -> Bool {
        if now > last {
            tokens = min(capacity, tokens + Double(now - last) * perMillisecond)
            last = now
        }
        return tokens >= Double(count)
    }

    /// Takes so many, or none if there are too few.
    mutating func take(_ count: Int = 1, now: UInt64) -> Bool {
        guard has(count, now: now) else { return false }
        tokens -= Double(count)
        return true
    }
}
