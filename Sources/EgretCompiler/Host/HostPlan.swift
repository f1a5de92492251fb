// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNftables
public import EgretPolicy

/// What the kernel should hold for the policed endpoints of a host.
///
/// A value, changed in place: each change costs what it touches, and tells what brings the kernel from the state before
/// to the state after. Endpoints with the same policies share the programs, and endpoints with the same pair of programs
/// share the chains that lead to them, so that an endpoint is a few elements of maps and the checks at its interface.
public struct HostPlan: Hashable, Sendable {
    /// A change of the plan.
    public struct Change: Sendable {
        /// Endpoints that come, or are otherwise than before; by slot.
        public var endpoints: [HostEndpoint] = []
        /// The slots of endpoints that go.
        public var removed: [Int] = []
        /// The policies of keys that come, or are otherwise than before. A key whose policies are as before costs a
        /// comparison. Keys that no endpoint uses are left out.
        public var policies: [ProgramKey: PolicySet] = [:]
        /// The first and last second, since 1970, for which the times of rules are to be compiled; `nil` as before.
        public var horizon: ClosedRange<Int64>?

        /// Creates an empty change.
        public init() {}
    }

    /// A change that names policies nobody has given.
    public struct UnknownPolicies: Error, Hashable, Sendable, CustomStringConvertible {
        /// The key.
        public var key: ProgramKey

        /// One sentence for a person.
        public var description: String {
            "an endpoint obeys policies that are not known (\(key.direction.rawValue)): "
                + key.policies.joined(separator: ", ")
        }
    }

    /// A change that brings rules about names, without anybody to ask about them.
    public struct NoProxies: Error, Hashable, Sendable, CustomStringConvertible {
        /// One sentence for a person.
        public var description: String {
            "a policy has rules about names, or limits or budgets for some, and the proxies for names do not run"
        }
    }

    /// A program in use.
    struct Entry: Hashable, Sendable {
        /// The policies that it was compiled from.
        private(set) var policies: PolicySet
        /// The program, without what compiling the policies again gives. Of large ones that is all.
        private(set) var outline: PolicyProgram
        /// The first and last second, since 1970, for which it was compiled.
        private(set) var horizon: ClosedRange<Int64>
        /// The pairs that it is one of.
        var profiles = SmallSet<HostProfile>()

        /// Notes a program.
        init(_ program: PolicyProgram, of policies: PolicySet, horizon: ClosedRange<Int64>) {
            self.policies = policies
            self.horizon = horizon
            outline = program.isLarge ? program : program.outline
        }

        /// Notes that another program takes its place.
        mutating func put(_ program: PolicyProgram, of policies: PolicySet, horizon: ClosedRange<Int64>) {
            let pairs = profiles
            self = Entry(program, of: policies, horizon: horizon)
            profiles = pairs
        }

        /// All of the program: as it was compiled, for compiling is a pure function.
        func program(of key: ProgramKey, logGroup: UInt16) -> PolicyProgram {
            if outline.isLarge { return outline }
            return PolicyCompiler.compile(
                policies, for: .endpoint(key.direction), generation: outline.generation, logGroup: logGroup,
                horizon: horizon)
        }
    }

    /// A pair of programs in use.
    struct Profile: Hashable, Sendable {
        /// The number that its chains carry.
        var number: Int
        /// How many endpoints have it.
        var users = 0
    }

    /// The nfnetlink_log group that refused and audited packets go to.
    public let logGroup: UInt16
    /// The bridges that let nothing pass but what policed endpoints send and are sent.
    public let quarantine: [BridgePattern]
    /// The first and last second, since 1970, for which the times of rules are compiled.
    public internal(set) var horizon: ClosedRange<Int64>
    /// The endpoints by slot.
    public internal(set) var endpoints: [Int: HostEndpoint] = [:]
    /// Where programs' numbers come from.
    public var generations: GenerationAllocator
    /// Whether the base objects are in the kernel.
    public internal(set) var hasBase = false
    /// Whether the bridge table is in the kernel.
    public internal(set) var hasBridgeTable = false
    /// Whether the hook for processes of the host's own network is in the kernel.
    public internal(set) var hasOutput = false
    /// Where the proxies for names listen. To be set before a program with rules about names comes; it stays the same for
    /// as long as the plan has names.
    public var namePorts: HostNames.Ports?
    /// Whether what leads to the proxies for names is in the kernel: from the first program with rules about names on.
    public internal(set) var hasNames = false

    var entries: [ProgramKey: Entry] = [:]
    /// The keys whose programs have rules that hold at some times only.
    var timed: Swift.Set<ProgramKey> = []
    var profiles: [HostProfile: Profile] = [:]
    /// How many endpoints are on each bridge.
    var bridges: [UInt32: Int] = [:]
    var nextProfile: Int
    var freeProfiles: [Int] = []

    /// Creates a plan without endpoints, for a kernel that holds nothing of it.
    ///
    /// - Parameters:
    ///   - logGroup: The nfnetlink_log group that refused and audited packets go to.
    ///   - generations: The numbers that programs may have.
    ///   - horizon: The first and last second, since 1970, for which the times of rules are compiled.
    ///   - quarantine: The bridges that let nothing pass but what policed endpoints send and are sent.
    ///   - firstProfile: The first number that shared chains may carry: above those that a kernel holds already.
    public init(
        logGroup: UInt16, generations: GenerationAllocator = GenerationAllocator(), horizon: ClosedRange<Int64> = 0...0,
        quarantine: [BridgePattern] = [], firstProfile: Int = 0
    ) {
        self.quarantine = quarantine
        nextProfile = firstProfile
        self.logGroup = logGroup
        self.generations = generations
        self.horizon = horizon
    }

    /// The programs in use, with the names of their objects, without rules and elements.
    public var outlines: [ProgramKey: PolicyProgram] { entries.mapValues(\.outline) }

    /// Whether a rule of any program holds at some times only.
    public var hasTimes: Bool { !timed.isEmpty }

    /// The program of a key, if any endpoint obeys it.
    ///
    /// - Complexity: It is compiled again; ``outline(of:)`` is at hand.
    public func program(of key: ProgramKey) -> PolicyProgram? {
        entries[key]?.program(of: key, logGroup: logGroup)
    }

    /// The program of a key with the names of its objects, without rules and elements, if any endpoint obeys it.
    public func outline(of key: ProgramKey) -> PolicyProgram? { entries[key]?.outline }
}

// MARK: - Changing

extension HostPlan {
    /// Changes the plan.
    ///
    /// - Parameter change: What is to change.
    /// - Returns: What brings the kernel there.
    /// - Throws: ``UnknownPolicies`` or `GenerationAllocator.Exhausted`; the plan is then as before.
    /// - Complexity: O(*n*) in the endpoints, policies and rules that are touched.
    public mutating func apply(_ change: Change) throws -> HostDifference {
        var step = try HostPlanStep(change, of: self)
        step.run(on: &self)
        return step.difference
    }
}
