// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretCompiler
public import EgretNetlinkWire

/// Rates within each other as a queueing discipline with classes holds to them (`htb`).
///
/// Each class that packets wait in has a queue of its own, in which packets that were to be segmented are split, so that
/// small ones of other classes do not wait behind them, and shares come out as they were meant. Within it flows wait apart
/// (`fq_codel`), where the kernel can.
public struct QueueTree: Hashable, Sendable {
    /// What a class is to be.
    public struct Node: Hashable, Sendable {
        /// Its number.
        public var number: UInt16
        /// The class that it lies within; `nil` for none.
        public var parent: UInt16?
        /// What it gets at least, in bits a second; `nil` for nothing of its own.
        public var guarantee: UInt64?
        /// What it never passes, in bits a second.
        public var ceiling: UInt64
        /// How many bytes pass at once; `nil` for what the ceiling carries in 10 ms.
        public var burst: UInt64?
        /// Its share of what guarantees leave.
        public var weight: UInt64
        /// Who is first when that is shared: 0 before 7.
        public var priority: UInt8
        /// Whether packets wait in it.
        public var isLeaf: Bool

        /// Creates the description.
        public init(
            number: UInt16, parent: UInt16? = nil, guarantee: UInt64? = nil, ceiling: UInt64, burst: UInt64? = nil,
            weight: UInt64 = 100, priority: UInt8 = 4, isLeaf: Bool = true
        ) {
            self.number = number
            self.parent = parent
            self.guarantee = guarantee
            self.ceiling = ceiling
            self.burst = burst
            self.weight = weight
            self.priority = priority
            self.isLeaf = isLeaf
        }
    }

    /// The number of the tree at a link: the upper half of its classes' numbers, and of the priorities that lead to them.
    static let handle = RateTree.major
    /// The class of packets that nothing leads elsewhere; where there is none, nothing holds them.
    static let rest = RateTree.rest
    /// What a class without a guarantee has of its own at most, so that it never starves: 8 kbit/s.
    private static let least: UInt64 = 8_000

    /// The classes, each behind the one it lies within.
    public let classes: [QueueClass]
    /// The queues of those that packets wait in, by number.
    public let queues: [UInt16: TokenBucket]
    /// The queues within these, where the kernel has such queues, by the same numbers.
    public let leaves: [UInt16: FairQueue]

    /// Works out classes.
    ///
    /// - Parameters:
    ///   - nodes: What the classes are to be, each behind the one it lies within.
    ///   - mtu: The link's largest packet, in bytes.
    ///   - isShared: Whether many endpoints' packets wait in them.
    public init(_ nodes: [Node], mtu: UInt32, isShared: Bool = false) {
        let frame = UInt64(mtu) + RateShape.header
        let waiting = nodes.filter(\.isLeaf)
        // What is sent at a turn: a millisecond's worth of the whole, at least a frame, at most the largest packet.
        let fastest = nodes.map(\.ceiling).max() ?? 0
        let turn = min(max(frame, fastest / 8 / 1_000), 66_000)
        let lightest = max(1, waiting.map(\.weight).min() ?? 1)
        let siblings = Dictionary(grouping: nodes, by: \.parent)
        var allowances: [UInt16: Allowance] = [:]
        for node in nodes {
            allowances[node.number] = siblings[node.number].map { Allowance($0, within: node.ceiling) }
        }
        classes = nodes.map { node in
            let ceiling = max(1, node.ceiling / 8)
            let allowance = node.parent.flatMap { allowances[$0] }
            let own = allowance?.own(node) ?? min(node.guarantee ?? QueueTree.least, node.ceiling)
            let guarantee = max(1, own / 8)
            let burst = max(node.burst ?? ceiling / 100, frame)
            // One that has all of its ceiling of its own borrows nothing: its own bucket holds the burst.
            let ownBurst = guarantee == ceiling ? burst : max(guarantee / 100, frame)
            return QueueClass(
                number: node.number, parent: node.parent, bytesPerSecond: guarantee,
                ceilingBytesPerSecond: ceiling, burstBytes: ownBurst, ceilingBurstBytes: burst,
                quantum: UInt32(clamping: min(turn * node.weight / lightest, turn * 200)), priority: node.priority)
        }
        let queues: [UInt16: TokenBucket] = Dictionary(
            waiting.map { node in
                let bytes = max(node.ceiling / 8 / 40, 4 * frame) + turn
                return (
                    node.number,
                    // A bucket that never waits: it only splits, and bounds what waits.
                    TokenBucket(
                        bytesPerSecond: 1_000_000_000_000_000, burstBytes: UInt32(clamping: turn),
                        queueBytes: UInt32(clamping: bytes))
                )
            }, uniquingKeysWith: { first, _ in first })
        self.queues = queues
        leaves = Dictionary(
            waiting.map { node in
                let queue = FairQueue(
                    bytesPerSecond: node.ceiling / 8, frame: frame,
                    queueBytes: UInt64(queues[node.number]?.queueBytes ?? 0),
                    flows: isShared ? FairQueue.sharedFlows : FairQueue.ownFlows)
                return (node.number, queue)
            }, uniquingKeysWith: { first, _ in first })
    }

    /// What classes that lie within the same one have of their own. The kernel does not ask the outer class about that,
    /// so it must not come to more than the outer one's ceiling.
    private struct Allowance {
        /// What one without a guarantee has.
        let least: UInt64
        /// Whether guarantees leave nothing, and are a hundredth less than they say.
        let isTight: Bool

        init(_ nodes: [Node], within ceiling: UInt64) {
            let guaranteed = nodes.reduce(UInt64(0)) { sum, node in
                let (next, overflows) = sum.addingReportingOverflow(min(node.guarantee ?? 0, node.ceiling))
                return overflows ? .max : next
            }
            let kept = ceiling / 100
            isTight = guaranteed > ceiling - kept
            let left = isTight ? kept : ceiling - guaranteed
            least = min(QueueTree.least, left / (UInt64(nodes.count) + 1))
        }

        func own(_ node: Node) -> UInt64 {
            guard let guarantee = node.guarantee else { return min(least, node.ceiling) }
            let own = min(guarantee, node.ceiling)
            return isTight ? own - own / 100 : own
        }
    }

    init(classes: [QueueClass], queues: [UInt16: TokenBucket], leaves: [UInt16: FairQueue]) {
        self.classes = classes
        self.queues = queues
        self.leaves = leaves
    }

    /// The same classes so fast that nothing waits.
    var unlimited: QueueTree {
        QueueTree(
            classes: classes.map { item in
                var item = item
                item.bytesPerSecond = 1_250_000_000_000
                item.ceilingBytesPerSecond = item.bytesPerSecond
                item.burstBytes = 1 << 24
                item.ceilingBurstBytes = 1 << 24
                return item
            }, queues: queues, leaves: leaves)
    }
}

/// How fast one direction of a link is.
public enum TrafficShape: Hashable, Sendable {
    /// Everything alike.
    case bucket(RateShape)
    /// In classes.
    case tree(QueueTree)
}
