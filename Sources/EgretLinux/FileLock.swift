// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// A lock on a file, as flock(2), held until this object goes.
///
/// The kernel lets go of it when the process ends, however it ends. Children do not inherit it past exec.
public struct FileLock: Sendable {
    /// Whether others may hold it too.
    public enum Mode: Sendable {
        /// Others may hold it shared.
        case shared
        /// No one else may hold it.
        case exclusive
    }

    /// The open, locked file.
    public let descriptor: Descriptor

    /// Waits for the lock on a file, which is made if it is missing.
    public static func acquire(_ path: String, _ mode: Mode = .exclusive) throws(LinuxError) -> FileLock {
        let file = try open(path)
        try check(egret_flock(file.number, bits(mode)), "lock", path)
        return FileLock(descriptor: file)
    }

    /// Takes the lock if it is free; `nil` if it is not.
    public static func tryAcquire(_ path: String, _ mode: Mode = .exclusive) throws(LinuxError) -> FileLock? {
        let file = try open(path)
        let result = egret_flock(file.number, bits(mode) | egret_lock_nonblocking)
        if result == -egret_eagain { return nil }
        try check(result, "lock", path)
        return FileLock(descriptor: file)
    }

    private static func open(_ path: String) throws(LinuxError) -> Descriptor {
        try Descriptor.open(path, [.readWrite, .create, .noFollow], mode: 0o600)
    }

    private static func bits(_ mode: Mode) -> Int32 {
        mode == .shared ? egret_lock_shared : egret_lock_exclusive
    }
}
