// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretDNSWire
public import EgretPolicy

/// What one rule says about names.
public struct NameRule: Sendable {
    /// What it does with names that it covers.
    public enum Effect: Hashable, Sendable {
        /// They may be asked, and their addresses are granted to the rule.
        case allow
        /// They may not be asked, whatever later rules say.
        case deny
    }

    /// The rule's number in its policy; grants carry it.
    public var number: Int
    /// The names that it covers.
    public var patterns: [DomainPattern]
    /// What it does with them.
    public var effect: Effect
    /// Types of records that may be asked besides the usual ones.
    public var furtherTypes: Swift.Set<DNSRecordType>
    /// Addresses that are not public, and that its names may have all the same.
    public var permittedAddresses: AddressRangeSet

    /// Creates a rule.
    public init(
        number: Int,
        patterns: [DomainPattern],
        effect: Effect = .allow,
        furtherTypes: Swift.Set<DNSRecordType> = [],
        permittedAddresses: AddressRangeSet = AddressRangeSet([])
    ) {
        self.number = number
        self.patterns = patterns
        self.effect = effect
        self.furtherTypes = furtherTypes
        self.permittedAddresses = permittedAddresses
    }
}

/// An address that a rule now reaches, because a name that it covers has it.
public struct NameGrant: Hashable, Sendable {
    /// The rule's number.
    public var rule: Int
    /// The name that was asked for, in lower case.
    public var name: DNSName
    /// The address.
    public var address: IPAddress
    /// For how long, from now, in milliseconds: the answer's lifetime within bounds, and a grace.
    public var lifetimeMilliseconds: UInt64
    /// Whether the kernel has the element already, for less time.
    public var isRenewal: Bool

    /// Creates a grant.
    public init(rule: Int, name: DNSName, address: IPAddress, lifetimeMilliseconds: UInt64, isRenewal: Bool) {
        self.rule = rule
        self.name = name
        self.address = address
        self.lifetimeMilliseconds = lifetimeMilliseconds
        self.isRenewal = isRenewal
    }
}
