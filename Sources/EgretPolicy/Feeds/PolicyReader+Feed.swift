// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension PolicyReader {
    private static let feedSchema = DocumentFields.Schema(
        name: "feed", fields: ["file", "url", "sha256", "refresh", "format"],
        foreign: [
            "path": "write file", "uri": "write url", "interval": "write refresh", "every": "write refresh",
            "checksum": "write sha256", "digest": "write sha256", "type": "write format",
        ]
    )

    /// Reads `feed` of a group.
    mutating func readFeed(_ node: DocumentNode) -> Feed? {
        let mistakes = result.diagnostics.count
        guard let fields = fields(node, PolicyReader.feedSchema) else { return nil }
        if fields.has("file"), fields.has("url") {
            error(
                DiagnosticCode.contradiction, at: fields.location(of: "url"), "the feed has both file and url",
                "write one of them; a group of its own for the other can stand beside it in to")
        } else if !fields.has("file"), !fields.has("url") {
            error(
                DiagnosticCode.missingField, at: node.location, "the feed has neither file nor url",
                "write file: /path/of/a/list, or url: https://...")
        }
        let file = fields["file"].flatMap { readPath($0) }.map { Feed.Source.file($0) }
        let url = fields["url"].flatMap { readURL($0) }.map { Feed.Source.url($0) }
        let digest = fields["sha256"].flatMap { readDigest($0) }
        let refresh = fields["refresh"].flatMap { readRefresh($0) } ?? 3_600
        let format = fields["format"].map { word($0, "format", as: Feed.Format.self) } ?? .list
        guard let source = file ?? url, let format, result.diagnostics.count == mistakes else { return nil }
        return Feed(source, sha256: digest, refresh: refresh, format: format)
    }

    private mutating func readPath(_ node: DocumentNode) -> String? {
        guard let path = string(node, "file", expected: "the path of a file") else { return nil }
        if path.hasPrefix("/"), !path.hasSuffix("/"), !path.unicodeScalars.contains(where: { $0.value < 0x20 }) {
            return path
        }
        error(
            DiagnosticCode.feed, at: node.location, "\(quoted(path)) is not the whole path of a file",
            "write a path that begins with /: who reads the policy may be in any directory")
        return nil
    }

    private mutating func readURL(_ node: DocumentNode) -> String? {
        guard let url = string(node, "url", expected: "a URL") else { return nil }
        let scheme = "https://"
        let rest = url.dropFirst(scheme.count)
        let host = rest.prefix { !"/?#".contains($0) }
        let isClean = url.utf8.allSatisfy { (0x21...0x7e).contains($0) && !"\"<>\\^`{|}".utf8.contains($0) }
        if url.hasPrefix(scheme), !host.isEmpty, !host.contains("@"), isClean, !url.contains("#") { return url }
        let suggestion =
            url.hasPrefix("http://")
            ? "write https://: who can change the list on its way decides what the rules match"
            : host.contains("@")
                ? "remove the name and password: policies are no place for secrets"
                : "write for example https://lists.example/drop.txt"
        error(DiagnosticCode.feed, at: node.location, "\(quoted(url)) is not an https URL", suggestion)
        return nil
    }

    private mutating func readDigest(_ node: DocumentNode) -> String? {
        if case .integer = node.content {
        } else {
            guard let text = string(node, "sha256", expected: "a digest") else { return nil }
            let isDigest =
                text.utf8.count == 64
                && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
            if isDigest { return text }
        }
        error(
            DiagnosticCode.feed, at: node.location,
            "sha256 is 64 hexadecimal digits in lower case, and here is \(node.found)",
            "write what sha256sum prints, in quotes")
        return nil
    }

    private mutating func readRefresh(_ node: DocumentNode) -> Int64? {
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3_600, "d": 86_400]
        guard case .string(let text) = node.content, let unit = text.last.flatMap({ units[$0] }),
            text.dropLast().utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int64(text.dropLast())
        else {
            error(
                DiagnosticCode.feed, at: node.location, "refresh is a time with a unit, and here is \(node.found)",
                "write for example 30m, 1h or 1d")
            return nil
        }
        let (seconds, isTooLarge) = number.multipliedReportingOverflow(by: unit)
        guard !isTooLarge, Feed.refreshLimits.contains(seconds) else {
            error(
                DiagnosticCode.outOfRange, at: node.location, "the time \(text) is out of range",
                "write a time from 1m to 30d")
            return nil
        }
        return seconds
    }
}

extension Feed {
    /// The interval as a policy writes it: `1h`.
    var refreshText: String {
        for (unit, seconds) in [("d", Int64(86_400)), ("h", 3_600), ("m", 60)] where refresh % seconds == 0 {
            return "\(refresh / seconds)\(unit)"
        }
        return "\(refresh)s"
    }
}
