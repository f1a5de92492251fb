// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// A route, as the kernel reports it or as it is to be added.
public struct RouteRecord: Hashable, Sendable {
    /// What the route does with packets (`RTN_*` in `linux/rtnetlink.h`).
    public struct Kind: RawRepresentable, Hashable, Sendable {
        /// The kernel's number.
        public var rawValue: UInt8

        /// Creates a kind from the kernel's number.
        public init(rawValue: UInt8) {
            self.rawValue = rawValue
        }

        /// `RTN_UNICAST`: sends them on.
        public static let unicast = Kind(rawValue: 1)
        /// `RTN_LOCAL`: takes them in.
        public static let local = Kind(rawValue: 2)
        /// `RTN_BROADCAST`.
        public static let broadcast = Kind(rawValue: 3)
        /// `RTN_MULTICAST`.
        public static let multicast = Kind(rawValue: 5)
        /// `RTN_BLACKHOLE`: drops them.
        public static let blackhole = Kind(rawValue: 6)
        /// `RTN_UNREACHABLE`: refuses them.
        public static let unreachable = Kind(rawValue: 7)
        /// `RTN_PROHIBIT`: refuses them as forbidden.
        public static let prohibit = Kind(rawValue: 8)
    }

    /// What it is for; the whole address space for a default route.
    public var destination: IPPrefix
    /// The next hop, unless the destination is on the link or there are several.
    public var gateway: IPAddress?
    /// The indices of the links it leads to: one, several for multipath, none for a route that drops.
    public var outputIndices: [UInt32] = []
    /// `RT_TABLE_*`: 254 main, 255 local.
    public var table: UInt32 = 254
    /// What it does.
    public var kind: Kind = .unicast
    /// `RT_SCOPE_*`: 0 universe, 253 link, 254 host.
    public var scope: UInt8 = 0
    /// `RTPROT_*`, who made it: 2 kernel, 3 boot, 4 administrator.
    public var protocolNumber: UInt8 = 4
    /// The metric; lower is preferred.
    public var metric: UInt32?
    /// The source address for packets of the host's own that take it.
    public var preferredSource: IPAddress?
    /// The gateway is on the link although no address says so (`RTNH_F_ONLINK`).
    public var isOnLink = false

    /// Creates a unicast route of the main table.
    public init(to destination: IPPrefix, gateway: IPAddress? = nil, link index: UInt32? = nil, isOnLink: Bool = false)
    {
        self.destination = destination
        self.gateway = gateway
        outputIndices = index.map { [$0] } ?? []
        scope = destination.family == .ipv4 && gateway == nil ? 253 : 0
        self.isOnLink = isOnLink
    }

    /// Whether it is a default route.
    public var isDefault: Bool { destination.length == 0 }
}

/// A packet whose route is asked for.
public struct RouteQuery: Hashable, Sendable {
    /// Where it goes.
    public var destination: IPAddress
    /// Where it comes from; `nil` leaves that to the kernel.
    public var source: IPAddress?
    /// The index of the link it comes in by; `nil` for a packet of the host's own.
    public var inputInterface: UInt32?
    /// The index of the link it must leave by.
    public var outputInterface: UInt32?
    /// Its mark, for rules of `ip rule` that look at it.
    public var mark: UInt32

    /// Creates a query.
    public init(
        to destination: IPAddress,
        from source: IPAddress? = nil,
        inputInterface: UInt32? = nil,
        outputInterface: UInt32? = nil,
        mark: UInt32 = 0
    ) {
        self.destination = destination
        self.source = source
        self.inputInterface = inputInterface
        self.outputInterface = outputInterface
        self.mark = mark
    }
}
