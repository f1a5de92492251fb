// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNetlink
import EgretNetlinkWire

extension LinkShaper {
    /// Holds what the host sends by an interface to a shape.
    ///
    /// Numbers change in place, and nothing that waits is lost. Where classes come to lie otherwise within each other,
    /// or take the place of a bucket, what waits is.
    ///
    /// - Parameters:
    ///   - index: The interface.
    ///   - shape: The shape.
    ///   - former: What it has now; `nil` for nothing of Egret's.
    ///   - handle: The number of a bucket.
    /// - Throws: `NetlinkError` naming the step.
    public func limit(
        _ index: UInt32, to shape: TrafficShape, from former: TrafficShape? = nil, handle: UInt32 = 0x0001_0000
    ) throws(NetlinkError) {
        switch shape {
        case .bucket(let shape):
            try connection.request("limit the rate of link \(index)") { sequence throws(WireError) in
                try RouteWire.setTokenBucket(shape.bucket, link: index, handle: handle, sequence: sequence)
            }
            try setLeaf(shape.leaf, from: former?.leaf, at: LeafPlace(index, bucket: handle))
        case .tree(let tree):
            guard case .tree(let present) = former else { return try make(tree, index) }
            if present.isFramework(of: tree) { return try change(present, to: tree, index) }
            try connection.request("lift the limits of link \(index)") { sequence throws(WireError) in
                try RouteWire.deleteQueueingDiscipline(link: index, handle: QueueTree.handle, sequence: sequence)
            }
            try make(tree, index)
        }
    }

    private func make(_ tree: QueueTree, _ index: UInt32) throws(NetlinkError) {
        try connection.request("limit the rates of link \(index)") { sequence throws(WireError) in
            try RouteWire.createClassTree(
                link: index, handle: QueueTree.handle, rest: QueueTree.rest, sequence: sequence)
        }
        try change(QueueTree(classes: [], queues: [:], leaves: [:]), to: tree, index)
    }

    private func change(_ present: QueueTree, to tree: QueueTree, _ index: UInt32) throws(NetlinkError) {
        let known = Dictionary(present.classes.map { ($0.number, $0) }, uniquingKeysWith: { first, _ in first })
        for item in tree.classes {
            if known[item.number] != item {
                try connection.request("limit the rate of class \(item.number) of link \(index)") {
                    sequence throws(WireError) in
                    try RouteWire.setClass(item, link: index, tree: QueueTree.handle, sequence: sequence)
                }
            }
            guard let queue = tree.queues[item.number] else { continue }
            if present.queues[item.number] != queue {
                try connection.request("limit the queue of class \(item.number) of link \(index)") {
                    sequence throws(WireError) in
                    try RouteWire.setTokenBucket(
                        queue, link: index, handle: UInt32(item.number) << 16,
                        parent: QueueTree.handle | UInt32(item.number), sequence: sequence)
                }
            }
            try setLeaf(
                tree.leaves[item.number], from: present.leaves[item.number],
                at: LeafPlace(index, class: item.number))
        }
        let wanted = Set(tree.classes.map(\.number))
        for item in present.classes.reversed() where !wanted.contains(item.number) {
            try connection.request("remove class \(item.number) of link \(index)") { sequence throws(WireError) in
                try RouteWire.deleteClass(item.number, link: index, tree: QueueTree.handle, sequence: sequence)
            }
        }
    }

    /// The classes that an interface has, of whoever made them: their numbers, how they lie within each other, and the
    /// queues within their buckets.
    ///
    /// - Parameter root: What is at the interface's root.
    /// - Returns: The tree.
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    func tree(of root: RootQueue) throws(NetlinkError) -> QueueTree {
        QueueTree(found: try classes(of: root.record.link), root)
    }
}

extension TrafficShape {
    /// The queue within the bucket; `nil` for classes.
    fileprivate var leaf: FairQueue? {
        switch self {
        case .bucket(let shape): shape.leaf
        case .tree: nil
        }
    }
}

extension QueueTree {
    /// Classes of which only their places are known.
    fileprivate init(found: [ClassRecord], _ root: RootQueue) {
        var depth: [UInt16: Int] = [:]
        let parents = Dictionary(found.map { ($0.number, $0.parent) }, uniquingKeysWith: { first, _ in first })
        for number in parents.keys {
            var (level, next) = (0, parents[number] ?? nil)
            while let outer = next, level < 8 { (level, next) = (level + 1, parents[outer] ?? nil) }
            depth[number] = level
        }
        let inner = Set(found.compactMap(\.parent))
        let waiting = Set(found.map(\.number)).subtracting(inner)
        let classes = found.sorted { (depth[$0.number] ?? 0, $0.number) < (depth[$1.number] ?? 0, $1.number) }
        self.init(
            classes: classes.map {
                QueueClass(
                    number: $0.number, parent: $0.parent, bytesPerSecond: 0, ceilingBytesPerSecond: 0, burstBytes: 0,
                    ceilingBurstBytes: 0, quantum: 0, priority: 0)
            },
            queues: Dictionary(
                waiting.map { ($0, TokenBucket(bytesPerSecond: 0, burstBytes: 0, queueBytes: 0)) },
                uniquingKeysWith: { first, _ in first }),
            leaves: Dictionary(
                waiting.compactMap { number in
                    root.leaf(at: LeafPlace(root.record.link, class: number)).map { (number, $0) }
                }, uniquingKeysWith: { first, _ in first }))
    }

    /// Whether the classes that both have lie within each other alike, and wait alike.
    fileprivate func isFramework(of other: QueueTree) -> Bool {
        let known = Dictionary(classes.map { ($0.number, $0) }, uniquingKeysWith: { first, _ in first })
        return other.classes.allSatisfy { item in
            guard let mine = known[item.number] else { return item.parent.map { queues[$0] == nil } ?? true }
            return mine.parent == item.parent && (queues[item.number] == nil) == (other.queues[item.number] == nil)
        }
    }
}
