// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretPolicy

extension Agent {
    /// Begins to fetch the lists that are due, and forgets those that nobody wants and going back does not need.
    ///
    /// While a change waits for its confirmation nothing is forgotten: the revision before may come back by itself.
    func fetchFeeds() {
        guard let feeds else { return }
        if let revision, revision.confirmBy == nil {
            feeds.keep(Swift.Set(reading.catalog.groups.compactMap(\.feed)), in: revision.number) {
                // A store that cannot be read keeps everything.
                (try? store.oldest()) ?? 0
            }
        }
        feeds.fetchDue { [weak self] in await self?.feedArrived() }
    }

    /// Hears that a list has come that is another than before.
    func feedArrived() {
        hasNewLists = true
        if hasTaken { noting("feeds") { try takeFeeds() } }
    }

    /// The addresses of a group that its feed holds, one block in each line.
    public func list(ofGroup name: String) throws -> String {
        guard let group = reading.catalog.groups.first(where: { $0.name == name }) else {
            throw APIError("notFound", "there is no group \(name)", advice: "egret get groups shows which there are")
        }
        return (group.fetched ?? []).map { "\($0.prefix)\n" }.joined()
    }

    /// Whether a group has the list of its feed, and why not, or why not a fresh one; nothing of groups without a feed.
    func feedConditions(of object: String) -> [Condition] {
        let prefix = "DestinationGroup/"
        guard object.hasPrefix(prefix) else { return [] }
        let name = object.dropFirst(prefix.count)
        guard let group = reading.catalog.groups.first(where: { $0.name == name }), let feed = group.feed else {
            return []
        }
        let failure = feeds?.failure(of: feed)
        let closed = "rules that name it let nothing out, and hold back everything"
        if !group.isLoaded {
            return [Condition(.loaded, false, reason: (failure ?? "the list has not come yet") + "; " + closed)]
        }
        return [Condition(.loaded, true), Condition(.fresh, failure == nil, reason: failure)]
    }

    /// Whether the groups that a policy names have their lists; nothing of policies that name none with feeds.
    func feedConditions(ofPolicy policy: EgressPolicy) -> [Condition] {
        let names = Swift.Set(
            policy.rules.flatMap(\.destinations).compactMap { destination in
                if case .group(let name) = destination { return name }
                return nil
            })
        let groups = reading.catalog.groups.filter { names.contains($0.name) && $0.feed != nil }
        if groups.isEmpty { return [] }
        let missing = groups.filter { !$0.isLoaded }.map(\.name).sorted().joined(separator: ", ")
        return [
            Condition(
                .feedsLoaded, missing.isEmpty,
                reason: missing.isEmpty
                    ? nil : "no list of \(missing): its rules let nothing out, and hold back everything")
        ]
    }
}

extension DestinationGroup {
    /// Whether it has a list that is a file of this machine.
    var hasFileFeed: Bool {
        if case .file? = feed?.source { return true }
        return false
    }
}
