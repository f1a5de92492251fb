// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// One clause of a policy's `routes`: a match, and the ways that matching connections may take.
public struct EgressRoute: Hashable, Sendable {
    /// What happens to new connections while none of the ways is usable.
    public enum Fallback: String, Hashable, Sendable, CaseIterable {
        /// They are dropped.
        case drop
        /// They go the way of the host's main routing table.
        case main
        /// The next clause that matches is asked.
        case next
    }

    /// Where the traffic goes. Any one suffices; empty means everywhere.
    public var destinations: [Destination]
    /// Protocols and ports. Any one suffices; empty means every protocol and port.
    public var services: [Service]
    /// The ways, the preferred one first; never empty.
    public var ways: [RouteWay]
    /// What happens to new connections while none of the ways is usable.
    public var fallback: Fallback
    /// Where the clause begins.
    public var location: SourceLocation?

    /// Creates a clause.
    public init(
        destinations: [Destination] = [],
        services: [Service] = [],
        ways: [RouteWay],
        fallback: Fallback = .drop,
        location: SourceLocation? = nil
    ) {
        self.destinations = destinations
        self.services = services
        self.ways = ways
        self.fallback = fallback
        self.location = location
    }
}

/// One way out: a next hop, an interface, a source address, or a combination of them.
public struct RouteWay: Hashable, Sendable {
    /// The most ways that the policies of a run may have together.
    public static let limit = 31

    /// Who gets one address of a run of source addresses.
    public enum SourceUse: String, Hashable, Sendable, CaseIterable {
        /// Each endpoint keeps to one.
        case endpoint
        /// Each connection gets one by chance.
        case connection
    }

    /// The next hop.
    public var gateway: IPAddress?
    /// The interface.
    public var interface: InterfaceName?
    /// The source address that the world sees; the first of them where there are several.
    public var sourceAddress: IPAddress?
    /// The last source address, of a run of them; `nil` where there is one. Of the first one's family, and above it.
    public var lastSourceAddress: IPAddress?
    /// Whether each connection gets one of several source addresses by chance. Otherwise an endpoint keeps to one.
    public var isSourcePerConnection: Bool
    /// How its health is found out; `nil` where the interface's being up is enough.
    public var check: RouteCheck?

    /// Creates a way. At least one of the three is there, and addresses are of one family.
    public init(
        gateway: IPAddress? = nil,
        interface: InterfaceName? = nil,
        sourceAddress: IPAddress? = nil,
        lastSourceAddress: IPAddress? = nil,
        isSourcePerConnection: Bool = false,
        check: RouteCheck? = nil
    ) {
        self.lastSourceAddress = lastSourceAddress
        self.isSourcePerConnection = isSourcePerConnection && lastSourceAddress != nil
        self.gateway = gateway
        self.interface = interface
        self.sourceAddress = sourceAddress
        self.check = check
    }

    /// `192.0.2.7`, or `192.0.2.7-192.0.2.9`; `nil` if it has no source address.
    public var sourceText: String? {
        sourceAddress.map { first in lastSourceAddress.map { "\(first)-\($0)" } ?? "\(first)" }
    }

    /// ``sourceText``, and `per connection` where each gets one of several.
    public var sourceWords: String? {
        sourceText.map { isSourcePerConnection ? "\($0) per connection" : $0 }
    }

    /// Reads a source address, or the first and the last of a run of them, as ``sourceText`` has it.
    ///
    /// - Returns: `nil` for what is neither, or runs backwards, or mixes families.
    public static func sources(_ text: some StringProtocol) -> (first: IPAddress, last: IPAddress?)? {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count <= 2, let first = IPAddress(parts[0]) else { return nil }
        if parts.count == 1 { return (first, nil) }
        guard let last = IPAddress(parts[1]), last.family == first.family, first.rawValue <= last.rawValue else {
            return nil
        }
        return (first, last == first ? nil : last)
    }

    /// Whether packets of a family can take it.
    public func carries(_ family: AddressFamily) -> Bool {
        (gateway?.family ?? family) == family && (sourceAddress?.family ?? family) == family
    }
}

/// How the health of a way is found out.
public struct RouteCheck: Hashable, Sendable {
    /// What is asked.
    public enum Probe: Hashable, Sendable {
        /// An echo request (ICMP or ICMPv6) is answered.
        case icmp(IPAddress)
        /// A TCP connection is accepted.
        case tcp(IPAddress, port: UInt16)
        /// A request of HTTP/1.1 for a path is answered with a status of 200 to 399.
        case http(IPAddress, port: UInt16, path: String)
    }

    /// What is asked.
    public var probe: Probe
    /// The time between two checks, in milliseconds.
    public var interval: UInt64
    /// How long an answer may take, in milliseconds; never more than the interval.
    public var timeout: UInt64
    /// After how many missed checks in a row the way is given up.
    public var failures: Int
    /// After how many answered checks in a row it is taken up again.
    public var successes: Int

    /// Creates a check.
    public init(probe: Probe, interval: UInt64, timeout: UInt64, failures: Int = 2, successes: Int = 3) {
        self.probe = probe
        self.interval = interval
        self.timeout = timeout
        self.failures = failures
        self.successes = successes
    }

    /// The address that is asked.
    public var address: IPAddress {
        switch probe {
        case .icmp(let address), .tcp(let address, _), .http(let address, _, _): address
        }
    }
}
