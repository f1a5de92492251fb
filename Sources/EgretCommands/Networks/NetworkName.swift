// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNetworks
import EgretPolicy

/// A network as somebody names it.
enum NetworkName {
    /// That there is no network of a name, and which is meant, or where to look for it.
    static func absence(of name: String, among known: [String]) -> NetworkProblem {
        NetworkProblem(
            "there is no network \(name)",
            advice: Spelling.nearest(to: name, among: known).map { "did you mean \($0)?" }
                ?? "egret network ls lists those there are; egret network create makes one")
    }
}
