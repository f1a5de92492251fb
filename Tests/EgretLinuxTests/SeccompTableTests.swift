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
        let spoken = Set(SeccompFilter.egress().rules.map(\.call))
        #expect(Set(Self.rows.map(\.call)) == spoken)
        #expect(spoken.union(SeccompFilter.passing(by: 1).rules.map(\.call)) == Set(SystemCall.allCases))
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
        let mentioned = Set(SeccompFilter.egress().rules.compactMap { $0.call.number(on: architecture) })
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

    /// Arguments of calls that who passes bytes between sockets makes, and others that it never does.
    private static let passing: [(call: SystemCall, used: [[UInt64]], others: [[UInt64]])] = [
        // MSG_NOSIGNAL with MSG_DONTWAIT; MSG_FASTOPEN besides.
        (.sendto, [[3, 0, 9, 0x4000]], [[3, 0, 9, 0x2000_0000], [3, 0, 9, 0x2000_4040]]),
        (.sendmsg, [[3, 0, 0x4040]], [[3, 0, 0x2000_4040]]),
        // SO_LINGER; SO_MARK, TCP_ULP, IP_TRANSPARENT, and SO_LINGER's number at another level.
        (.setsockopt, [[3, 1, 13]], [[3, 1, 36], [3, 6, 31], [3, 0, 19], [3, 6, 13]]),
        // F_GETFL, F_SETFL, F_SETPIPE_SZ; F_DUPFD, F_SETLK, F_SETOWN, F_SETSIG, F_SETOWN_EX, F_ADD_SEALS.
        (.fcntl, [[3, 3], [3, 4], [3, 1_031]], [[3, 0], [3, 6], [3, 8], [3, 10], [3, 15], [3, 1_033]]),
        // PROT_READ with PROT_WRITE; PROT_EXEC with either, or alone.
        (.mmap, [[0, 4_096, 3], [0, 4_096, 0]], [[0, 4_096, 5], [0, 4_096, 7], [0, 4_096, 4]]),
        (.mprotect, [[0, 4_096, 3]], [[0, 4_096, 5], [0, 4_096, 4]]),
        (.tgkill, [[4_711, 4_711, 6]], [[1, 1, 9], [0, 4_711, 6], [0xffff_ffff, 1, 15]]),
    ]

    @Test("who passes bytes is refused every call but those on the list, whatever calls there will be")
    func passingCalls() {
        let filter = SeccompFilter.passing(by: 4_711)
        #expect(filter.isNativeOnly)
        let allow = SeccompFilter.Action.allow.returnValue
        let refuse = SeccompFilter.Action.refuse(.notPermitted).returnValue
        let conditional = Set(Self.passing.map(\.call))
        #expect(Set(filter.rules.filter { !$0.conditions.isEmpty }.map(\.call)) == conditional)
        for machine in [SeccompArchitecture.x86_64, .aarch64] {
            let program = filter.program(for: machine)
            func answer(_ number: UInt32, _ arguments: [UInt64]) -> UInt32? {
                ClassicBPF.run(program, call: number, architecture: machine.auditNumber, arguments: arguments)
            }
            let free = Set(filter.rules.filter { $0.conditions.isEmpty }.compactMap { $0.call.number(on: machine) })
            #expect(free.isDisjoint(with: conditional.compactMap { $0.number(on: machine) }))
            for number in UInt32(0)..<1_000 where !free.contains(number) {
                #expect(answer(number, [1, 0x5412, 0x7fff_ffff, 0x7fff_ffff]) == refuse, "\(number) on \(machine)")
            }
            for number in free { #expect(answer(number, [1, 1, 1, 1]) == allow, "\(number) on \(machine)") }
            for (call, used, others) in Self.passing {
                let number = call.number(on: machine) ?? 0
                for arguments in used { #expect(answer(number, arguments) == allow, "\(call)(\(arguments))") }
                for arguments in others { #expect(answer(number, arguments) == refuse, "\(call)(\(arguments))") }
            }
        }
    }

    @Test("what would give who passes bytes any power is not on the list")
    func powerless() {
        // By the numbers of x86_64, of which the 64-bit ARM has less: open, connect, bind, listen, clone, fork, vfork, execve, kill,
        // ptrace, chmod, chown, prctl, mount, setns, process_vm_readv, process_vm_writev, bpf, execveat, io_uring_setup, and so on.
        let numbers: [UInt32] = [
            2, 16, 32, 33, 41, 42, 49, 50, 53, 56, 57, 58, 59, 62, 82, 83, 85, 86, 87, 88, 90, 92, 101, 105, 129, 155,
            157, 160, 161, 165, 166, 200, 248, 249, 250, 257, 259, 263, 264, 272, 297, 302, 303, 304, 307, 308, 310,
            311, 317, 321, 322, 323, 329, 424, 425, 426, 427, 428, 429, 430, 431, 432, 434, 435, 437, 438, 440, 442,
        ]
        let listed = Set(SeccompFilter.passing(by: 1).rules.compactMap { $0.call.number(on: .x86_64) })
        #expect(listed.isDisjoint(with: numbers))
    }

    @Test("the 32-bit convention and x32 are no way round the list")
    func passingConventions() {
        let program = SeccompFilter.passing(by: 1).program(for: .x86_64)
        for number in [UInt32(1), 5, 11, 102, 0xffff_ffff] {
            let answer = ClassicBPF.run(
                program, call: number, architecture: SeccompArchitecture.i386.auditNumber, arguments: [])
            #expect(answer == SeccompFilter.Action.killProcess.returnValue)
        }
        let answer = ClassicBPF.run(
            program, call: 0x4000_0001, architecture: SeccompArchitecture.x86_64.auditNumber, arguments: [])
        #expect(answer == SeccompFilter.Action.refuse(.notImplemented).returnValue)
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
