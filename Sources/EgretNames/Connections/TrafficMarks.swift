// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux
import EgretPolicy

/// The differentiated-services code points that limits give to what an endpoint sends to servers.
///
/// A connection that the proxy makes is the host's own: what the kernel has marked of the endpoint's packets ends at the proxy.
struct TrafficMarks: Sendable {
    private struct Mark: Sendable {
        /// `nil` for all.
        let addresses: AddressRangeSet?
        /// Names whose addresses it is about as well.
        let names: [DomainPattern]
        let services: [Service]
        let schedule: Schedule?
        let value: UInt8

        /// Whether it is about connections over TCP to a server that has some names, at a time; one that nobody knows is in
        /// every schedule.
        func covers(_ server: SocketAddress, _ held: Swift.Set<DomainName>, at moment: Int64?) -> Bool {
            if let addresses, !addresses.contains(server.address),
                !held.contains(where: { name in names.contains { $0.covers(name) } })
            {
                return false
            }
            if let schedule, let moment, !schedule.isOpen(at: moment) { return false }
            return services.isEmpty || services.contains { $0.coversStream(to: server.port) }
        }
    }

    private let marks: [Mark]
    /// Whether it matters which names a server has.
    let dependOnNames: Bool

    init(_ policies: PolicySet) {
        marks = policies.limits.compactMap { limit in
            guard let mark = limit.dscp, limit.holds(.egress) else { return nil }
            let addresses =
                limit.isForAllFarEnds
                ? nil : AddressRangeSet(limit.destinations.flatMap { $0.blocks(policies.groups) })
            return Mark(
                addresses: addresses, names: limit.patterns(policies.groups), services: limit.services,
                schedule: limit.schedule, value: mark.rawValue)
        }
        dependOnNames = marks.contains { !$0.names.isEmpty }
    }

    /// The code point of a connection to a server; `nil` if no limit gives it one. Of several the last one has its way, as in
    /// the kernel, where each sets it again.
    ///
    /// - Parameters:
    ///   - server: Where it goes.
    ///   - held: The names by which the endpoint holds the server's address; not asked for unless ``dependOnNames``.
    ///   - moment: The time, if it is known.
    /// - Returns: 0 to 63.
    func codePoint(to server: SocketAddress, by held: Swift.Set<DomainName>, at moment: Int64?) -> UInt8? {
        marks.last { $0.covers(server, held, at: moment) }?.value
    }
}

extension Service {
    /// Whether connections over TCP to a port are of the service.
    fileprivate func coversStream(to port: UInt16) -> Bool {
        switch self {
        case .any(let proto): proto == .tcp
        case .ports(let proto, let range): proto == .tcp && range.contains(port)
        case .icmp: false
        }
    }
}
