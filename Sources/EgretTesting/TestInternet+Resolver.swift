// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Foundation

extension TestInternet {
    /// Starts a name server on a host that has none, on port 53; it ends with the lab.
    ///
    /// - Parameters:
    ///   - host: The host.
    ///   - names: Names with their addresses and the server's habits, as `Resources/resolver.py` describes them:
    ///     `rotating.example=ttl1:rotate:203.0.113.10,203.0.113.11`.
    /// - Throws: ``LabError`` if it cannot bind its ports.
    public func startResolver(in host: LabHost, _ names: [String]) throws(LabError) {
        try write(String(decoding: PackageResources.resolver_py, as: UTF8.self), to: "resolver.py")
        let command = [python, "\(directory)/resolver.py", "\(directory)/\(host.name)-names.log"] + names
        try perform("starting a resolver on \(host.name)", command, in: host)
    }

    /// What a resolver that ``startResolver(in:_:)`` has started was asked: `udp A www.example.test`, a line each.
    public func resolverLog(of host: LabHost) -> [String] {
        let text = (try? String(contentsOfFile: "\(directory)/\(host.name)-names.log", encoding: .utf8)) ?? ""
        return text.split(separator: "\n").map(String.init)
    }
}
