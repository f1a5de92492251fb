// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretPolicy

/// How fast the traffic of one endpoint of a network may be.
public struct EndpointRates: Hashable, Sendable {
    /// The rate of what it sends; `nil` if that is not limited.
    public var egress: TrafficShape?
    /// The rate of what it is sent.
    public var ingress: TrafficShape?
    /// The directions in which it shares rates with others.
    public var pooled: Set<TrafficDirection>
    /// Whether it has several links, whose traffic waits together.
    public var isGathered: Bool

    /// Creates a pair of rates.
    public init(
        egress: TrafficShape? = nil, ingress: TrafficShape? = nil, pooled: Set<TrafficDirection> = [],
        isGathered: Bool = false
    ) {
        self.pooled = pooled
        self.egress = egress
        self.ingress = ingress
        self.isGathered = isGathered
    }

    /// Where the traffic of an endpoint waits that is known by a link, and how fast it goes there.
    func sites(_ link: UInt32) -> [ShapingSite: TrafficShape] {
        var found: [ShapingSite: TrafficShape] = [:]
        if let egress { found[.queue(.egress, isPooled: pooled.contains(.egress), link)] = egress }
        if let ingress {
            let queue = ShapingSite.queue(.ingress, isPooled: pooled.contains(.ingress), link)
            found[isGathered ? queue : .link(link)] = ingress
        }
        return found
    }
}

/// A place where an endpoint's traffic waits.
enum ShapingSite: Hashable, Sendable {
    /// The queue of the link itself, for what the endpoint is sent.
    case link(UInt32)
    /// An interface of its own: for what endpoints send, and for what one with several links is sent. From one that is
    /// pooled, frames go on to what is shared.
    case queue(TrafficDirection, isPooled: Bool, UInt32)

    /// The kinds of interfaces: how their names begin, and the upper half of their hardware addresses.
    static let kinds: [(direction: TrafficDirection, isPooled: Bool, prefix: String, address: UInt64)] = [
        (.egress, false, "egl", 0x6c_0000_0000), (.egress, true, "egm", 0x6d_0000_0000),
        (.ingress, false, "egi", 0x6e_0000_0000), (.ingress, true, "egj", 0x6f_0000_0000),
    ]

    /// The link that the endpoint is known by.
    var link: UInt32 {
        switch self {
        case .link(let link), .queue(_, _, let link): link
        }
    }

    /// Whether what waits is sent by the endpoint, or to it.
    var direction: TrafficDirection {
        switch self {
        case .link: .ingress
        case .queue(let direction, _, _): direction
        }
    }

    /// The order in which places are gone through.
    var order: (UInt32, String) { (link, name ?? "") }

    /// The interface's name; `nil` for the link itself.
    var name: String? { kind.map { "\($0.prefix)\(link)" } }

    /// The lower five bytes of the interface's hardware address; `nil` for the link itself.
    var hardwareNumber: UInt64? { kind.map { $0.address | UInt64(link) } }

    private var kind: (direction: TrafficDirection, isPooled: Bool, prefix: String, address: UInt64)? {
        guard case .queue(let direction, let isPooled, _) = self else { return nil }
        return ShapingSite.kinds.first { $0.direction == direction && $0.isPooled == isPooled }
    }
}
