// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Reads the values of `--rate`, `--connections`, `--new-connections` and `--packets` as limits.
///
///     20Mbit              in each direction by itself
///     egress=20Mbit       in one direction
///     internet=2Mbit      to and from a destination, as the flags for rules write it
///     example.org=2Mbit   to and from addresses that the name was resolved to
///     destination=20      for each far address by itself; before any of the others, but not for rates
///
/// A group that is named like one of these words is refused where either could be meant.
public enum FlagLimit: String, Hashable, Sendable, CaseIterable {
    /// How fast.
    case rate = "--rate"
    /// How many connections at once.
    case connections = "--connections"
    /// How many connections may begin.
    case newConnections = "--new-connections"
    /// How many packets may pass.
    case packets = "--packets"

    /// Reads one value.
    ///
    /// - Parameters:
    ///   - text: The value.
    ///   - groups: The names of destination groups that files define.
    ///   - groupsMayBeMissing: Whether a file could not be read: a name that could be a group's is then no mistake.
    /// - Returns: The limit, or `nil` if there are errors.
    public func parse(_ text: String, groups: Set<String> = [], groupsMayBeMissing: Bool = false)
        -> (limit: TrafficLimit?, diagnostics: [Diagnostic])
    {
        let location = SourceLocation(file: "\(rawValue) \(text)", line: 0, column: 1)
        var limit = TrafficLimit(location: location)
        let each = "\(TrafficLimit.Scope.destination.rawValue)="
        if text.hasPrefix(each) { limit.scope = .destination }
        let parts = text.dropFirst(limit.scope == .destination ? each.count : 0)
            .split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let scopeWord = limit.scope == .destination ? limit.scope.rawValue : nil
        let word = parts.count == 2 ? TrafficDirection(rawValue: parts[0])?.rawValue : scopeWord
        do throws(SyntaxProblem) {
            if let word, groups.contains(word) { throw FlagLimit.ambiguity(word) }
            try read(parts.last ?? text, into: &limit)
        } catch {
            return (nil, [error.diagnostic(at: location)])
        }
        guard parts.count == 2 else {
            return (limit, [])
        }
        if let direction = TrafficDirection(rawValue: parts[0]) {
            limit.direction = direction
            return (limit, [])
        }
        let (rule, diagnostics) = FlagRule.parse(
            parts[0], action: .allow, flag: rawValue, groups: groups, groupsMayBeMissing: groupsMayBeMissing)
        guard let rule else { return (nil, diagnostics.map { $0.moved(to: location) }) }
        guard rule.workloads.isEmpty, !rule.destinations.contains(.builtIn(.host)) else {
            let problem = SyntaxProblem(
                DiagnosticCode.notSupportedYet, "a limit for \(quoted(parts[0])) is not supported yet",
                suggestion: "write egress, ingress, an address, a block, a group or a name before the equals sign")
            return (nil, [problem.diagnostic(at: location)])
        }
        limit.destinations = rule.destinations
        limit.domains = rule.domains
        limit.services = rule.services
        return (limit, [])
    }

    private static func ambiguity(_ word: String) -> SyntaxProblem {
        SyntaxProblem(
            DiagnosticCode.flag, "\(word)= is a word of limits, and there is a group \(word) as well",
            suggestion:
                "give the group another name, or write the limit in a policy: to: [{ group: \(word) }] is the group")
    }

    private func read(_ text: String, into limit: inout TrafficLimit) throws(SyntaxProblem) {
        switch self {
        case .rate:
            if limit.scope == .destination {
                throw SyntaxProblem(
                    DiagnosticCode.contradiction,
                    "a rate cannot be for each destination: there is no queue for every far address",
                    suggestion: "write --connections, --new-connections or --packets, or leave destination= out")
            }
            limit.rate = try RateSyntax.rate(text)
        case .connections:
            guard let number = UInt32(text), (1...1_000_000).contains(number), text.allSatisfy(\.isNumber) else {
                throw SyntaxProblem(
                    DiagnosticCode.amount, "\(quoted(text)) is no number of connections",
                    suggestion: "write a whole number from 1 to 1000000, for example 100")
            }
            limit.connections = number
        case .newConnections: limit.newConnections = try FlagLimit.events(text)
        case .packets: limit.packets = try FlagLimit.events(text)
        }
    }

    private static func events(_ text: String) throws(SyntaxProblem) -> EventRate {
        if let rate = EventRate(text) { return rate }
        throw SyntaxProblem(
            DiagnosticCode.amount, "\(quoted(text)) is not how often something may happen",
            suggestion: "write a number and the time that it is for, for example 20/s, 600/min or 1000/h")
    }
}

extension Diagnostic {
    fileprivate func moved(to location: SourceLocation) -> Diagnostic {
        var moved = self
        moved.location = location
        return moved
    }
}
