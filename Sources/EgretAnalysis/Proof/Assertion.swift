// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretPolicy

/// What somebody claims about who reaches whom.
///
/// `no app=build reaches group:metadata`, `only app=web reaches app=db on 5432/tcp`.
public struct Assertion: Hashable, Sendable {
    /// How much is claimed.
    public enum Claim: String, Hashable, Sendable, CaseIterable {
        /// Nothing of the source reaches anything of the target with any of the services.
        case none
        /// Something of the source reaches something of the target with one of the services.
        case some
        /// All of the source reaches all of the target: with every service that is named, or with any if none is.
        case every
        /// Nothing but the source reaches anything of the target with any of the services.
        case only
        /// The source reaches nothing but the target, and that with nothing but the services.
        case nothingElse
    }

    /// One end.
    public enum Party: Hashable, Sendable {
        /// The workloads that a selector chooses.
        case workloads(WorkloadSelector)
        /// Addresses of a block.
        case block(IPPrefix)
        /// Addresses of a group that Egret knows; `host` is the machine that the workload runs on.
        case builtIn(BuiltInGroup)
        /// Addresses of a group of the catalog.
        case group(String)
        /// Every address that is no workload's.
        case outside

        /// Whether this is about workloads.
        public var isWorkloads: Bool {
            if case .workloads = self { return true }
            return false
        }
    }

    /// The text, as it was written.
    public var text: String
    /// Where it is written.
    public var location: SourceLocation
    /// How much is claimed.
    public var claim: Claim
    /// Who begins.
    public var source: Party
    /// Who is asked.
    public var target: Party
    /// What with; empty for anything.
    public var services: [Service]
    /// When, in seconds since 1970-01-01T00:00Z; `nil` for any time.
    public var time: Int64?

    /// Creates an assertion.
    public init(
        text: String, location: SourceLocation, claim: Claim, source: Party, target: Party, services: [Service] = [],
        time: Int64? = nil
    ) {
        self.text = text
        self.location = location
        self.claim = claim
        self.source = source
        self.target = target
        self.services = services
        self.time = time
    }
}
