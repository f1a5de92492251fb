// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNftables
public import EgretPolicy

extension BudgetPlan {
    /// Differences of what is left up to this many bytes are those of two readings that are not made at one moment.
    private static let grain: UInt64 = 1 << 16

    /// The most that a packet leaves behind for which not enough is left.
    public static func leftover(of amount: BudgetAmount) -> UInt64 {
        amount.unit == .bytes ? min(grain, amount.count / 2) : 0
    }

    /// What gives an account's quota what is left of the account: packets use it that another account drops.
    ///
    /// - Parameters:
    ///   - account: The account, with what is left by the counters.
    ///   - amount: How much the account has in all, in bytes.
    ///   - bytes: How much the quota has in all, in bytes.
    ///   - used: How much of that is used.
    ///   - leftover: What may be left of an account that is used up.
    /// - Returns: Steps for one transaction, none if the quota is right; `nil` if the account is used up.
    public static func correction(
        of account: Account, amount: UInt64, bytes: UInt64, used: UInt64, leftover: UInt64
    ) -> [EgretNftables.Operation]? {
        if used >= bytes { return account.left <= leftover ? nil : renewal(of: account) }
        let left = bytes - used
        let distance = left > account.left ? left - account.left : account.left - left
        if account.left > 0, distance <= min(grain, max(amount / 32, 3_000)) { return [] }
        let wanted = min(used.addingClamped(account.left), quotaLimit)
        return wanted == bytes ? [] : [.addQuota(Quota(quota(of: account.name), bytes: wanted))]
    }

    /// What is to be done about an account of packets or connections.
    public struct TallyCorrection: Hashable, Sendable {
        /// Steps for one transaction; none if what the kernel holds is right.
        public var steps: [EgretNftables.Operation]
        /// The last number that passes when they are taken.
        public var bound: UInt64

        /// Creates a correction.
        public init(steps: [EgretNftables.Operation], bound: UInt64) {
            self.steps = steps
            self.bound = bound
        }
    }

    /// So many may come between a reading and what is made anew by it.
    private static let tallyMargin: UInt64 = 1 << 22

    /// What makes an account of packets, or connections, let pass as many as are left.
    ///
    /// What is left must not have been read before `asked` was: then no more pass than are left, whatever comes meanwhile.
    ///
    /// - Parameters:
    ///   - account: The account, with what is left by the counters.
    ///   - amount: How much the account has in all.
    ///   - bound: The last number that passes now.
    ///   - asked: How many have asked so far.
    /// - Returns: What is to be done; `nil` if the account is used up.
    public static func correction(
        ofTally account: Account, amount: UInt64, bound: UInt64, asked: UInt64
    ) -> TallyCorrection? {
        if asked >= bound {
            return account.left == 0 ? nil : renewal(ofTally: account, left: account.left)
        }
        let sum = asked.addingClamped(account.left)
        if sum > tallyLimit, asked > tallyLimit / 2, account.left >= tallyMargin {
            // Numbers come to their end. What passes until they are made anew is counted, and put right with the rest.
            return renewal(ofTally: account, left: account.left / 2)
        }
        let wanted = min(sum, tallyLimit)
        // Differences that small are those of two readings that are not made at one moment. Of an amount that was changed there
        // are such, too: the less is left, the smaller they may be, and none where nothing is.
        let distance = wanted > bound ? wanted - bound : bound - wanted
        if distance <= min(1_000, amount / 1_000, account.left / 8) { return TallyCorrection(steps: [], bound: bound) }
        let sets = (Tally.numbers(of: account, to: bound), Tally.numbers(of: account, to: wanted))
        return TallyCorrection(steps: [.deleteElements(sets.0), .addElements(sets.1)], bound: wanted)
    }

    private static func renewal(ofTally account: Account, left: UInt64) -> TallyCorrection {
        var account = account
        account.bound = min(left, tallyLimit)
        return TallyCorrection(steps: renewal(of: account), bound: account.bound ?? 0)
    }
}
