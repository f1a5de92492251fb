// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretFlows
import EgretRun

extension Sandbox.NameResolution {
    /// What the user should know if the command cannot resolve names.
    var warnings: [String] {
        if isUnchanged { return ["/etc/resolv.conf leads nowhere; names do not resolve"] }
        if !resolvers.isEmpty { return [] }
        // A resolver on the host's loopback is out of reach whatever the policy says.
        let loopback = [IPPrefix("127.0.0.0/8"), IPPrefix("::1/128")].compactMap(\.self)
        if let refused = leftOut.first(where: { address in !loopback.contains { $0.contains(address) } }) {
            let flag = quotedForShell(FlowKey(destination: refused, protocol: .udp, port: 53).flagText)
            return ["names do not resolve: no rule lets queries to \(refused) out; add --allow \(flag)"]
        }
        guard let first = leftOut.first else {
            return ["names do not resolve: /etc/resolv.conf names no resolver; name one with --dns"]
        }
        return ["names do not resolve: the resolver \(first) is on the host's loopback; name another with --dns"]
    }
}
