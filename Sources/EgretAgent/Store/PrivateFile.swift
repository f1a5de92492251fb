// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux

/// Files of databases that nobody but their owner reads.
enum PrivateFile {
    /// Has a database be its owner's alone. To be called before it is opened: SQLite gives what it puts beside a file,
    /// where the latest changes stand, the mode that the file has then.
    ///
    /// Whatever cannot be done is left to the opening, which says why.
    ///
    /// - Parameter path: The database; it is made, empty, if it is not there. One that is there is not opened: to close it would
    ///   end the locks that this process has on it (fcntl(2)).
    static func prepare(_ path: String) {
        _ = try? Descriptor.open(path, [.writeOnly, .create, .exclusive], mode: 0o600)
        for end in ["", "-wal", "-shm"] { try? File.changeMode(of: path + end, to: 0o600) }
    }
}
