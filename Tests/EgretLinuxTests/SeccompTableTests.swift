// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import EgretLinux

/// The filter, evaluated by an interpreter of classic BPF, for every convention.
@Suite("Seccomp table")
struct SeccompTableTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var call: SystemCall
        var arguments: [UInt64]
        var action: SeccompFilter.Action
        var testDescription: String { "\(call)(\(arguments)) → \(action)" }

        init(_ call: SystemCall, _ arguments: [UInt64], _ action: SeccompFilter.Action) {
            self.call = call
            self.arguments = arguments
            self.action = action
        }

        init(_ call: SystemCall, _ action: SeccompFilter.Action) {
            self.init(call, [], action)
        }
    }

    private static let allowedFamilies: [UInt64] = [1, 2, 10]
    private static let refusedFamilies: [UInt64] = (0...50).filter { ![1, 2, 10, 16].contains($0) }

    static let rows: [Row] =
        allowedFamilies.map { Row(.socket, [$0, 1, 0], .allow) }
        + refusedFamilies.map { Row(.socket, [$0, 1, 0], .refuse(.familyNotSupported)) }
        + refusedFamilies.map { Row(.socketpair, [$0, 1, 0], .refuse(.familyNotSupported)) }
        + [
            // Flags above the type do not matter, nor does what the kernel cuts off.
            Row(.socket, [2, 0o2004001, 6], .allow),
            Row(.socket, [2, 2, 17], .allow),
            Row(.socket, [0x1_0000_0002, 1, 6], .allow),
            Row(.socket, [0x1_0000_0028, 1, 0], .refuse(.familyNotSupported)),
            Row(.socket, [2, 3, 1], .refuse(.notPermitted)),
            Row(.socket, [10, 0o2000003, 58], .refuse(.notPermitted)),
            Row(.socket, [2, 10, 0x300], .refuse(.notPermitted)),
            Row(.socket, [1, 3, 0], .allow),
            Row(.socket, [2, 1, 256], .refuse(.protocolNotSupported)),
            Row(.socket, [2, 1, 262], .allow),
            Row(.socket, [2, 2, 1], .allow),
            Row(.socket, [16, 3, 0], .allow),
            Row(.socket, [16, 2, 12], .refuse(.protocolNotSupported)),
            Row(.socket, [16, 3, 9], .refuse(.protocolNotSupported)),
            Row(.socketpair, [1, 1, 0], .allow),
            Row(.socketpair, [2, 3, 0], .refuse(.notPermitted)),
            Row(.socketpair, [10, 1, 256], .refuse(.protocolNotSupported)),
            Row(.socketpair, [16, 3, 12], .refuse(.protocolNotSupported)),
            Row(.setsockopt, [3, 6, 31], .refuse(.optionNotSupported)),
            Row(.setsockopt, [3, 1, 31], .allow),
            Row(.setsockopt, [3, 6, 1], .allow),
            Row(.socketcall, [14, 0xffff_0000], .refuse(.notImplemented)),
            Row(.ioctl, [0, 0x5412], .refuse(.notPermitted)),
            Row(.ioctl, [0, 0x7_0000_5412], .refuse(.notPermitted)),
            Row(.ioctl, [0, 0x541c], .refuse(.notPermitted)),
            Row(.ioctl, [0, 0x5413], .allow),
            Row(.io_uring_setup, .refuse(.notImplemented)),
            Row(.io_uring_enter, .refuse(.notImplemented)),
            Row(.io_uring_register, .refuse(.notImplemented)),
            Row(.setns, .refuse(.notPermitted)),
            Row(.pidfd_getfd, .refuse(.notPermitted)),
            Row(.open_by_handle_at, .refuse(.notPermitted)),
            Row(.request_key, .refuse(.notPermitted)),
            Row(.keyctl, .refuse(.notPermitted)),
            Row(.add_key, .refuse(.notPermitted)),
            Row(.bpf, .refuse(.notPermitted)),
            Row(.perf_event_open, .refuse(.notPermitted)),
            Row(.userfaultfd, .refuse(.notPermitted)),
            Row(.kexec_load, .refuse(.notPermitted)),
            Row(.kexec_file_load, .refuse(.notPermitted)),
            Row(.init_module, .refuse(.notPermitted)),
            Row(.finit_module, .refuse(.notPermitted)),
            Row(.delete_module, .refuse(.notPermitted)),
            Row(.socketcall, [1, 0xffff_0000], .refuse(.notImplemented)),
            Row(.socketcall, [8, 0xffff_0000], .refuse(.notImplemented)),
            Row(.socketcall, [3, 0xffff_0000], .allow),
        ]

    @Test("each row of the table holds on every convention", arguments: rows)
    func row(_ row: Row) {
        for architecture in SeccompArchitecture.allCases {
            guard let number = row.call.number(on: architecture) else { continue }
            let answer = ClassicBPF.run(
                SeccompFilter.egress().program(for: architecture),
                call: number, architecture: architecture.auditNumber, arguments: row.arguments)
            #expect(answer == row.action.returnValue, "\(architecture)")
        }
    }

    @Test("every call the filter can speak of has a row")
    func coverage() {
        #expect(Set(Self.rows.map(\.call)) == Set(SystemCall.allCases))
        #expect(Set(SeccompFilter.egress().rules.map(\.call)) == Set(SystemCall.allCases))
    }

    @Test("no rule can be left out unseen", arguments: SeccompFilter.egress().rules.indices)
    func mutation(_ index: Int) {
        var mutant = SeccompFilter.egress()
        mutant.rules.remove(at: index)
        let isSeen = SeccompArchitecture.allCases.contains { architecture in
            let program = mutant.program(for: architecture)
            return Self.rows.contains { row in
                guard let number = row.call.number(on: architecture) else { return false }
                let answer = ClassicBPF.run(
                    program, call: number, architecture: architecture.auditNumber, arguments: row.arguments)
                return answer != row.action.returnValue
            }
        }
        #expect(isSeen, "\(SeccompFilter.egress().rules[index])")
    }

    @Test("a call that no rule mentions is allowed", arguments: SeccompArchitecture.allCases)
    func unmentioned(_ architecture: SeccompArchitecture) {
        let mentioned = Set(SystemCall.allCases.compactMap { $0.number(on: architecture) })
        for number in UInt32(0)..<600 where !mentioned.contains(number) {
            let answer = ClassicBPF.run(
                SeccompFilter.egress().program(for: architecture),
                call: number, architecture: architecture.auditNumber, arguments: [40, 3, 9])
            #expect(answer == SeccompFilter.Action.allow.returnValue, "\(number)")
        }
    }

    @Test("where no family is named, no socket can be opened, and what is open can be used")
    func withoutSockets() {
        let filter = SeccompFilter.egress(SeccompFilter.EgressOptions(addressFamilies: [], netlinkProtocols: []))
        func answer(_ call: SystemCall, _ arguments: [UInt64], _ architecture: SeccompArchitecture) -> UInt32? {
            call.number(on: architecture).flatMap { number in
                ClassicBPF.run(
                    filter.program(for: architecture), call: number, architecture: architecture.auditNumber,
                    arguments: arguments)
            }
        }
        let refusal = SeccompFilter.Action.refuse(.familyNotSupported).returnValue
        for architecture in SeccompArchitecture.allCases {
            for family in UInt64(0)...50 {
                for call in [SystemCall.socket, .socketpair] {
                    let found = answer(call, [family, 1, 0], architecture) ?? refusal
                    #expect(found == refusal, "\(call)(\(family)) on \(architecture)")
                }
            }
            let allowed = SeccompFilter.Action.allow.returnValue
            let found = answer(.setsockopt, [3, 6, 1], architecture) ?? allowed
            #expect(found == allowed)
        }
    }

    @Test("x32 calls do not exist")
    func x32() {
        for number: UInt32 in [0x4000_0000, 0x4000_0029, 0xffff_ffff] {
            let answer = ClassicBPF.run(
                SeccompFilter.egress().program(for: .x86_64),
                call: number, architecture: SeccompArchitecture.x86_64.auditNumber, arguments: [40, 1, 0])
            #expect(answer == SeccompFilter.Action.refuse(.notImplemented).returnValue)
        }
    }

    @Test("a foreign convention ends the process")
    func foreign() {
        let kill = SeccompFilter.Action.killProcess.returnValue
        let onARM = SeccompFilter.egress().program(for: .aarch64)
        // AUDIT_ARCH_ARM is 0x40000028.
        for architecture in [0x4000_0028, SeccompArchitecture.x86_64.auditNumber, 0] {
            #expect(ClassicBPF.run(onARM, call: 0, architecture: architecture, arguments: []) == kill)
        }
        let onX86 = SeccompFilter.egress().program(for: .x86_64)
        let arm = SeccompArchitecture.aarch64.auditNumber
        #expect(ClassicBPF.run(onX86, call: 63, architecture: arm, arguments: []) == kill)
    }

    @Test("call numbers are those of this machine's headers", arguments: SystemCall.allCases)
    func numbers(_ call: SystemCall) {
        let native = SeccompArchitecture.nativeNumber(of: call)
        guard native >= 0 else { return }
        #expect(call.number(on: .native) == UInt32(native))
    }

    @Test("a rule set with hundreds of values still assembles")
    func longRules() {
        let values = (0..<300).map { UInt32($0) * 2 }
        let filter = SeccompFilter(rules: [
            SeccompFilter.Rule(.ioctl, where: [.argument(1, isAmong: values)], .refuse(.busy)),
            SeccompFilter.Rule(.ioctl, where: [.argument(1, isNotAmong: [601])], .killProcess),
        ])
        let program = filter.program(for: .x86_64)
        func ask(_ value: UInt64) -> UInt32? {
            ClassicBPF.run(
                program, call: 16, architecture: SeccompArchitecture.x86_64.auditNumber, arguments: [0, value])
        }
        #expect(ask(0) == SeccompFilter.Action.refuse(.busy).returnValue)
        #expect(ask(598) == SeccompFilter.Action.refuse(.busy).returnValue)
        #expect(ask(599) == SeccompFilter.Action.killProcess.returnValue)
        #expect(ask(601) == SeccompFilter.Action.allow.returnValue)
        #expect(program.count < 4_096)
    }
}

