// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentClient
import EgretPolicy

/// An endpoint as somebody names it: whole, `shop/web`, or by an end that only one has, `web`.
enum EndpointName {
    /// The whole name; `nil` if no endpoint has it, nor that end.
    ///
    /// - Parameters:
    ///   - name: What somebody has typed.
    ///   - names: The whole names of the endpoints that there are.
    /// - Returns: One of them.
    /// - Throws: An error that names those that have the end, if there are several.
    static func whole(_ name: String, among names: [String]) throws(AgentClientError) -> String? {
        if names.contains(name) { return name }
        let meant = Set(names.filter { $0.hasSuffix("/" + name) }).sorted()
        if meant.count > 1 {
            throw AgentClientError("\(name) is in several groups: \(meant.joined(separator: ", "))")
        }
        return meant.first
    }

    /// That no endpoint is meant, and which may be.
    static func absent(_ name: String, among names: [String]) -> AgentClientError {
        AgentClientError(
            "there is no endpoint \(name)",
            advice: Spelling.nearest(to: name, among: names).map { "did you mean \($0)?" }
                ?? "egret get endpoints lists them")
    }
}
