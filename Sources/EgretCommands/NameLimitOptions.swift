// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretNames

/// The flags about how much may be asked below allowed names, and how many names and addresses may be held.
struct NameLimitOptions: ParsableArguments {
    @Option(
        name: .customLong("dns-limit"),
        help: ArgumentHelp(
            "A limit on questions for names, and on what is held of them, for each endpoint: new-names=60/min. May be given "
                + "more than once.",
            discussion: """
                name-length (bytes, 200) and labels (16) of a name; questions (1000/s); new names below a wildcard \
                (new-names, 240/min) and what they tell (new-bytes, 8KiB/min), each also with -burst; names that are held \
                (names, 8192; names-per-rule, 4096), and their addresses (addresses, 16384; addresses-per-rule, 8192).
                """,
            valueName: "limit=value")
    )
    var texts: [String] = []

    /// The limits.
    ///
    /// - Throws: `ValidationError` with all mistakes.
    func limits() throws -> NameLimits {
        let (limits, mistakes) = NameLimits.reading(texts)
        guard mistakes.isEmpty else {
            throw ValidationError(mistakes.map { "--dns-limit \($0)" }.joined(separator: "\n"))
        }
        return limits
    }
}
