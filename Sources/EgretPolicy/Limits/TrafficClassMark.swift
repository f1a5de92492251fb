// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A differentiated-services code point (RFC 2474): how the networks beyond are asked to treat packets.
public struct TrafficClassMark: Hashable, Sendable, CustomStringConvertible {
    /// 0 to 63.
    public let rawValue: UInt8

    /// Reads a name (`ef`, `af21`, `cs1`, `le`, `va`) or a number from 0 to 63.
    public init?(_ text: some StringProtocol) {
        if let known = TrafficClassMark.names.first(where: { $0.name == text.lowercased() }) {
            rawValue = known.value
            return
        }
        guard let number = UInt8(text), number < 64, text.allSatisfy(\.isNumber) else { return nil }
        rawValue = number
    }

    /// The name, if there is one, otherwise the number.
    public var description: String {
        TrafficClassMark.names.first { $0.value == rawValue }?.name ?? "\(rawValue)"
    }

    /// RFC 2474 (cs), RFC 2597 (af), RFC 3246 (ef), RFC 5865 (va), RFC 8622 (le).
    private static let names: [(name: String, value: UInt8)] =
        [("ef", 46), ("va", 44), ("le", 1)]
        + (0...7).map { ("cs\($0)", UInt8($0) * 8) }
        + (1...4).flatMap { major in (1...3).map { ("af\(major)\($0)", UInt8(major) * 8 + UInt8($0) * 2) } }
}
