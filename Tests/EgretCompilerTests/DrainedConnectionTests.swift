// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretNftables
import EgretPolicy
import Testing

@Suite("Connections between endpoints that a rule lets drain")
struct DrainedConnectionTests {
    private let now: Int64 = 1_784_000_000
    private let near: IPAddress
    private let far: IPAddress
    private let block: AddressBlock

    init() throws {
        near = try #require(IPAddress("10.9.0.2"))
        far = try #require(IPAddress("10.9.0.3"))
        block = AddressBlock(try #require(IPPrefix("10.9.0.0/24")))
    }

    private func compile(_ policy: EgressPolicy, for use: ProgramUse = .endpoint(.egress)) throws -> PolicyProgram {
        PolicyCompiler.compile(
            PolicySet(policies: [policy]), for: use, generation: try #require(Generation(rawValue: 12)), logGroup: 5,
            horizon: now - 60...now + 60)
    }

    private static func schedule(_ onClose: Schedule.ClosingAction) -> Schedule {
        Schedule(from: Schedule.LocalTime(CivilDate(dayNumber: 0)), onClose: onClose)
    }

    /// A program that lets the other endpoint be reached at times that are in the kernel only.
    private func program(
        _ onClose: Schedule.ClosingAction, for use: ProgramUse = .endpoint(.egress), action: RuleAction = .allow
    ) throws -> PolicyProgram {
        let policy = EgressPolicy(
            name: "p", defaultAction: action == .allow ? .deny : .allow,
            rules: [
                EgressRule(
                    action: action, destinations: [.block(block)], schedule: DrainedConnectionTests.schedule(onClose))
            ])
        return try compile(policy, for: use)
    }

    /// Runs a packet to the other endpoint, which is one of the host's, through the program.
    private func run(
        _ program: PolicyProgram, _ state: ConnectionState, isOpen: Bool = true, isConfirmed: Bool = true,
        kept: [UInt32] = [], protocol number: IPProtocol = .tcp
    ) -> Outcome {
        var present = TableProgram(table: program.program.table)
        present.memberships = [
            Set("members4", keyType: .ipv4Address, contents: .elements([SetElement(near), SetElement(far)])),
            Set(
                "g12-drained", keyType: .mark,
                contents: .elements(kept.sorted().map { SetElement(UInt128($0)) })),
        ]
        var packet = Packet(source: near, destination: far, protocol: number)
        (packet.sourcePort, packet.destinationPort, packet.connectionTargetPort) = (40_000, 80, 80)
        (packet.outputInterface, packet.state, packet.connectionID) = (7, state, 99)
        packet.isConfirmed = isConfirmed
        packet.time = UInt64(isOpen ? now : now + 3_600) * 1_000_000_000
        return Interpreter([program.program, present]).run(packet, from: program.egressChain)
    }

    @Test("one that began at the right time goes on by the program's own note, and no other does")
    func drained() throws {
        let program = try program(.drain)
        let first = run(program, .new, isConfirmed: false)
        #expect(first.verdict == .accept && first.kept == ["g12-drained"] && first.mark == 0)
        #expect(run(program, .established, isOpen: false, kept: [99]).verdict == .accept)
        #expect(run(program, .established, isOpen: false, kept: [99]).kept == ["g12-drained"], "for longer")
        #expect(run(program, .new, isOpen: false, kept: [99]).verdict == .accept, "datagrams that nobody answers")
        #expect(run(program, .established, isOpen: false, kept: [98]).verdict == .drop)
        let later = run(program, .new, isOpen: false, isConfirmed: false, kept: [99])
        #expect(later.verdict == .drop && later.kept.isEmpty, "another connection with the number of an old one")
        #expect(run(program, .related, isOpen: false, kept: [99]).verdict == .drop, "errors are judged by themselves")
    }

    @Test("a connection with an old one's number takes it out of the note, and is noted anew only if it drains")
    func reused() throws {
        let draining = try program(.drain)
        let again = run(draining, .new, isConfirmed: false, kept: [99])
        #expect(again.verdict == .accept && again.removed == ["g12-drained"] && again.kept == ["g12-drained"])
        let first = run(draining, .new, isConfirmed: false, kept: [98])
        #expect(first.verdict == .accept && first.removed.isEmpty && first.kept == ["g12-drained"])
        for state in [ConnectionState.new, .established] {
            #expect(run(draining, state, kept: [99]).removed.isEmpty, "only the first packet says that it is another")
        }
        #expect(run(draining, .related, kept: [99]).removed.isEmpty, "an error begins nothing")
        // A rule lets another port drain, and a second one cuts what it lets out.
        let cutting = try compile(
            EgressPolicy(
                name: "p", defaultAction: .deny,
                rules: [
                    EgressRule(
                        action: .allow, destinations: [.block(block)], services: [.ports(.tcp, PortRange(81))],
                        schedule: DrainedConnectionTests.schedule(.drain)),
                    EgressRule(
                        action: .allow, destinations: [.block(block)], schedule: DrainedConnectionTests.schedule(.cut)),
                ]))
        for state in [ConnectionState.new, .related] {
            let other = run(cutting, state, isConfirmed: false, kept: [99])
            #expect(other.verdict == .accept && other.removed == ["g12-drained"] && other.kept.isEmpty)
        }
        #expect(run(cutting, .established).verdict == .accept)
        #expect(run(cutting, .established, isOpen: false).verdict == .drop)
    }

    @Test("what a rule refuses at its time was let through before, and goes on")
    func refusing() throws {
        let program = try program(.drain, action: .deny)
        #expect(run(program, .new, isOpen: true, isConfirmed: false).verdict == .drop)
        #expect(run(program, .established, isOpen: true, kept: [99]).verdict == .accept)
    }

    @Test("protocols that tracking does not know in every kernel are judged packet by packet")
    func untracked() throws {
        let program = try program(.drain)
        let first = run(program, .new, isConfirmed: false, protocol: .dccp)
        #expect(first.verdict == .accept && first.kept.isEmpty)
        #expect(run(program, .established, isOpen: false, kept: [99], protocol: .dccp).verdict == .drop)
    }

    @Test("programs of runs, and those whose rules cut, have no such set")
    func others() throws {
        let cutting = try program(.cut)
        #expect(!cutting.program.sets.contains { $0.name == "g12-drained" })
        #expect(run(cutting, .established, isOpen: false, kept: [99]).verdict == .drop)
        let ofRun = try program(.drain, for: .run)
        #expect(!ofRun.program.sets.contains { $0.isDynamic })
    }
}
