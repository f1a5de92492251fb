// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

/// Reads the value of `--allow`, `--deny`, `--reject` and `--audit` as a rule.
///
///     203.0.113.10            an address          2001:db8::10
///     198.51.100.0/24         a block             2001:db8::/32
///     203.0.113.10:443        and a port (TCP)    [2001:db8::10]:443, [2001:db8::/32]:443
///     203.0.113.10:53/udp     ... and protocol; all that `ports` of a policy takes
///     203.0.113.10:80,443     several
///     internet:443            a group
///     wikipedia.org:443       a name              *.wikimedia.org:443 (the names below)
///     *:443                   everywhere
public enum FlagRule {
    /// Reads one value.
    ///
    /// - Parameters:
    ///   - text: The value.
    ///   - action: What the rule does.
    ///   - flag: The flag's name, for messages: `--allow`.
    ///   - groups: The names of destination groups that files define; built-in groups need no mention.
    ///   - groupsMayBeMissing: Whether a file could not be read: a name that could be a group's is then no mistake.
    ///     Pass `true` only beside other errors.
    /// - Returns: The rule, or `nil` if there are errors. Its place is the flag with its value.
    public static func parse(
        _ text: String, action: RuleAction, flag: String, groups: Set<String> = [],
        groupsMayBeMissing: Bool = false
    ) -> (rule: EgressRule?, diagnostics: [Diagnostic]) {
        let location = SourceLocation(file: "\(flag) \(text)", line: 0, column: 1)
        do {
            let (target, ports) = try split(Substring(text))
            if target == PolicyReader.clusterGroup {
                let services = try ports.map { ports throws(SyntaxProblem) in try parseServices(ports) } ?? []
                return (
                    EgressRule(action: action, workloads: [.everything], services: services, location: location), []
                )
            }
            if let rule = try domainRule(target, ports, action: action, flag: flag, groups: groups, at: location) {
                return (rule, [])
            }
            let isUnheardOf = groupsMayBeMissing && ObjectName.problem(withGroupName: String(target)) == nil
            let destination = try parseTarget(target, groups: isUnheardOf ? groups.union([String(target)]) : groups)
            let services = try ports.map { ports throws(SyntaxProblem) in try parseServices(ports) } ?? []
            let rule = EgressRule(
                action: action, destinations: destination.map { [$0] } ?? [], services: services, location: location
            )
            return (rule, doubts(about: target, destination, at: location))
        } catch {
            var problem = error
            if problem.code == DiagnosticCode.address { problem.code = DiagnosticCode.flag }
            return (nil, [problem.diagnostic(at: location)])
        }
    }

    private static let example =
        "write for example 203.0.113.10:443, 198.51.100.0/24, [2001:db8::10]:443 or internet:443"

    /// Parts the destination from the ports.
    private static func split(_ text: Substring) throws(SyntaxProblem) -> (target: Substring, ports: Substring?) {
        if text.isEmpty { throw problem("the value is empty", example) }
        let trimmed = text.filter { !$0.isWhitespace }
        if trimmed.count != text.count {
            throw problem("white space is not part of a destination", trimmed.isEmpty ? example : "write \(trimmed)")
        }
        if text.contains("://") { throw urlProblem(text) }
        if text.hasPrefix("[") { return try splitBrackets(text) }
        if text.contains("::") || text.filter({ $0 == ":" }).count > 1 {
            try refuseTrailingPort(text)
            return (text, nil)
        }
        guard let colon = text.firstIndex(of: ":") else { return (text, nil) }
        if colon == text.startIndex {
            throw problem("there is no destination before the colon", "write *\(text) for everywhere")
        }
        return (text[..<colon], text[text.index(after: colon)...])
    }

    /// `2001:db8::1:443` is an address, and nearly always meant as another one with a port.
    private static func refuseTrailingPort(_ text: Substring) throws(SyntaxProblem) {
        guard let colon = text.lastIndex(of: ":"), IPAddress(text) != nil else { return }
        let (address, port) = (text[..<colon], text[text.index(after: colon)...])
        guard port.utf8.count > 1, (try? ServiceSyntax.parse(port)) != nil, let block = IPPrefix(address) else {
            return
        }
        throw problem(
            "\(quoted(text)) reads as an address, and as an address with a port",
            "write [\(block.address)]:\(port) for the port, or [\(text)] for the address"
        )
    }

    private static func splitBrackets(_ text: Substring) throws(SyntaxProblem) -> (Substring, Substring?) {
        guard let end = text.firstIndex(of: "]") else {
            throw problem("the bracket is not closed", "write for example [2001:db8::10]:443")
        }
        let inner = text[text.index(after: text.startIndex)..<end]
        let rest = text[text.index(after: end)...]
        if IPPrefix(inner)?.family == .ipv4 {
            throw problem("brackets go around IPv6 addresses only", "write \(inner)\(rest)")
        }
        if rest.isEmpty { return (inner, nil) }
        if rest.hasPrefix("/") {
            let length = rest.prefix { $0 != ":" }
            throw problem(
                "the prefix length stands after the bracket", "write [\(inner)\(length)]\(rest.dropFirst(length.count))"
            )
        }
        guard rest.hasPrefix(":") else {
            throw problem("\(quoted(rest)) follows the bracket", "write a colon and a port: [\(inner)]:443")
        }
        return (inner, rest.dropFirst())
    }

