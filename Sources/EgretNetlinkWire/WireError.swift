// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Bytes that are not what they should be, or values that have no bytes.
///
/// Decoders throw it for anything the kernel could not have sent; encoders for what does not fit the format.
public struct WireError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What kind of fault it is. Room is left for more kinds.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Kind: String {
            case truncated
            case badLength
            case badValue
            case missing
            case tooLong
            case unsupported
        }

        private let kind: Kind

        /// The bytes end before the value does.
        public static let truncated = Code(kind: .truncated)
        /// A length field contradicts the bytes around it.
        public static let badLength = Code(kind: .badLength)
        /// A field holds a value outside its range.
        public static let badValue = Code(kind: .badValue)
        /// An attribute that must be there is not.
        public static let missing = Code(kind: .missing)
        /// A value is larger than its field.
        public static let tooLong = Code(kind: .tooLong)
        /// The value is sound, but this codec has no form for it.
        public static let unsupported = Code(kind: .unsupported)

        /// The kind's name.
        public var description: String { kind.rawValue }
    }

    /// What kind of fault it is.
    public var code: Code
    /// What was being read or written.
    public var context: String

    /// Creates an error.
    public init(_ code: Code, _ context: String) {
        self.code = code
        self.context = context
    }

    /// `truncated: netlink header`.
    public var description: String { "\(code): \(context)" }
}
