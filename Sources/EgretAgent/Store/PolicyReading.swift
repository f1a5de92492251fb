// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretDocuments
import EgretLinux
import EgretPolicy
import EgretSources

/// What the documents of a revision say.
struct PolicyReading: Sendable {
    /// The policies of every kind.
    private(set) var catalog = PolicyCatalog(networkDefault: .allow)
    /// The labels of groups, which Kubernetes' kinds call namespaces.
    private(set) var namespaces: [String: [String: String]] = [:]
    /// The machines of the cluster, by name.
    private(set) var nodes: [Inventory.Node] = []
    /// What the author should know.
    private(set) var warnings: [String] = []

    /// The documents, and what each of them says by itself; empty if they were not read one by one.
    private var documents: [StoredDocument] = []
    private var parts: [DocumentReading] = []
    /// The state of each feed's file when it was last read, by group.
    private var feedFiles: [String: File.Status] = [:]

    /// The reading of nothing.
    init() {}

    /// Reads documents. Those that `former` has read already are not read again.
    ///
    /// - Parameters:
    ///   - documents: The documents of a revision.
    ///   - timeZones: Where rules' time zones are looked up.
    ///   - former: What was read before: a group whose feed cannot be read now keeps the list it had.
    ///   - isNew: Whether somebody waits who can mend feeds. Otherwise a feed that cannot be read is a warning: rules that
    ///     name its group let nothing out until it can.
    ///   - feeds: Has the lists of feeds that are URLs.
    /// - Throws: `APIError` with every mistake.
    init(
        _ documents: [StoredDocument], timeZones: TimeZoneDatabase, former: PolicyReading? = nil, isNew: Bool = true,
        feeds: FeedKeeper? = nil
    ) throws(APIError) {
        if try readOneByOne(documents, timeZones, former, isNew, feeds) { return }
        self = PolicyReading()
        try readTogether(documents, timeZones, former, isNew, feeds)
    }

    // MARK: - One by one

    /// Reads documents each by itself. Returns `false` if something is wrong, which reading them together tells in full.
    private mutating func readOneByOne(
        _ documents: [StoredDocument], _ timeZones: TimeZoneDatabase, _ former: PolicyReading?, _ isNew: Bool,
        _ feeds: FeedKeeper?
    ) throws(APIError) -> Bool {
        var objects = Swift.Set<String>()
        for document in documents {
            for object in document.objects where !objects.insert(object).inserted {
                // A namespace may be written twice, both times with the same labels.
                if !object.hasPrefix("Namespace/") { return false }
            }
        }
        let parts = PolicyReading.parts(documents, timeZones, former)
        var references = Swift.Set<String>()
        var groups: [DestinationGroup] = []
        for part in parts {
            if !part.isSound { return false }
            let result = part.result
            references.formUnion(result.groupReferences)
            groups += result.groups
            catalog.egressPolicies += result.policies
            catalog.clusterPolicies += result.clusterPolicies
            catalog.networkPolicies += result.networkPolicies
            catalog.priceLists += result.priceLists
            warnings += part.warnings
            for (name, labels) in part.namespaces where namespaces[name] ?? labels != labels { return false }
            namespaces.merge(part.namespaces) { first, _ in first }
            nodes += result.inventory.nodes
        }
        nodes.sort { $0.name < $1.name }
        if !references.isSubset(of: groups.map(\.name)) { return false }
        // A document that names a group does not tell whether the group has domains.
        if groups.contains(where: { !$0.domains.isEmpty }),
            !NameRuleProblems.find(in: catalog.egressPolicies, groups: groups).isEmpty
        {
            return false
        }
        let mistakes = loadFeeds(&groups, former, isNew, feeds)
        if mistakes.contains(where: { $0.severity == .error }) { return false }
        if !mistakes.isEmpty {
            warnings += DiagnosticFormatter.format(mistakes, withSourceFrom: documents.placed)
        }
        catalog.groups = groups
        self.documents = documents
        self.parts = parts
        return true
    }

    private static func parts(
        _ documents: [StoredDocument], _ timeZones: TimeZoneDatabase, _ former: PolicyReading?
    ) -> [DocumentReading] {
        let (old, known) = (former?.documents ?? [], former?.parts ?? [])
        if old.isEmpty {
            return AllProcessors.map(documents) { document in DocumentReading(document, timeZones: timeZones) }
        }
        var later: [StoredDocument: DocumentReading]?
        var parts: [DocumentReading] = []
        parts.reserveCapacity(documents.count)
        // Most stand where they stood, or behind those that went.
        var shift = 0
        for (place, document) in documents.enumerated() {
            if place + shift < old.count, old[place + shift] == document {
                parts.append(known[place + shift])
                continue
            }
            if place + shift + 1 < old.count, old[place + shift + 1] == document {
                shift += 1
                parts.append(known[place + shift])
                continue
            }
            if later == nil { later = Dictionary(zip(old, known), uniquingKeysWith: { first, _ in first }) }
            parts.append(later?[document] ?? DocumentReading(document, timeZones: timeZones))
        }
        return parts
    }

