// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// What a run leaves in the state directory for as long as it lives, so that whoever comes after a crash can
/// clean up: the file is locked by the run's process, and a record whose lock is free is a dead run's.
public struct RunRecord: Hashable, Sendable {
    /// The run's slot, which fixes its addresses and interface.
    public var slot: Int
    /// The generation of its policy.
    public var generation: UInt16
    /// The addresses of the command's end.
    public var addresses: [IPAddress]

    /// Creates a record.
    public init(slot: Int, generation: UInt16, addresses: [IPAddress]) {
        self.slot = slot
        self.generation = generation
        self.addresses = addresses
    }

    /// Reads a record back; `nil` for anything else.
    public init?(text: String) {
        var fields: [Substring: Substring] = [:]
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: " ", maxSplits: 1)
            if parts.count == 2 { fields[parts[0]] = parts[1] }
        }
        guard let slot = fields["slot"].flatMap({ Int($0) }), (0..<AddressPlanner.slotCount).contains(slot),
            let generation = fields["generation"].flatMap({ UInt16($0) }), generation > 0
        else { return nil }
        let addresses = (fields["addresses"] ?? "").split(separator: " ").map { IPAddress($0) }
        if addresses.contains(nil) { return nil }
        self.init(slot: slot, generation: generation, addresses: addresses.compactMap(\.self))
    }

    /// The record as it is stored.
    public var text: String {
        "slot \(slot)\ngeneration \(generation)\naddresses \(addresses.map(\.description).joined(separator: " "))\n"
    }

    /// The host's interface.
    public var interface: String { "egret\(slot)" }

    /// The hardware address of the host's end.
    public var hostHardwareAddress: MACAddress { MACAddress(locallyAdministered: 0x65_0000_0000 | UInt64(slot)) }

    /// The hardware address of the command's end.
    public var endpointHardwareAddress: MACAddress {
        MACAddress(locallyAdministered: 0x65_0100_0000 | UInt64(slot))
    }

    /// The interface that the command's frames wait in, where their rate is limited.
    public var queueInterface: String { "egq\(slot)" }

    /// The hardware address of that interface.
    public var queueHardwareAddress: MACAddress {
        MACAddress(locallyAdministered: 0x65_0200_0000 | UInt64(slot))
    }

    /// The nfnetlink_log group of the run's refused and audited packets.
    ///
    /// Groups below 40960 are left to other programs: ulogd and its like use small numbers.
    public var logGroup: UInt16 { 40960 + UInt16(slot) }
}
