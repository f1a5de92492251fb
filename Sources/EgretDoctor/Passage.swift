// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretNetlinkWire
public import EgretNftables

/// How far a packet has come through one namespace, in one direction.
public struct Passage: Hashable, Sendable {
    /// A place of the doctor's own chains: before all others at a hook, or behind them.
    public struct Point: Hashable, Sendable {
        /// The hook.
        public var hook: Hook
        /// Whether it is behind all others.
        public var isLast: Bool

        /// Creates a point.
        public init(_ hook: Hook, isLast: Bool = false) {
            self.hook = hook
            self.isLast = isLast
        }

        /// The name of its chain.
        public var chain: String { "\(hook.rawValue)-\(isLast ? "last" : "first")" }

        /// The point with a chain's name.
        public init?(chain: String) {
            let words = chain.split(separator: "-").map(String.init)
            guard words.count == 2, let hook = Hook(rawValue: words[0]), ["first", "last"].contains(words[1]) else {
                return nil
            }
            self.init(hook, isLast: words[1] == "last")
        }
    }

    /// The packet at a point.
    public struct Sighting: Hashable, Sendable {
        /// Where.
        public var point: Point
        /// The packet's source there.
        public var source: IPAddress
        /// The packet's destination there.
        public var destination: IPAddress
        /// The interface it came in by.
        public var inputInterface: UInt32?
        /// The interface it leaves by.
        public var outputInterface: UInt32?
        /// The packet's mark there, for rules of `ip rule` that look at it.
        public var mark: UInt32

        /// Creates a sighting.
        public init(
            _ point: Point,
            from source: IPAddress,
            to destination: IPAddress,
            inputInterface: UInt32? = nil,
            outputInterface: UInt32? = nil,
            mark: UInt32 = 0
        ) {
            self.mark = mark
            self.point = point
            self.source = source
            self.destination = destination
            self.inputInterface = inputInterface
            self.outputInterface = outputInterface
        }
    }

    /// The rule, or policy, that has dropped the packet.
    public struct Drop: Hashable, Sendable {
        /// The table.
        public var table: Table
        /// The chain.
        public var chain: String
        /// The hook at which it is asked.
        public var hook: Hook?
        /// The rule's number; `nil` for the chain's policy.
        public var handle: UInt64?
        /// Whether a program was to decide that does not (`queue`).
        public var isQueue = false
        /// The packet's source there.
        public var source: IPAddress?
        /// The packet's destination there.
        public var destination: IPAddress?
        /// The rule in nft's words.
        public var text = ""
        /// The rule's comment.
        public var comment: String?
        /// Who seems to have made it.
        public var owner = ""

        /// Creates a description of which the words are not known.
        public init(table: Table, chain: String, handle: UInt64?) {
            self.table = table
            self.chain = chain
            self.handle = handle
        }
    }

    /// The points passed, in order.
    public var sightings: [Sighting] = []
    /// What has dropped the packet, if a rule has.
    public var drop: Drop?

    /// Creates the passage of a packet that was not seen.
    public init() {}

    /// The packet at a point, if it has come there.
    func at(_ hook: Hook, isLast: Bool = false) -> Sighting? {
        sightings.last { $0.point == Point(hook, isLast: isLast) }
    }

    /// Whether the packet has come to the point.
    func reached(_ hook: Hook, isLast: Bool = false) -> Bool { at(hook, isLast: isLast) != nil }
}

extension Passage {
    /// The passages of a probe and of its answer, from what a trace tells of them.
    ///
    /// - Parameters:
    ///   - events: The trace's events, in order.
    ///   - destination: Where the probe goes.
    ///   - isOwn: Whether a table is the doctor's own.
    /// - Returns: The way there and the way back.
    public static func assemble(
        _ events: [TraceEvent],
        to destination: IPAddress,
        isOwn: (Table) -> Bool
    ) -> (out: Passage, back: Passage) {
        var ways = (out: Passage(), back: Passage())
        var interfaces: [UInt32: TraceEvent] = [:]
        var known: [UInt32: (isBack: Bool, packet: PacketSummary)] = [:]
        for var event in events {
            // Only the first event of a chain's pass carries the packet and its interfaces.
            if event.packet.isEmpty, let first = interfaces[event.packetID], first.chain == event.chain {
                (event.inputInterface, event.outputInterface) = (first.inputInterface, first.outputInterface)
            } else {
                interfaces[event.packetID] = event
            }
            if let packet = PacketSummary.parse(event.packet) {
                if packet.source == destination {
                    known[event.packetID] = (true, packet)
                } else if packet.destination == destination {
                    known[event.packetID] = (false, packet)
                } else if let last = known[event.packetID] {
                    known[event.packetID] = (last.isBack, packet)
                }
            }
            guard let (isBack, packet) = known[event.packetID] else { continue }
            if isBack {
                ways.back.append(event, packet, isOwn: isOwn(event.table))
            } else {
                ways.out.append(event, packet, isOwn: isOwn(event.table))
            }
        }
        return ways
    }

    private mutating func append(_ event: TraceEvent, _ packet: PacketSummary, isOwn: Bool) {
        if isOwn {
            guard event.kind == .policy, event.table.family == .inet, let point = Point(chain: event.chain) else {
                return
            }
            sightings.append(
                Sighting(
                    point,
                    from: packet.source,
                    to: packet.destination,
                    inputInterface: event.inputInterface,
                    outputInterface: event.outputInterface,
                    mark: event.mark
                )
            )
        } else if let drop = Drop(event) {
            self.drop = drop
            self.drop?.source = packet.source
            self.drop?.destination = packet.destination
            if event.table.family != .bridge { self.drop?.hook = sightings.last?.point.hook }
        }
    }
}

extension Passage.Drop {
    /// What the event says has dropped the packet; `nil` if it has not.
    init?(_ event: TraceEvent) {
        switch event.outcome {
        case .verdict(.drop): self.init(table: event.table, chain: event.chain, handle: event.ruleHandle)
        case .queue:
            self.init(table: event.table, chain: event.chain, handle: event.ruleHandle)
            isQueue = true
        default: return nil
        }
        if event.kind == .policy { handle = nil }
    }
}
