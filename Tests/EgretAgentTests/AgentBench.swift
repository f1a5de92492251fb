// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAgentAPI
import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretPolicy
import EgretShaping
import EgretSources
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import EgretAgent

/// An agent with a store of its own, and a kernel that is only noted.
final class AgentBench: Sendable {
    let directory: String
    let clock = Mutex<Int64>(1_800_000_000)
    /// Seconds since the machine's start, and which start it was.
    let uptime = Mutex<(seconds: Int64, start: Int)>((1_000, 1))
    let kernel = NotedKernel()
    let present = Mutex<[AgentEndpoint]>([])
    let lines = Mutex<[String]>([])
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    init() throws {
        directory = "/tmp/egret-agent-test-\(UInt64.random(in: 0...UInt64.max))"
        try Directory.make(directory, mode: 0o700)
    }

    deinit {
        try? group.syncShutdownGracefully()
        for name in (try? Directory.names(in: directory)) ?? [] { try? File.remove("\(directory)/\(name)") }
        try? Directory.remove(directory)
    }

    var storePath: String { "\(directory)/agent.sqlite" }

    /// A new agent on the same store, as after a crash of the one before.
    func agent(
        defaultAction: DefaultAction = .allow, feeds: FeedKeeper? = nil, budgets: sending BudgetKeeper? = nil
    ) async throws -> Agent {
        let agent = Agent(
            loop: group.next(), store: try PolicyStore(path: storePath), enforcement: NotedEnforcement(kernel),
            source: GivenEndpoints(bench: self), defaultAction: defaultAction,
            timeZones: SystemTimeZones.database(), networkNamespace: 1,
            now: { self.clock.withLock { $0 } },
            clock: BootClock(bootID: "start \(uptime.withLock { $0.start })") { self.uptime.withLock { $0.seconds } },
            feeds: feeds, budgets: budgets,
            log: { line in self.lines.withLock { $0.append(line) } })
        try await agent.start()
        return agent
    }

    /// Lets time pass.
    func advance(_ seconds: Int64) {
        clock.withLock { $0 += seconds }
        uptime.withLock { $0.seconds += seconds }
    }

    /// Sets the calendar.
    func setClock(by seconds: Int64) { clock.withLock { $0 += seconds } }

    /// Starts the machine again.
    func restart() { uptime.withLock { $0 = (5, $0.start + 1) } }

    func endpoint(_ number: Int, labels: [String: String] = [:]) throws -> AgentEndpoint {
        AgentEndpoint(
            workload: Workload(
                Workload.ID(name: "w\(number)", kind: "Endpoint"), labels: labels,
                addresses: [try #require(IPAddress("10.9.0.\(number)"))]),
            network: "net0", namespace: "ns\(number)", interface: try #require(InterfaceName("egn\(number)")),
            interfaceIndex: UInt32(number), bridge: nil,
            hardwareAddress: MACAddress(locallyAdministered: UInt64(number)),
            addresses: [try #require(IPAddress("10.9.0.\(number)"))])
    }

    static func policy(_ name: String, to block: String = "203.0.113.0/24") -> String {
        """
        apiVersion: egret.dev/v1
        kind: EgressPolicy
        metadata: { name: \(name) }
        spec: { egress: [{ action: allow, to: [{ cidr: \(block) }] }] }

        """
    }

    static func request(_ text: String, file: String = "policy.yaml") -> ApplyRequest {
        ApplyRequest(files: [SourceFile(name: file, text: text)])
    }
}

/// What the kernel would hold.
final class NotedKernel: Sendable {
    struct State {
        /// The names of the policies in force, as the last change had them.
        var policies: [String] = []
        var takings = 0
        /// How often it was brought from one state to another.
        var changes = 0
        var timesHoldUntil: Int64?
        var drift: [String] = []
        /// What others had changed before the agent took over.
        var alterations: [String] = []
        /// How often there was something to compare: what others had changed.
        var comparisons = 0
        var counters: [String: CounterValue] = [:]
        var rates: [RateCounts] = []
        var sharedRates: [SharedRate] = []
        /// How often these were asked for.
        var rateReadings = 0
        /// Errors to come, one for each attempt.
        var failures: [Failure?] = []
    }

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    let state = Mutex(State())
}

final class NotedEnforcement: Enforcement {
    private let kernel: NotedKernel

    init(_ kernel: NotedKernel) { self.kernel = kernel }

    var timesHoldUntil: Int64? { kernel.state.withLock { $0.timesHoldUntil } }

    private func put(_ state: DesiredState, isTaking: Bool) throws -> [EnforcedEndpoint] {
        var resolved = ResolvedState()
        _ = resolved.update(to: state)
        // Limits that do not go together are refused as the kernel's are.
        _ = try EndpointDemands(resolved, state)
        try kernel.state.withLock { kernel in
            if isTaking { kernel.takings += 1 } else { kernel.changes += 1 }
            if !kernel.failures.isEmpty, let failure = kernel.failures.removeFirst() { throw failure }
            kernel.policies = state.catalog.egressPolicies.map(\.name).sorted()
            kernel.drift = []
        }
        return resolved.slots.compactMap { slot in
            resolved.endpoint(slot).map { endpoint in
                EnforcedEndpoint(
                    endpoint: endpoint, egress: resolved.policyNames(slot, .egress),
                    ingress: resolved.policyNames(slot, .ingress),
                    egressGeneration: resolved.key(slot, .egress).map { _ in 1 })
            }
        }
    }

    func take(to state: DesiredState, at time: Int64) throws -> [EnforcedEndpoint] { try put(state, isTaking: true) }
    func apply(_ state: DesiredState, at time: Int64) throws -> [EnforcedEndpoint] { try put(state, isTaking: false) }
    func preview(_ state: DesiredState, at time: Int64) throws -> EnforcementPreview {
        EnforcementPreview(changed: [], cut: [:])
    }
    func holdsPolicies() throws -> Bool { kernel.state.withLock { !$0.policies.isEmpty } }
    var comparisons: Int { kernel.state.withLock { $0.comparisons } }
    var alterations: [String] { kernel.state.withLock { $0.alterations } }
    var commits: Int? { kernel.state.withLock { $0.takings + $0.changes } }
    func drift() throws -> [String] {
        kernel.state.withLock { kernel in
            if !kernel.drift.isEmpty { kernel.comparisons += 1 }
            return kernel.drift
        }
    }
    func tidy() throws {}
    func counters() throws -> [String: CounterValue] { kernel.state.withLock { $0.counters } }
    func sharedRates() throws -> [SharedRate] { kernel.state.withLock { $0.sharedRates } }
    func rateCounts() throws -> [RateCounts] {
        kernel.state.withLock { kernel in
            kernel.rateReadings += 1
            return kernel.rates
        }
    }
}

struct GivenEndpoints: EgretAgent.EndpointSource {
    unowned let bench: AgentBench

    func endpoints() throws -> [AgentEndpoint] { bench.present.withLock { $0 } }
    func hasLink(_ endpoint: AgentEndpoint) -> Bool { false }
    func note(hasPolicies: Bool) throws {}
}