    /// The rule about a name; `nil` if the text is something else.
    private static func domainRule(
        _ target: Substring, _ ports: Substring?, action: RuleAction, flag: String, groups: Set<String>,
        at location: SourceLocation
    ) throws(SyntaxProblem) -> EgressRule? {
        guard target != "*", !groups.contains(String(target)), BuiltInGroup(rawValue: String(target)) == nil,
            IPPrefix(target) == nil, AddressSyntax.looksLikeDomain(target)
        else { return nil }
        if target.lowercased() == "localhost" { throw AddressSyntax.domainProblem(target) }
        let pattern: DomainPattern
        do throws(DomainProblem) {
            pattern = try DomainPattern.parse(target)
        } catch {
            throw error.syntaxProblem
        }
        if ports != nil && (action == .deny || action == .reject) {
            throw SyntaxProblem(
                DiagnosticCode.notSupportedYet, "a name is denied altogether, not by port",
                suggestion: "write \(flag) \(target)")
        }
        let services = try ports.map { ports throws(SyntaxProblem) in try parseServices(ports) } ?? []
        return EgressRule(action: action, domains: [pattern], services: services, location: location)
    }

    /// The destination; `nil` is everywhere.
    private static func parseTarget(_ text: Substring, groups: Set<String>) throws(SyntaxProblem) -> Destination? {
        if text == "*" { return nil }
        if let builtIn = BuiltInGroup(rawValue: String(text)) { return .builtIn(builtIn) }
        if groups.contains(String(text)) { return .group(String(text)) }
        if IPPrefix(text) != nil || AddressSyntax.looksNumeric(text) || text.contains("/") || text.contains("%") {
            return .block(AddressBlock(try parseAddress(text)))
        }
        let known = BuiltInGroup.allCases.map(\.rawValue) + [PolicyReader.clusterGroup] + groups.sorted()
        throw SyntaxProblem(
            DiagnosticCode.unknownGroup, "no group is named \(quoted(text))",
            suggestion: Spelling.nearest(to: text, among: known).map { "did you mean \"\($0)\"?" }
                ?? "use an address, a block, a name with a dot or one of the groups \(known.joined(separator: ", "))"
        )
    }

    private static func parseAddress(_ text: Substring) throws(SyntaxProblem) -> IPPrefix {
        if let prefix = try? AddressSyntax.parse(text) { return prefix }
        // An IPv6 address with a port after it but no brackets, where no shorter reading is an address.
        if text.contains("::") || text.filter({ $0 == ":" }).count > 1, let colon = text.lastIndex(of: ":") {
            let ports = text[text.index(after: colon)...]
            if IPPrefix(text[..<colon]) != nil, (try? parseServices(ports)) != nil {
                throw problem("an IPv6 address with a port needs brackets", "write [\(text[..<colon])]:\(ports)")
            }
        }
        return try AddressSyntax.parse(text)
    }

    private static func parseServices(_ text: Substring) throws(SyntaxProblem) -> [Service] {
        if text.isEmpty {
            throw problem("there is no port after the colon", "leave the colon out for every protocol and port")
        }
        let items = text.split(separator: ",", omittingEmptySubsequences: false)
        let bare = items.filter { !$0.contains("/") && $0.utf8.first.map { (48...57).contains($0) } ?? false }
        if let proto = items.lazy.compactMap({ sharedProtocol($0) }).first, !bare.isEmpty {
            let all = items.map { bare.contains($0) ? "\($0)/\(proto)" : String($0) }.joined(separator: ",")
            throw problem(
                "\(quoted(text)) gives a protocol for some of its ports only", "write \(all) if you mean that")
        }
        var services: [Service] = []
        for item in items { services.append(try ServiceSyntax.parse(item)) }
        return services
    }

    /// The protocol of `443/udp`.
    private static func sharedProtocol(_ item: Substring) -> Substring? {
        let parts = item.split(separator: "/")
        guard parts.count == 2, parts[0].utf8.first.map({ (48...57).contains($0) }) ?? false else { return nil }
        return parts[1]
    }

    private static func urlProblem(_ text: Substring) -> SyntaxProblem {
        let scheme = text.prefix { $0 != ":" }
        var host = text.dropFirst(scheme.count + 3).prefix { $0 != "/" }
        let ports = ["http": "80", "https": "443", "ssh": "22", "ws": "80", "wss": "443"]
        let port = host.contains(":") && !host.hasSuffix("]") ? "" : ports[scheme.lowercased()].map { ":\($0)" } ?? ""
        if host.isEmpty { host = "203.0.113.10" }
        return problem("a URL is not a destination", "write \(host)\(port)")
    }

    private static func doubts(
        about text: Substring, _ destination: Destination?, at location: SourceLocation
    ) -> [Diagnostic] {
        guard case .block(let block)? = destination,
            AddressSyntax.looksLikeBlockWithoutLength(text, block.prefix)
        else { return [] }
        return [
            Diagnostic(
                .warning, code: DiagnosticCode.missingLength, at: location,
                "\(text) has no prefix length, so it is the one address",
                suggestion: "write \(block.prefix.address)/\(block.prefix.length) if you mean it, or the block's length"
            )
        ]
    }

    private static func problem(_ message: String, _ suggestion: String) -> SyntaxProblem {
        SyntaxProblem(DiagnosticCode.flag, message, suggestion: suggestion)
    }
}
