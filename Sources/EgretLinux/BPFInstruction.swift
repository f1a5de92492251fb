// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// One instruction of classic BPF, as `struct sock_filter`.
public struct BPFInstruction: Hashable, Sendable {
    /// What to do: class, size and mode, as in `linux/bpf_common.h`.
    public var code: UInt16
    /// How many instructions a conditional jump skips if the condition holds.
    public var jumpTrue: UInt8
    /// How many it skips if not.
    public var jumpFalse: UInt8
    /// The operand.
    public var value: UInt32

    /// Puts an instruction together.
    public init(code: UInt16, jumpTrue: UInt8 = 0, jumpFalse: UInt8 = 0, value: UInt32) {
        self.code = code
        self.jumpTrue = jumpTrue
        self.jumpFalse = jumpFalse
        self.value = value
    }
}
