// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

extension PolicyReader {
    private static let checkSchema = DocumentFields.Schema(
        name: "check", fields: ["icmp", "tcp", "http", "interval", "timeout", "failures", "successes"],
        foreign: ["ping": "write icmp", "retries": "write failures", "port": "write tcp: ADDRESS:PORT"]
    )

    /// Reads the health check of a way.
    mutating func readCheck(_ node: DocumentNode) -> RouteCheck? {
        guard let fields = fields(node, PolicyReader.checkSchema) else { return nil }
        let kinds = ["icmp", "tcp", "http"].filter { fields.has($0) }
        guard let kind = kinds.first else {
            error(
                DiagnosticCode.missingField, at: node.location, "the check asks nobody",
                "write icmp: ADDRESS, tcp: ADDRESS:PORT, or http: URL"
            )
            return nil
        }
        if kinds.count > 1 {
            error(
                DiagnosticCode.contradiction, at: fields.location(of: kinds[1]),
                "the check has both \(kind) and \(kinds[1])", "write one of them"
            )
            return nil
        }
        let probe = fields[kind].flatMap { node in
            switch kind {
            case "icmp": readEcho(node)
            case "tcp": readConnect(node)
            default: readHTTP(node)
            }
        }
        let interval = fields["interval"].map { readTime($0, "interval") } ?? 2000
        let timeout = fields["timeout"].map { readTime($0, "timeout") } ?? interval.map { min(1000, $0) }
        let failures = fields["failures"].map { readCount($0, "failures") } ?? 2
        let successes = fields["successes"].map { readCount($0, "successes") } ?? 3
        guard let probe, let interval, let timeout, let failures, let successes else { return nil }
        guard timeout <= interval else {
            error(
                DiagnosticCode.contradiction, at: fields.location(of: "timeout"),
                "the timeout is longer than the interval", "write a timeout of at most the interval"
            )
            return nil
        }
        return RouteCheck(
            probe: probe, interval: interval, timeout: timeout, failures: failures, successes: successes)
    }

    private mutating func readEcho(_ node: DocumentNode) -> RouteCheck.Probe? {
        guard let text = string(node, "icmp", expected: "an address") else { return nil }
        if let address = IPAddress(text) { return .icmp(address) }
        error(
            DiagnosticCode.address, at: node.location, "\(quoted(text)) is not an IP address",
            "write one address, for example 192.0.2.1 or 2001:db8::1"
        )
        return nil
    }

    private mutating func readConnect(_ node: DocumentNode) -> RouteCheck.Probe? {
        guard let text = string(node, "tcp", expected: "an address and a port") else { return nil }
        if let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0 {
            let host = text[..<colon]
            let isBracketed = host.first == "[" && host.last == "]"
            let address = IPAddress(isBracketed ? host.dropFirst().dropLast() : host)
            if let address, isBracketed == (address.family == .ipv6) { return .tcp(address, port: port) }
        }
        error(
            DiagnosticCode.address, at: node.location, "\(quoted(text)) is not an address and a port",
            "write for example 192.0.2.1:443 or \"[2001:db8::1]:443\""
        )
        return nil
    }

    /// A time in milliseconds, 100 ms to an hour.
    private mutating func readTime(_ node: DocumentNode, _ field: String) -> UInt64? {
        if case .integer = node.content {
            error(
                DiagnosticCode.wrongType, at: node.location, "the \(field) has no unit",
                "write \(node.text)s for seconds, or \(node.text)ms for thousandths"
            )
            return nil
        }
        guard let text = string(node, field, expected: "a time, for example 2s") else { return nil }
        let units: [(String, UInt64)] = [("ms", 1), ("s", 1000), ("m", 60_000)]
        for (unit, factor) in units where text.hasSuffix(unit) {
            let digits = text.dropLast(unit.count)
            guard digits.allSatisfy({ ("0"..."9").contains($0) }), let number = UInt64(digits) else { continue }
            let (value, overflows) = number.multipliedReportingOverflow(by: factor)
            if !overflows, (100...3_600_000).contains(value) { return value }
            error(
                DiagnosticCode.outOfRange, at: node.location, "the \(field) \(text) is out of range",
                "write a time from 100ms to 60m"
            )
            return nil
        }
        error(
            DiagnosticCode.unknownValue, at: node.location, "\(quoted(text)) is not a time",
            "write a number and ms, s or m, for example 500ms or 2s"
        )
        return nil
    }

    private mutating func readCount(_ node: DocumentNode, _ field: String) -> Int? {
        guard case .integer(let number) = node.content else {
            error(
                DiagnosticCode.wrongType, at: node.location, "\(field) is a whole number, and here is \(node.found)",
                "write a number from 1 to 100, without quotes"
            )
            return nil
        }
        if (1...100).contains(number) { return Int(number) }
        error(
            DiagnosticCode.outOfRange, at: node.location, "\(field) is out of range", "write a number from 1 to 100")
        return nil
    }
}
