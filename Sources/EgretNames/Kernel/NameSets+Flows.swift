// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretLinux
import EgretNetlinkWire
import Synchronization

/// Flows of datagrams that the check of their names has let through.
extension NameSets {
    /// Has the kernel forget what it knows of a flow's packets that were led away, and puts the flow into sets: the next
    /// packet of the flow is a new connection's first, which every rule and translation decides about.
    ///
    /// A flow that is in the sets has its whole time again, also on a kernel that does not renew by adding. Should a packet
    /// come in between, it is led away as those before were, and the flow is to be passed once more.
    ///
    /// - Parameters:
    ///   - source: The client's address and port.
    ///   - destination: The server's.
    ///   - sets: The names of the sets, whose keys are both, one behind the other, and for how many milliseconds.
    ///   - forgets: Whether there is something to forget: not where the packets were dropped, as the kernel then forgets them
    ///     by itself.
    /// - Throws: As ``commit(_:_:)`` does: the flow is then in none of the sets in which it was not before. Only if the
    ///   kernel's answer itself is lost may it be in all.
    public func pass(
        from source: SocketAddress, to destination: SocketAddress, in sets: [String: UInt64], forgets: Bool = true
    ) throws {
        let coming = sets.mapValues { milliseconds in
            [NameSets.element(from: source, to: destination, milliseconds: milliseconds)]
        }
        // First, as it may fail, and nothing would take the flow out of the sets before its time.
        if forgets {
            try forget(
                ConnectionTuple(
                    source: source.address, destination: destination.address, transport: .udp,
                    sourcePort: source.port, destinationPort: destination.port))
        }
        try put(coming)
    }

    /// Puts addresses into sets for a time, all or none, whether they are there or not. Returns once the kernel has
    /// acknowledged.
    ///
    /// - Parameters:
    ///   - addresses: By the names of the sets.
    ///   - milliseconds: For how long from now.
    /// - Throws: As ``commit(_:_:)`` does.
    public func put(_ addresses: [String: Swift.Set<IPAddress>], for milliseconds: UInt64) throws {
        try put(NameSets.elements(addresses, milliseconds))
    }

    /// Puts addresses into sets for a time, all or none. One that is in its set keeps the time that it has there, or has it
    /// anew, as the kernel does it: for sets that may have been made again.
    ///
    /// - Parameters:
    ///   - addresses: By the names of the sets.
    ///   - milliseconds: For how long from now.
    /// - Throws: As ``commit(_:_:)`` does.
    public func add(_ addresses: [String: Swift.Set<IPAddress>], for milliseconds: UInt64) throws {
        try send(coming: NameSets.elements(addresses, milliseconds), going: [:])
    }

    /// Puts addresses into sets for a time, as ``add(_:for:)`` does, but of what a full set cannot take, as many as it has room
    /// for.
    ///
    /// - Parameters:
    ///   - addresses: By the names of the sets.
    ///   - milliseconds: For how long from now.
    /// - Returns: What is left out, by the names of the sets.
    /// - Throws: As ``commit(_:_:)`` does, but for a set that is full.
    public func fill(
        _ addresses: [String: Swift.Set<IPAddress>], for milliseconds: UInt64
    ) throws -> [String: Swift.Set<IPAddress>] {
        do {
            try add(addresses, for: milliseconds)
            return [:]
        } catch {
            if !NameSets.isFullSet(error) { throw error }
        }
        var left: [String: Swift.Set<IPAddress>] = [:]
        for (set, wanted) in addresses {
            let rest = try fill(set, wanted, for: milliseconds)
            if !rest.isEmpty { left[set] = rest }
        }
        return left
    }

    /// Puts as many addresses into a set as it has room for: by halves, as each transaction that is refused makes everybody wait
    /// who changes anything.
    ///
    /// - Returns: What is left out.
    private func fill(
        _ set: String, _ wanted: Swift.Set<IPAddress>, for milliseconds: UInt64
    ) throws -> Swift.Set<IPAddress> {
        let known = try present(NameSets.elements([set: wanted], milliseconds))[set] ?? []
        let former = Swift.Set(known.map(\.address))
        // What is there needs no room: it goes first.
        var rest = (Array(former) + Array(wanted.subtracting(former)))[...]
        var size = rest.count
        while size > 0 {
            do {
                try add([set: Swift.Set(rest.prefix(size))], for: milliseconds)
                rest = rest.dropFirst(size)
                size = min(size, rest.count)
            } catch {
                if !NameSets.isFullSet(error) { throw error }
                size /= 2
            }
        }
        return Swift.Set(rest)
    }

