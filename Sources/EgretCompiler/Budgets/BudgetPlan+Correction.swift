// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNftables

extension BudgetPlan {
    /// Differences of what is left up to this many bytes are those of two readings that are not made at one moment.
    private static let grain: UInt64 = 1 << 16

    /// The most that a packet leaves behind for which not enough is left, in bytes.
    public static func leftover(ofAmount bytes: UInt64) -> UInt64 { min(grain, bytes / 2) }

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
        if distance <= min(grain, max(amount / 32, 3_000)) { return [] }
        let (sum, overflows) = used.addingReportingOverflow(account.left)
        let wanted = overflows ? quotaLimit : min(sum, quotaLimit)
        return wanted == bytes ? [] : [.addQuota(Quota(quota(of: account.name), bytes: wanted))]
    }
}
