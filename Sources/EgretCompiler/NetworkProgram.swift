// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNftables

/// What a network needs in the kernel's nftables.
public struct NetworkProgram: Hashable, Sendable {
    /// Its chains in `inet egret`, beside those of runs. Installed on `BaseProgram.program`.
    public var filter: TableProgram
    /// Its chains in `inet egret-nat`. Installed on ``base``.
    public var translation: TableProgram
}
