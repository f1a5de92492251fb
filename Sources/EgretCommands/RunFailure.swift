// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Why a command could not be run, in words for the user.
struct RunFailure: Error {
    var message: String
    /// What to do about it.
    var advice: String?
    /// `env(1)`'s and `docker run`'s: 125 for Egret's own failures.
    var exitCode: Int32 = 125

    /// The message and the advice, ready to be printed.
    var lines: [String] {
        ["egret: \(message)"] + (advice.map { ["       \($0)"] } ?? [])
    }
}