    /// Reads the files of feeds that are not as they were, and takes the lists of URLs that have come. Returns what is
    /// wrong with them.
    private mutating func loadFeeds(
        _ groups: inout [DestinationGroup], _ former: PolicyReading?, _ isNew: Bool, _ feeds: FeedKeeper?
    ) -> [Diagnostic] {
        guard groups.contains(where: { $0.feed != nil }) else { return [] }
        var diagnostics: [Diagnostic] = []
        let lists = Dictionary(
            (former?.catalog.groups ?? []).compactMap { group in
                group.fetched.map { (group.name, (group.feed, $0)) }
            },
            uniquingKeysWith: { first, _ in first })
        for place in groups.indices {
            guard let feed = groups[place].feed else { continue }
            if case .url(let url) = feed.source {
                groups[place].fetched = feeds?.blocks(of: feed)
                if !groups[place].isLoaded { diagnostics.append(PolicyReading.missing(url, groups[place])) }
                continue
            }
            let name = groups[place].name
            let known = lists[name].flatMap { $0.0 == feed ? $0.1 : nil }
            let state = PolicyReading.fileState(of: feed)
            if let known, let state, former?.feedFiles[name] == state {
                groups[place].fetched = known
                feedFiles[name] = state
                continue
            }
            let (loaded, mistakes) = FeedFiles.load([groups[place]], read: PolicyReading.readFeed)
            groups[place] = loaded[0]
            if mistakes.isEmpty {
                feedFiles[name] = state
                continue
            }
            groups[place].fetched = known
            diagnostics += mistakes.prefix(1).map { mistake in
                var mistake = mistake
                if !isNew || known != nil { mistake.severity = .warning }
                return mistake
            }
        }
        return diagnostics
    }

    /// The state of a feed's file; `nil` if it is too young for a later change to be sure to show, or not to be had.
    private static func fileState(of feed: Feed) -> File.Status? {
        guard case .file(let path) = feed.source, let state = try? File.status(path),
            WallTime.now.seconds - state.modifiedSeconds > 2
        else { return nil }
        return state
    }

    /// Whether the file of any feed is otherwise than when it was read, or could not be read.
    var areFeedsDue: Bool {
        catalog.groups.contains { group in
            guard let feed = group.feed, group.hasFileFeed else { return false }
            let state = PolicyReading.fileState(of: feed)
            return state == nil || feedFiles[group.name] != state
        }
    }

    // MARK: - Together

    private mutating func readTogether(
        _ documents: [StoredDocument], _ timeZones: TimeZoneDatabase, _ former: PolicyReading?, _ isNew: Bool,
        _ feeds: FeedKeeper?
    ) throws(APIError) {
        let sources = documents.placed
        var result = PolicyFiles.read(sources, scope: .manifests, timeZones: timeZones)
        var diagnostics = result.diagnostics
        if !result.hasErrors {
            diagnostics += loadFeeds(&result.groups, former, isNew, feeds)
        }
        let errors = diagnostics.filter { $0.severity == .error }
        guard errors.isEmpty else {
            throw APIError(
                "invalid", errors.count == 1 ? "there is a mistake" : "there are \(errors.count) mistakes",
                advice: "correct \(errors.count == 1 ? "it" : "them") and apply again; nothing was changed",
                diagnostics: DiagnosticFormatter.format(diagnostics, withSourceFrom: sources))
        }
        warnings = DiagnosticFormatter.format(diagnostics, withSourceFrom: sources)
        catalog = result.catalog
        catalog.networkDefault = .allow
        namespaces = result.inventory.namespaces
        nodes = result.inventory.nodes
    }

    /// Reads a regular file: nothing that could keep the agent waiting.
    private static func readFeed(_ path: String) throws -> [UInt8] {
        guard try File.status(path).kind == .regular else { throw FeedError("\(path) is not a regular file") }
        return try File.read(path, limit: Feed.byteLimit)
    }

    private static func missing(_ url: String, _ group: DestinationGroup) -> Diagnostic {
        Diagnostic(
            .warning, code: DiagnosticCode.feed, at: group.location,
            "the list of \(url) has not come yet: until it does, rules that name \(group.name) let nothing out, and "
                + "hold back everything",
            suggestion: "see egret get groups")
    }
}
