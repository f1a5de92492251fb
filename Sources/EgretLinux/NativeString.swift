// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Text as the kernel has it: any bytes but zero.
///
/// Arguments, environment and file names need not be UTF-8, and must reach a command unchanged.
public struct NativeString: Hashable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
    /// The bytes, without the terminator.
    public let bytes: [UInt8]

    /// Takes the bytes up to the first zero.
    public init(bytes: some Sequence<UInt8>) {
        self.bytes = Array(bytes.prefix { $0 != 0 })
    }

    /// Takes the UTF-8 bytes up to the first zero.
    public init(_ text: String) {
        self.init(bytes: text.utf8)
    }

    /// Takes the literal's UTF-8 bytes.
    public init(stringLiteral value: String) {
        self.init(bytes: value.utf8)
    }

    /// The text; bytes that are not UTF-8 are shown as U+FFFD.
    public var description: String { String(decoding: bytes, as: UTF8.self) }
}

extension NativeString {
    /// Copies a C string.
    @unsafe
    init(copying pointer: UnsafePointer<CChar>) {
        var bytes: [UInt8] = []
        var next = unsafe pointer
        while unsafe next.pointee != 0 {
            unsafe bytes.append(UInt8(bitPattern: next.pointee))
            unsafe next += 1
        }
        self.bytes = bytes
    }

    /// The arguments this process was started with, byte for byte, its own name first.
    public static var processArguments: [NativeString] {
        var arguments: [NativeString] = []
        for index in 0..<Int(CommandLine.argc) {
            guard let pointer = unsafe CommandLine.unsafeArgv[index] else { break }
            unsafe arguments.append(NativeString(copying: pointer))
        }
        return arguments
    }
}
