// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretNetlink
import EgretNetlinkWire

/// What the kernel's connection tracking knows of networks.
public struct NetworkConnections {
    private let connection: NetlinkConnection

    /// Works through a connection made by `NetlinkConnection.netfilter()`.
    public init(_ connection: NetlinkConnection) {
        self.connection = connection
    }

    /// Forgets every connection from or to the addresses: whoever gets them next begins with none.
    ///
    /// - Parameter addresses: An endpoint's.
    /// - Throws: An error that says what the kernel refused.
    public func forget(of addresses: [IPAddress]) throws {
        try forget { record in
            addresses.contains(record.original.source) || addresses.contains(record.original.destination)
                || addresses.contains(record.reply.source) || addresses.contains(record.reply.destination)
        }
    }

    /// Forgets what went to ports before they were published or after they were withdrawn. The kernel translates the
    /// first packet of a connection only, and without this a client of UDP that goes on would never get through.
    ///
    /// - Parameters:
    ///   - ports: The host's ports.
    ///   - transport: Their protocol.
    /// - Throws: An error that says what the kernel refused.
    public func forget(to ports: ClosedRange<UInt16>, _ transport: IPProtocol) throws {
        try forget { record in
            record.original.transport == transport
                && record.original.destinationPort.map(ports.contains) ?? false
        }
    }

    private func forget(_ isStale: (ConnectionRecord) -> Bool) throws {
        for family in AddressFamily.allCases {
            let messages = try connection.dump("list connections") { sequence throws(WireError) in
                try ConntrackWire.dumpRequest(family: family, sequence: sequence)
            }
            for message in messages {
                guard let record = try? ConntrackWire.decode(message), isStale(record) else { continue }
                do throws(NetlinkError) {
                    try connection.request("forget a connection") { sequence throws(WireError) in
                        try ConntrackWire.deleteRequest(
                            original: record.original,
                            zone: record.zone,
                            identifier: record.identifier,
                            sequence: sequence
                        )
                    }
                } catch {
                    if error.code != .notFound { throw error }
                }
            }
        }
    }
}
