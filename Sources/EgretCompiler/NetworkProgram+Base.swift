// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNftables

extension NetworkProgram {
    /// The table for translated addresses and published ports.
    public static let table = Table(family: .inet, name: "egret-nat")
}
