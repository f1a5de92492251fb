// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// Network interfaces by name and index, in the calling thread's network namespace.
public enum Interface {
    /// The index of the interface with this name; `nil` if there is none.
    public static func index(named name: String) -> Int32? {
        let index = unsafe egret_interface_index(name)
        return index > 0 ? index : nil
    }

    /// The name of the interface with this index; `nil` if there is none.
    public static func name(index: UInt32) -> String? {
        var bytes = [CChar](repeating: 0, count: 16)
        let result = unsafe bytes.withUnsafeMutableBufferPointer { buffer -> Int32 in
            guard let base = buffer.baseAddress else { return -1 }
            return unsafe egret_interface_name(index, base)
        }
        guard result == 0 else { return nil }
        return String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
