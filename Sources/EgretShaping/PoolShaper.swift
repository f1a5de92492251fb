// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretLinux
public import EgretNetlink
import EgretNetlinkWire
public import EgretPolicy

/// Limits the rates that endpoints of networks share.
///
/// All that shares waits in one interface for each direction, in classes. What endpoints send comes there from the queue that
/// holds their own rate, and what they are sent before that queue. The interfaces are known by their names and hardware
/// addresses.
public final class PoolShaper {
    /// What is shared in one direction.
    public struct Pool: Hashable, Sendable {
        /// The rates.
        public var tree: QueueTree
        /// The endpoints, by the index of the host's end of the link.
        public var links: Set<UInt32>

        /// Creates a pool.
        public init(tree: QueueTree, links: Set<UInt32>) {
            self.tree = tree
            self.links = links
        }
    }

    private let connection: NetlinkConnection
    private let shaper: LinkShaper
    private var pools: [TrafficDirection: Pool] = [:]
    private var indices: [TrafficDirection: UInt32] = [:]
    private var isUnknown = true

    /// Limits in the namespace of a connection of `NetlinkConnection.route()`; nothing is changed yet.
    public init(_ connection: NetlinkConnection) {
        self.connection = connection
        shaper = LinkShaper(connection)
    }

    static func name(_ direction: TrafficDirection) -> String { direction == .egress ? "egret-out" : "egret-in" }

    static func hardwareAddress(_ direction: TrafficDirection) -> MACAddress {
        MACAddress(locallyAdministered: direction == .egress ? 0x70_0000_0001 : 0x70_0000_0002)
    }

    /// The interface that shared traffic of a direction waits in.
    public func index(_ direction: TrafficDirection) -> UInt32? { indices[direction] }

    /// Forgets what is known: the next call looks at the kernel.
    public func doubt() { isUnknown = true }

    /// Makes and changes what is shared; what nobody shares any more is still there.
    public func prepare(_ wanted: [TrafficDirection: Pool]) throws(NetlinkError) {
        if isUnknown { try look() }
        for direction in TrafficDirection.allCases {
            guard let pool = wanted[direction], let name = InterfaceName(PoolShaper.name(direction)) else { continue }
            let former = pools[direction]
            if let index = indices[direction] {
                if former?.tree != pool.tree {
                    try shaper.limit(index, to: .tree(pool.tree), from: former.map { .tree($0.tree) })
                }
            } else {
                indices[direction] = try shaper.makeQueue(
                    name, PoolShaper.hardwareAddress(direction), .tree(pool.tree))
            }
            pools[direction] = pool
        }
    }

    /// Removes what nobody shares any more. Nothing may be led there then.
    ///
    /// - Parameter wanted: What stays.
    /// - Throws: `NetlinkError` naming the step.
    public func release(except wanted: [TrafficDirection: Pool]) throws(NetlinkError) {
        if isUnknown { try look() }
        for direction in TrafficDirection.allCases where wanted[direction] == nil {
            guard let index = indices[direction] else { continue }
            try ifThere { () throws(NetlinkError) in
                try connection.request("delete link \(PoolShaper.name(direction))") { sequence throws(WireError) in
                    try RouteWire.deleteLink(index, sequence: sequence)
                }
            }
            indices[direction] = nil
            pools[direction] = nil
        }
    }

    /// What the kernel holds otherwise than it was last given, in words.
    public func drift() throws(NetlinkError) -> [String] {
        if isUnknown || indices.isEmpty { return [] }
        let present = try links()
        let records = try shaper.records()
        var found: [String] = []
        for (direction, index) in indices.sorted(by: { $0.value < $1.value }) {
            let name = PoolShaper.name(direction)
            if present[direction] != index {
                found.append("link \(name) is missing")
            } else if let pool = pools[direction],
                try !shaper.holds(.tree(pool.tree), at: index, records[index])
            {
                found.append("the limits of link \(name) have changed")
            }
        }
        return found
    }

    /// What the kernel has counted in the classes that shared traffic waits in, in their order.
    ///
    /// - Returns: One for each class and direction in which packets wait.
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    public func counts() throws(NetlinkError) -> [SharedCounts] {
        if isUnknown || indices.isEmpty { return [] }
        let directions = Dictionary(indices.map { ($0.value, $0.key) }, uniquingKeysWith: { first, _ in first })
        let found = try shaper.classQueues().compactMap { record -> SharedCounts? in
            guard let direction = directions[record.link], let counts = record.counts else { return nil }
            return SharedCounts(
                direction: direction, number: record.number, packets: counts.packets, bytes: counts.bytes,
                dropped: counts.dropped, waitingBytes: counts.waitingBytes)
        }
        return found.sorted { ($0.direction.rawValue, $0.number) < ($1.direction.rawValue, $1.number) }
    }

    // MARK: - The kernel

    /// The direction whose shared traffic waits in a link; `nil` if it is not one of these.
    static func direction(of link: LinkRecord) -> TrafficDirection? {
        TrafficDirection.allCases.first { link.name == name($0) && link.address == hardwareAddress($0) }
    }

    /// Takes note of what a former process has made.
    private func look() throws(NetlinkError) {
        indices = try links()
        pools = [:]
        let records = try shaper.records()
        // Without the tree at its root, nothing of a pool is left but its link.
        for (direction, index) in indices {
            guard let root = records[index], root.record.handle == QueueTree.handle else { continue }
            pools[direction] = Pool(tree: try shaper.tree(of: root), links: [])
        }
        isUnknown = false
    }

    private func links() throws(NetlinkError) -> [TrafficDirection: UInt32] {
        let found = try connection.dump("list links") { sequence throws(WireError) in
            try RouteWire.linksRequest(sequence: sequence)
        }
        .compactMap { try? RouteWire.decodeLink($0) }
        var indices: [TrafficDirection: UInt32] = [:]
        for link in found {
            if let direction = PoolShaper.direction(of: link) { indices[direction] = link.index }
        }
        return indices
    }

    private func ifThere(_ body: () throws(NetlinkError) -> Void) throws(NetlinkError) {
        do throws(NetlinkError) {
            try body()
        } catch {
            // With its link, what is at it goes by itself.
            if error.code != .notFound { throw error }
        }
    }
}
