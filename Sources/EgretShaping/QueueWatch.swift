// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretLinux
public import EgretNetlink
import EgretNetlinkWire

/// Whether the queues that limit links are still as they were made.
public final class QueueWatch {
    private let shaper: LinkShaper
    /// Hears of queues and filters that come, go and change.
    private let events: NetlinkConnection
    private let own: UInt32?
    private var shapes: [UInt32: TrafficShape] = [:]

    /// Begins to listen.
    ///
    /// - Parameter connection: The connection of `NetlinkConnection.route()` that makes the queues: its changes are meant.
    /// - Throws: `NetlinkError` if the kernel gives no notifications.
    public init(_ connection: NetlinkConnection) throws(NetlinkError) {
        shaper = LinkShaper(connection)
        own = connection.portID
        events = try NetlinkConnection.routeEvents(
            groups: [RouteGroup.trafficControl], receiveBuffer: 1 << 18)
    }

    /// Becomes readable when a queue has changed, whosever it is.
    public var descriptor: Descriptor { events.descriptor }

    /// Looks after what a link was given.
    public func add(_ link: UInt32, _ shape: TrafficShape) { shapes[link] = shape }

    /// Whether somebody has removed or changed any of it.
    ///
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    public func isBroken() throws(NetlinkError) -> Bool {
        let pending = try events.pendingEvents()
        guard pending.someWereLost || pending.messages.contains(where: { $0.portID != own }) else { return false }
        let records = try shaper.records()
        for (link, shape) in shapes {
            if try !shaper.holds(shape, at: link, records[link]) { return true }
        }
        return false
    }
}
