// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretCompiler
import EgretPolicy

extension TrafficShape {
    /// What rates come to in the kernel; `nil` if there are none.
    ///
    /// - Parameters:
    ///   - rates: The rates.
    ///   - mtu: The link's largest packet, in bytes.
    public init?(_ rates: RateTree, mtu: UInt32) {
        if rates.shares.isEmpty {
            guard let rate = rates.rate else { return nil }
            self = .bucket(RateShape(bitsPerSecond: rate.bitsPerSecond, burst: rates.burst?.bytes, mtu: mtu))
            return
        }
        var nodes: [QueueTree.Node] = []
        let total = rates.rate?.bitsPerSecond
        let guarantees = rates.guaranteed
        if let total {
            let guaranteed = guarantees[RateTree.total] ?? 0
            nodes = [
                QueueTree.Node(
                    number: RateTree.total, guarantee: total, ceiling: total, burst: rates.burst?.bytes, isLeaf: false),
                QueueTree.Node(
                    number: RateTree.rest, parent: RateTree.total,
                    guarantee: guaranteed < total && guaranteed > 0 ? (total - guaranteed) / 100 : nil, ceiling: total,
                    burst: rates.burst?.bytes),
            ]
        }
        for share in rates.shares.reversed() {
            let limit = share.limit
            let parent = share.parent ?? (total == nil ? nil : RateTree.total)
            let outer = nodes.first { $0.number == parent }
            let ceiling = min(limit.rate?.bitsPerSecond ?? .max, outer?.ceiling ?? .max)
            // A part without a rate is as fast, and passes as much at once, as what it lies within.
            let burst = limit.rate == nil ? outer?.burst : limit.burst?.bytes
            let isInner = share.leaf != share.number
            let node = QueueTree.Node(
                // The outermost class has nobody to borrow from.
                number: share.number, parent: parent, guarantee: parent == nil ? ceiling : guarantees[share.number],
                ceiling: ceiling, burst: burst, weight: UInt64(limit.weight ?? 100), priority: limit.priority ?? 4,
                isLeaf: !isInner)
            nodes.append(node)
            if isInner {
                nodes.append(
                    QueueTree.Node(
                        number: share.leaf, parent: share.number, ceiling: ceiling, burst: burst, weight: node.weight,
                        priority: node.priority))
            }
        }
        self = .tree(QueueTree(nodes, mtu: mtu))
    }
}

extension PoolShaper.Pool {
    /// What rates that endpoints share come to in the kernel; `nil` if none is shared.
    ///
    /// - Parameters:
    ///   - shared: The rates.
    ///   - links: The index of the host's end of each endpoint's link, by its number.
    ///   - mtu: The largest packet of their links, in bytes.
    public init?(_ shared: PoolTree, links: [Int: UInt32], mtu: UInt32) {
        if shared.shares.isEmpty { return nil }
        var nodes: [QueueTree.Node] = []
        for share in shared.shares.reversed() {
            let outer = nodes.first { $0.number == share.parent }?.ceiling ?? .max
            let ceiling = min(share.limit.rate?.bitsPerSecond ?? .max, outer)
            let isInner = share.leaf != share.number
            nodes.append(
                QueueTree.Node(
                    number: share.number, parent: share.parent, guarantee: share.parent == nil ? ceiling : nil,
                    ceiling: ceiling, burst: share.limit.burst?.bytes, isLeaf: !isInner))
            if isInner {
                nodes.append(
                    QueueTree.Node(
                        number: share.leaf, parent: share.number, ceiling: ceiling, burst: share.limit.burst?.bytes))
            }
        }
        self.init(
            tree: QueueTree(nodes, mtu: mtu, isShared: true), links: Set(shared.members.keys.compactMap { links[$0] }))
    }
}
