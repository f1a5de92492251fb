// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// A terminal, and who is in its foreground.
public struct Terminal: Sendable {
    /// The open terminal.
    public let descriptor: Descriptor

    /// Wraps a descriptor; `nil` if it is not a terminal.
    public init?(_ descriptor: Descriptor) {
        guard Self.isTerminal(descriptor) else { return nil }
        self.descriptor = descriptor
    }

    /// Opens this process's controlling terminal; `nil` if it has none.
    public static func controlling() -> Terminal? {
        guard let descriptor = try? Descriptor.open("/dev/tty", [.readWrite, .noControllingTerminal]) else {
            return nil
        }
        return Terminal(descriptor)
    }

    /// Whether a descriptor is a terminal.
    public static func isTerminal(_ descriptor: Descriptor) -> Bool {
        egret_is_terminal(descriptor.number) == 1
    }

    /// The process group in the foreground.
    ///
    /// - Throws: ``LinuxError`` with ``Errno/notTerminal`` if it is not this process's controlling terminal.
    public func foregroundGroup() throws(LinuxError) -> Int32 {
        try check(egret_foreground_group(descriptor.number), "find the foreground process group")
    }

    /// Brings a process group of this session to the foreground; allowed from the background too.
    public func setForegroundGroup(_ group: Int32) throws(LinuxError) {
        try check(egret_set_foreground_group(descriptor.number, group), "bring to the foreground group", "\(group)")
    }

    /// Rows and columns.
    public struct Size: Hashable, Sendable {
        /// Lines of text; 0 if unknown.
        public var rows: UInt16
        /// Characters on a line; 0 if unknown.
        public var columns: UInt16

        /// A size.
        public init(rows: UInt16, columns: UInt16) {
            self.rows = rows
            self.columns = columns
        }
    }

    /// The window's size.
    public func size() throws(LinuxError) -> Size {
        var rows: UInt16 = 0
        var columns: UInt16 = 0
        try check(unsafe egret_window_size(descriptor.number, &rows, &columns), "read the window size")
        return Size(rows: rows, columns: columns)
    }

    /// Sets the window's size; the foreground group gets `SIGWINCH` if it changed.
    public func setSize(_ size: Size) throws(LinuxError) {
        try check(egret_set_window_size(descriptor.number, size.rows, size.columns), "set the window size")
    }
}
