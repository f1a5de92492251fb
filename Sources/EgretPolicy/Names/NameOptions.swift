// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What a rule says about its domains besides which they are.
public struct NameOptions: Hashable, Sendable {
    /// What happens to a connection whose name cannot be read.
    public enum Unverified: String, Hashable, Sendable, CaseIterable {
        /// It is refused.
        case deny
        /// It passes if its address is held by one of the rule's names.
        case pin
    }

    /// What happens to QUIC.
    public enum QUIC: String, Hashable, Sendable, CaseIterable {
        /// It is refused with an answer, so that clients fall back to TCP at once.
        case refuse
        /// It passes if the ClientHello in its first packets says a name of the rule's that holds its address. Where none
        /// can be read, ``NameOptions/whenUnverified`` decides.
        case check
        /// It passes if its address is held by one of the rule's names.
        case pin
    }

    /// What happens to a connection whose name cannot be read.
    public var whenUnverified: Unverified
    /// What happens to QUIC.
    public var quic: QUIC
    /// What may be spoken; empty for whatever says a name, and for what says none on its usual port.
    public var applications: [ApplicationProtocol]
    /// Types of DNS records that may be asked of the names, besides those that lead to addresses.
    public var records: [NameRecordType]
    /// Addresses that are not public, and that the names may have all the same: blocks and built-in groups.
    public var addresses: [Destination]

    /// Creates options; the default is what a rule means that says nothing.
    public init(
        whenUnverified: Unverified = .deny, quic: QUIC = .refuse, applications: [ApplicationProtocol] = [],
        records: [NameRecordType] = [], addresses: [Destination] = []
    ) {
        self.whenUnverified = whenUnverified
        self.quic = quic
        self.applications = applications
        self.records = records
        self.addresses = addresses
    }

    /// The addresses that are not public and permitted.
    public var permittedAddresses: AddressRangeSet {
        AddressRangeSet(
            addresses.flatMap { destination in
                switch destination {
                case .block(let block): [block]
                case .builtIn(let group): group.blocks
                case .group: [AddressBlock]()
                }
            })
    }
}
