// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension SeccompFilter {
    /// The filter as classic BPF for a machine.
    ///
    /// Layout: the convention is told apart first; then, within it, calls one by one. A call that needs a look at its
    /// arguments has its rules in place. The kernel caches calls that are allowed whatever their arguments (5.11), so
    /// a call that no rule mentions costs next to nothing however far down its answer stands.
    public func program(for machine: SeccompArchitecture = .native) -> [BPFInstruction] {
        var program: [BPFInstruction] = [.load(SeccompData.architecture)]
        for architecture in isNativeOnly ? [machine] : machine.understood {
            program += Self.skippingUnlessEqual(architecture.auditNumber, body(for: architecture))
        }
        program.append(.answer(.killProcess))
        return program
    }

    private func body(for architecture: SeccompArchitecture) -> [BPFInstruction] {
        var body: [BPFInstruction] = [.load(SeccompData.call)]
        if architecture == .x86_64 {
            // x32 sets bit 30. It has no table of its own here, so it is as if the kernel lacked it.
            body.append(BPFInstruction(code: .jumpIfNotLess, jumpTrue: 0, jumpFalse: 1, value: 0x4000_0000))
            body.append(.answer(.refuse(.notImplemented)))
        }
        var calls: [SystemCall] = []
        for rule in rules where !calls.contains(rule.call) { calls.append(rule.call) }
        for call in calls {
            guard let number = call.number(on: architecture) else { continue }
            let clauses = rules.filter { $0.call == call }.flatMap(Self.clause)
            body += Self.skippingUnlessEqual(number, clauses + [.answer(unmatched)])
        }
        return body + [.answer(unmatched)]
    }

    private static func clause(_ rule: Rule) -> [BPFInstruction] {
        var clause: [BPFInstruction] = [.answer(rule.action)]
        for condition in rule.conditions.reversed() {
            clause = test(condition, then: clause)
        }
        return clause
    }

    /// Loads and compares; runs `body` if the condition holds and jumps past it if not.
    private static func test(_ condition: Condition, then body: [BPFInstruction]) -> [BPFInstruction] {
        var code: [BPFInstruction] = [.load(SeccompData.argument(condition.argument))]
        if condition.mask != .max { code.append(BPFInstruction(code: .and, value: condition.mask)) }
        // Each comparison is followed by a jump of its own, which may be long; conditional ones reach 255 only.
        let count = condition.values.count
        for (index, value) in condition.values.enumerated() {
            let remaining = count - index - 1
            // Past the remaining pairs and the final jump lies the body; past that, the end.
            let toBody = UInt32(remaining * 2 + 1)
            let toEnd = UInt32(remaining * 2 + 1 + body.count)
            code.append(BPFInstruction(code: .jumpIfEqual, jumpTrue: 0, jumpFalse: 1, value: value & condition.mask))
            code.append(BPFInstruction(code: .jump, value: condition.mustBeAmong ? toBody : toEnd))
        }
        code.append(BPFInstruction(code: .jump, value: condition.mustBeAmong ? UInt32(body.count) : 0))
        return code + body
    }

    private static func skippingUnlessEqual(_ value: UInt32, _ body: [BPFInstruction]) -> [BPFInstruction] {
        if body.count <= 255 {
            return [BPFInstruction(code: .jumpIfEqual, jumpFalse: UInt8(body.count), value: value)] + body
        }
        return [
            BPFInstruction(code: .jumpIfEqual, jumpTrue: 1, value: value),
            BPFInstruction(code: .jump, value: UInt32(body.count)),
        ] + body
    }
}

/// Offsets into `struct seccomp_data`.
enum SeccompData {
    /// The number of the call.
    static let call: UInt32 = 0
    /// The `AUDIT_ARCH_*` number.
    static let architecture: UInt32 = 4
    /// The low half of an argument; both machines are little endian.
    static func argument(_ index: Int) -> UInt32 { 16 + 8 * UInt32(index) }
}

extension UInt16 {
    /// `BPF_LD | BPF_W | BPF_ABS`
    static let loadWord: UInt16 = 0x20
    /// `BPF_ALU | BPF_AND | BPF_K`
    static let and: UInt16 = 0x54
    /// `BPF_JMP | BPF_JA`
    static let jump: UInt16 = 0x05
    /// `BPF_JMP | BPF_JEQ | BPF_K`
    static let jumpIfEqual: UInt16 = 0x15
    /// `BPF_JMP | BPF_JGE | BPF_K`
    static let jumpIfNotLess: UInt16 = 0x35
    /// `BPF_RET | BPF_K`
    static let answer: UInt16 = 0x06
}

extension BPFInstruction {
    fileprivate static func load(_ offset: UInt32) -> BPFInstruction {
        BPFInstruction(code: .loadWord, value: offset)
    }

    fileprivate static func answer(_ action: SeccompFilter.Action) -> BPFInstruction {
        BPFInstruction(code: .answer, value: action.returnValue)
    }
}

extension SeccompFilter.Action {
    /// The filter's return value, as in `linux/seccomp.h`.
    public var returnValue: UInt32 {
        switch self {
        case .allow: 0x7fff_0000
        case .refuse(let errno): 0x0005_0000 | UInt32(truncatingIfNeeded: errno.rawValue) & 0xffff
        case .killProcess: 0x8000_0000
        }
    }
}
