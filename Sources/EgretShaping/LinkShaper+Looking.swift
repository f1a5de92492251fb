// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNetlink
import EgretNetlinkWire

extension LinkShaper {
    /// The buckets and trees at the roots of links that may be Egret's.
    func records() throws(NetlinkError) -> [QueueingRecord] {
        try connection.dump("list queueing disciplines") { sequence throws(WireError) in
            try RouteWire.queueingDisciplinesRequest(sequence: sequence)
        }
        .compactMap { (try? RouteWire.decodeQueueingDiscipline($0)) ?? nil }
        .filter { $0.kind == "tbf" || $0.handle == QueueTree.handle }
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
    ///   - record: What is at its root.
    /// - Returns: `false` if somebody has removed or changed it, or a class of it.
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    func holds(_ shape: TrafficShape, at index: UInt32, _ record: QueueingRecord?) throws(NetlinkError) -> Bool {
        switch shape {
        case .bucket(let shape):
            return record?.bytesPerSecond == shape.bucket.bytesPerSecond
                && record?.queueBytes == shape.bucket.queueBytes
        case .tree(let tree):
            guard record?.handle == QueueTree.handle else { return false }
            return tree.isLike(try classes(of: index))
        }
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
