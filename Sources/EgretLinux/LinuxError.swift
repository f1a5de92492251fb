// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What could not be done, on what, and what the kernel answered.
public struct LinuxError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kernel's answer.
    public var errno: Errno
    /// What was tried, as a verb phrase: `open`, `enter the network namespace`.
    public var operation: String
    /// What it was tried on; may be empty.
    public var object: String

    /// Describes a failure.
    public init(_ errno: Errno, operation: String, object: String = "") {
        self.errno = errno
        self.operation = operation
        self.object = object
    }

    /// One line: `cannot open /proc/1/ns/net: EACCES (Permission denied)`.
    public var description: String {
        let what = object.isEmpty ? operation : "\(operation) \(object)"
        return "cannot \(what): \(errno)"
    }
}

/// Turns a result of the shim, negative for an errno, into a value or a ``LinuxError``.
@discardableResult
func check<Number: SignedInteger & FixedWidthInteger>(
    _ result: Number,
    _ operation: @autoclosure () -> String,
    _ object: @autoclosure () -> String = ""
) throws(LinuxError) -> Number {
    guard result < 0 else { return result }
    let number = Int32(clamping: 0 - Int64(result))
    throw LinuxError(Errno(rawValue: number), operation: operation(), object: object())
}
