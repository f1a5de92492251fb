// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNetlink
import EgretNetlinkWire

/// What is at a link's root, and the fair queues within it.
struct RootQueue {
    /// The bucket or the tree.
    let record: QueueingRecord
    /// The fair queues, by what they are the queues of.
    fileprivate(set) var leaves: [UInt32: FairQueue] = [:]

    /// The fair queue at a place; `nil` for none.
    func leaf(at place: LeafPlace) -> FairQueue? { leaves[place.parent] }
}

extension LinkShaper {
    /// The buckets and trees at the roots of links that may be Egret's, by link.
    func records() throws(NetlinkError) -> [UInt32: RootQueue] {
        let messages = try connection.dump("list queueing disciplines") { sequence throws(WireError) in
            try RouteWire.queueingDisciplinesRequest(sequence: sequence)
        }
        var found: [UInt32: RootQueue] = [:]
        for message in messages {
            guard let record = (try? RouteWire.decodeQueueingDiscipline(message)) ?? nil,
                record.kind == "tbf" || record.handle == QueueTree.handle
            else { continue }
            found[record.link] = RootQueue(record: record)
        }
        for message in messages {
            guard let leaf = (try? RouteWire.decodeFairQueue(message)) ?? nil else { continue }
            found[leaf.link]?.leaves[leaf.parent] = leaf.queue
        }
        return found
    }

    /// The queues of the classes of trees that may be Egret's.
    func classQueues() throws(NetlinkError) -> [ClassQueueRecord] {
        try connection.dump("list queueing disciplines") { sequence throws(WireError) in
            try RouteWire.queueingDisciplinesRequest(sequence: sequence)
        }
        .compactMap { (try? RouteWire.decodeClassQueue($0, tree: QueueTree.handle)) ?? nil }
    }

    /// The classes that an interface has, of whoever made them.
    func classes(of index: UInt32) throws(NetlinkError) -> [ClassRecord] {
        try connection.dump("list classes of link \(index)") { sequence throws(WireError) in
            try RouteWire.classesRequest(link: index, sequence: sequence)
        }
        .compactMap { message in (try? RouteWire.decodeClass(message, tree: QueueTree.handle)) ?? nil }
    }

    /// Whether an interface still holds to a shape.
    ///
    /// - Parameters:
    ///   - shape: What it was given.
    ///   - index: The interface.
    ///   - root: What is at its root.
    /// - Returns: `false` if somebody has removed or changed it, or a class of it, or a queue within.
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    func holds(_ shape: TrafficShape, at index: UInt32, _ root: RootQueue?) throws(NetlinkError) -> Bool {
        guard let root else { return false }
        switch shape {
        case .bucket(let shape):
            return root.record.bytesPerSecond == shape.bucket.bytesPerSecond
                && root.record.queueBytes == shape.bucket.queueBytes
                && isKept(shape.leaf, LeafPlace(index, bucket: root.record.handle), root)
        case .tree(let tree):
            guard root.record.handle == QueueTree.handle else { return false }
            guard tree.leaves.allSatisfy({ isKept($0.value, LeafPlace(index, class: $0.key), root) }) else {
                return false
            }
            return tree.isLike(try classes(of: index))
        }
    }

    /// Whether a queue within a bucket is as it was made, or the kernel cannot have it.
    private func isKept(_ leaf: FairQueue?, _ place: LeafPlace, _ root: RootQueue) -> Bool {
        leaf == nil || kernel.lacksFairQueues || root.leaf(at: place) == leaf
    }
}

extension QueueTree {
    /// Whether classes are these, as far as the kernel tells of them.
    fileprivate func isLike(_ found: [ClassRecord]) -> Bool {
        let known = Dictionary(found.map { ($0.number, $0) }, uniquingKeysWith: { first, _ in first })
        return known.count == classes.count
            && classes.allSatisfy { item in
                guard let record = known[item.number] else { return false }
                return record.parent == item.parent && record.bytesPerSecond == item.bytesPerSecond
                    && record.ceilingBytesPerSecond == item.ceilingBytesPerSecond
                    && (queues[item.number] == nil || record.queue == UInt32(item.number) << 16)
            }
    }
}