    /// Puts flows into sets, all or none. One that is in its set keeps the time that it has there, or has it anew, as the
    /// kernel does it.
    ///
    /// - Parameter flows: The flows, and for how many milliseconds.
    /// - Throws: As ``commit(_:_:)`` does.
    public func add(flows: [FlowElement: UInt64]) throws {
        var coming: [String: [ElementBatch.Element]] = [:]
        for (flow, milliseconds) in flows {
            coming[flow.set, default: []].append(
                NameSets.element(from: flow.source, to: flow.destination, milliseconds: milliseconds))
        }
        try send(coming: coming, going: [:])
    }

    /// Takes flows out of sets. What is not there any more, element or set, will do.
    ///
    /// - Parameter flows: What goes.
    /// - Throws: As ``commit(_:_:)`` does, but for what is not there.
    public func remove(flows: some Sequence<FlowElement>) throws {
        var all: [String: [ElementBatch.Element]] = [:]
        for flow in flows {
            all[flow.set, default: []].append(
                NameSets.element(from: flow.source, to: flow.destination, milliseconds: 0))
        }
        try removePresent(all)
    }

    private static func elements(
        _ addresses: [String: Swift.Set<IPAddress>], _ milliseconds: UInt64
    ) -> [String: [ElementBatch.Element]] {
        addresses.mapValues { each in
            each.map { ElementBatch.Element(address: $0, milliseconds: milliseconds) }
        }
    }

    private static func element(
        from source: SocketAddress, to destination: SocketAddress, milliseconds: UInt64
    ) -> ElementBatch.Element {
        ElementBatch.Element(
            own: source.address, address: destination.address, ports: (own: source.port, far: destination.port),
            milliseconds: milliseconds)
    }

    /// Adds elements, all or none, each with its whole time whether it is there or not.
    private func put(_ elements: [String: [ElementBatch.Element]]) throws {
        let replaces: Bool? = replacesRenewals.withLock(\.self)
        if replaces == false { return try send(coming: elements, going: [:]) }
        do {
            // Replacing renews on every kernel, also on one of which that is not known yet.
            try send(coming: elements, going: present(elements))
        } catch {
            if !NameSets.isAbsence(error) { throw error }
            // One that was to be replaced has just expired. If it was a set that is not there, this fails too.
            try send(coming: elements, going: present(elements))
        }
    }

    /// Those of some elements that are in their sets.
    func present(
        _ elements: [String: [ElementBatch.Element]]
    ) throws -> [String: [ElementBatch.Element]] {
        var found: [String: [ElementBatch.Element]] = [:]
        for (set, wanted) in elements {
            for element in wanted {
                let left = try timeLeft(element, in: set)
                if left != nil { found[set, default: []].append(element) }
            }
        }
        return found
    }

    /// Deletes an entry of connection tracking, if it is there.
    private func forget(_ connection: ConnectionTuple) throws {
        try questions.state.withLock { state in
            let sequence = state.sequence
            state.sequence &+= 1
            try state.socket.send(try ConntrackWire.deleteRequest(original: connection, sequence: sequence))
            while true {
                for message in try NetlinkMessage.parse(try state.socket.receive())
                where message.sequence == sequence && message.type == NetlinkControl.error {
                    let answer = try NetlinkAcknowledgement(message)
                    if answer.isSuccess || answer.errorNumber == Errno.noEntry.rawValue { return }
                    throw LinuxError(Errno(rawValue: answer.errorNumber), operation: "forget a flow that was led away")
                }
            }
        }
    }
}

/// An element of a set of flows of datagrams that the check of names has let through.
public struct FlowElement: Hashable, Sendable {
    /// The set's name.
    public var set: String
    /// The client's address and port.
    public var source: SocketAddress
    /// The server's.
    public var destination: SocketAddress

    /// Creates an element.
    public init(set: String, source: SocketAddress, destination: SocketAddress) {
        self.set = set
        self.source = source
        self.destination = destination
    }
}
