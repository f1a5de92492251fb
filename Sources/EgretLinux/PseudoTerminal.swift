// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// A new pseudo-terminal: what is written to one end is typed at the other.
public struct PseudoTerminal: Sendable {
    /// The end that stands for the keyboard and the screen.
    public let controller: Descriptor
    /// The end that a program has as its terminal.
    public let terminal: Terminal

    /// Opens a new pseudo-terminal. It is not the controlling terminal of this process;
    /// ``ChildOperation/claimTerminal(_:)`` makes it that of a child.
    public init() throws(LinuxError) {
        var controller: Int32 = -1
        var other: Int32 = -1
        try check(unsafe egret_open_pseudo_terminal(&controller, &other), "open a pseudo-terminal")
        self.controller = Descriptor(owning: controller)
        guard let terminal = Terminal(Descriptor(owning: other)) else {
            throw LinuxError(.notTerminal, operation: "open a pseudo-terminal")
        }
        self.terminal = terminal
    }
}
