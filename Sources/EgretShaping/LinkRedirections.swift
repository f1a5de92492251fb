// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
public import EgretNetlink
import EgretNetlinkWire

/// Leads what endpoints are sent through interfaces in which it waits, before the queues of their own links.
///
/// A filter at the exit of the link does it, known by its place among filters (`preference`).
public final class LinkRedirections {
    private static let preference: UInt16 = 0xe9e7
    private let connection: NetlinkConnection
    /// Where the traffic to each link is led.
    private var targets: [UInt32: UInt32] = [:]
    /// Links that had no place for filters before this.
    private var places: Set<UInt32> = []
    /// Whether the kernel may hold others than are known.
    private var isUnknown = true

    /// Leads in the namespace of a connection of `NetlinkConnection.route()`; nothing is changed yet.
    public init(_ connection: NetlinkConnection) {
        self.connection = connection
    }

    /// Forgets what is known: the next call looks at the kernel.
    public func doubt() { isUnknown = true }

    /// Leads links that are led nowhere yet, or elsewhere.
    ///
    /// - Parameters:
    ///   - wanted: Where to, by the link, as interfaces' indices.
    ///   - all: All links that somebody may have led before.
    /// - Throws: `NetlinkError` naming the step.
    public func prepare(_ wanted: [UInt32: UInt32], among all: Set<UInt32>) throws(NetlinkError) {
        if isUnknown { try look(all.union(wanted.keys)) }
        for (link, target) in wanted.sorted(by: { $0.key < $1.key }) where targets[link] != target {
            try lead(link, through: target)
            targets[link] = target
        }
    }

    /// Leads links past everything that are to be led nowhere any more.
    ///
    /// - Parameters:
    ///   - wanted: What stays.
    ///   - all: All links that somebody may have led before.
    /// - Throws: `NetlinkError` naming the step.
    public func release(except wanted: [UInt32: UInt32], among all: Set<UInt32>) throws(NetlinkError) {
        if isUnknown { try look(all.union(wanted.keys)) }
        for link in targets.keys.sorted() where wanted[link] == nil {
            try ifThere { () throws(NetlinkError) in
                try connection.request("lead link \(link) past what is shared") { sequence throws(WireError) in
                    try RouteWire.deleteRedirection(
                        link: link, preference: LinkRedirections.preference, sequence: sequence)
                }
            }
            if places.remove(link) != nil {
                try ifThere { () throws(NetlinkError) in
                    try connection.request("take the place of filters from link \(link)") {
                        sequence throws(WireError) in
                        try RouteWire.deleteClassifyingPlace(link: link, sequence: sequence)
                    }
                }
            }
            targets[link] = nil
        }
    }

    /// What the kernel holds otherwise than it was last given, in words.
    public func drift() throws(NetlinkError) -> [String] {
        if isUnknown || targets.isEmpty { return [] }
        let places = try linksWithPlaces()
        var found: [String] = []
        for (link, target) in targets.sorted(by: { $0.key < $1.key }) {
            let present = places.contains(link) ? try self.target(of: link) : nil
            if present != target {
                found.append("link \(link) is not led through what limits it")
            }
        }
        return found
    }

    // MARK: - The kernel

    /// Takes note of what a former process has led.
    private func look(_ links: Set<UInt32>) throws(NetlinkError) {
        targets = [:]
        for link in try linksWithPlaces().intersection(links) { targets[link] = try target(of: link) }
        isUnknown = false
    }

    /// The links that have a place for filters.
    private func linksWithPlaces() throws(NetlinkError) -> Set<UInt32> {
        let disciplines = try connection.dump("list queueing disciplines") { sequence throws(WireError) in
            try RouteWire.queueingDisciplinesRequest(sequence: sequence)
        }
        return Set(disciplines.compactMap { (try? RouteWire.decodeClassifyingPlace($0)) ?? nil })
    }

    /// Where the kernel leads what leaves by a link; `nil` for nowhere, and for a link that is gone.
    private func target(of link: UInt32) throws(NetlinkError) -> UInt32? {
        do throws(NetlinkError) {
            return try connection.dump("list filters of link \(link)") { sequence throws(WireError) in
                try RouteWire.redirectionsRequest(link: link, sequence: sequence)
            }
            .lazy.compactMap {
                (try? RouteWire.decodeRedirection($0, preference: LinkRedirections.preference)) ?? nil
            }.first
        } catch {
            if error.code == .notFound || error.errno == .invalid { return nil }
            throw error
        }
    }

    private func lead(_ link: UInt32, through target: UInt32) throws(NetlinkError) {
        do throws(NetlinkError) {
            try connection.request("prepare link \(link) for filters") { sequence throws(WireError) in
                try RouteWire.addClassifyingPlace(link: link, sequence: sequence)
            }
            places.insert(link)
        } catch {
            if error.errno != .exists { throw error }
        }
        try connection.request("lead link \(link) through what limits it") { sequence throws(WireError) in
            try RouteWire.redirect(
                link: link, through: target, preference: LinkRedirections.preference, sequence: sequence)
        }
    }

    private func ifThere(_ body: () throws(NetlinkError) -> Void) throws(NetlinkError) {
        do throws(NetlinkError) {
            try body()
        } catch {
            // With its link, what is at it goes by itself.
            if error.code != .notFound && error.errno != .invalid { throw error }
        }
    }
}