/// As much of classic BPF as seccomp filters use.
enum ClassicBPF {
    /// The answer; `nil` if the program is not one the kernel would take.
    static func run(
        _ program: [BPFInstruction],
        call: UInt32,
        architecture: UInt32,
        arguments: [UInt64]
    ) -> UInt32? {
        var data: [UInt32] = [call, architecture, 0, 0]
        for index in 0..<6 {
            let argument = index < arguments.count ? arguments[index] : 0
            data += [UInt32(truncatingIfNeeded: argument), UInt32(truncatingIfNeeded: argument >> 32)]
        }
        var accumulator: UInt32 = 0
        var position = 0
        while program.indices.contains(position) {
            let instruction = program[position]
            position += 1
            switch instruction.code {
            case 0x20:
                guard instruction.value % 4 == 0, instruction.value < 64 else { return nil }
                accumulator = data[Int(instruction.value / 4)]
            case 0x54: accumulator &= instruction.value
            case 0x05: position += Int(instruction.value)
            case 0x15:
                position += Int(accumulator == instruction.value ? instruction.jumpTrue : instruction.jumpFalse)
            case 0x35:
                position += Int(accumulator >= instruction.value ? instruction.jumpTrue : instruction.jumpFalse)
            case 0x06: return instruction.value
            default: return nil
            }
        }
        return nil
    }
}
