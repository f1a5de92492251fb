// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Why bytes are not a message of the DNS, or a value has no bytes.
public enum DNSWireError: Error, Hashable, Sendable {
    /// The message ends before the value does.
    case truncated
    /// A label is longer than 63 bytes, or its type is neither a length nor a pointer.
    case badLabel
    /// A name is longer than 255 bytes.
    case nameTooLong
    /// A compression pointer does not point before the place that the last one pointed to, or there are too many.
    case badPointer
    /// A length contradicts what it encloses.
    case badLength
    /// The value does not fit the format: a message over 65,535 bytes, too many records.
    case tooLong
}
