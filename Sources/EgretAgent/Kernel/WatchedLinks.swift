// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretNetlink
import EgretNetlinkWire

/// The links of a network namespace, listed once and then kept by the kernel's events: of a thousand links, those are asked for
/// that have changed.
final class WatchedLinks {
    /// How old, in nanoseconds, a list may be for those who must know where the other ends of links are: if such a one goes from one foreign
    /// namespace to another, this one hears nothing of it.
    static let patience: UInt64 = 1_000_000_000
    /// So many changed links are listed with all others.
    private static let fewLinks = 32

    private let connection: NetlinkConnection
    private let events: NetlinkConnection
    private var links: [UInt32: LinkRecord] = [:]
    /// When they were listed; `nil` if they have to be.
    private var listed: UInt64?
    /// Rises with each change of what is known.
    private(set) var version = 0

    /// Watches the links of the calling thread's network namespace.
    ///
    /// - Throws: `NetlinkError` if the kernel cannot be spoken to.
    convenience init() throws {
        let connection = try NetlinkConnection.route()
        let events = try NetlinkConnection.routeEvents(groups: [RouteGroup.links], receiveBuffer: 1 << 20)
        self.init(connection, events: events)
    }

    /// Watches the links of a network namespace.
    ///
    /// - Parameters:
    ///   - connection: Whom to ask for them.
    ///   - events: What has joined `RouteGroup.links` there.
    init(_ connection: NetlinkConnection, events: NetlinkConnection) {
        (self.connection, self.events) = (connection, events)
    }

    /// The links as they are now, by index.
    ///
    /// - Parameter knowsOtherEnds: Whether it matters in which foreign namespaces their other ends are: this is right up to
    ///   ``patience`` ago.
    /// - Returns: The links.
    /// - Throws: `NetlinkError` if the kernel cannot be asked; the next call lists them anew.
    func current(knowsOtherEnds: Bool = false) throws -> [UInt32: LinkRecord] {
        let now = MonotonicInstant.now.nanoseconds
        let lastListing = listed
        // Events that are read before an error are told of once: after any error all links are listed.
        listed = nil
        let pending = try changes()
        guard let changed = pending, let former = lastListing, !knowsOtherEnds || now < former + WatchedLinks.patience
        else {
            keep(Dictionary(try connection.links().map { ($0.index, $0) }, uniquingKeysWith: { first, _ in first }))
            listed = now
            return links
        }
        if !changed.isEmpty {
            var fresh = links
            // The other end of one that goes elsewhere has the same index as before, and is told of by no event.
            let others = links.values.lazy.filter { $0.peerIndex.map(changed.contains) ?? false }.map(\.index)
            for index in changed.union(others) { fresh[index] = try connection.link(index) }
            keep(fresh)
        }
        listed = former
        return links
    }

    private func keep(_ fresh: [UInt32: LinkRecord]) {
        if fresh == links { return }
        links = fresh
        version += 1
    }

    /// The links that have changed since the last call; `nil` where that cannot be told, or they are many.
    private func changes() throws -> Swift.Set<UInt32>? {
        var found: Swift.Set<UInt32> = []
        var isComplete = true
        while true {
            let pending = try events.pendingEvents()
            if pending.someWereLost { isComplete = false }
            for message in pending.messages {
                if let index = try RouteWire.link(ofEvent: message) { found.insert(index) }
            }
            if pending.messages.count < NetlinkConnection.eventLimit { break }
        }
        return isComplete && found.count <= WatchedLinks.fewLinks ? found : nil
    }
}
