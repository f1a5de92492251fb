// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A run of transport ports, both ends included. Host byte order.
public struct PortRange: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The first port.
    public let lowerBound: UInt16
    /// The last port, never below the first.
    public let upperBound: UInt16

    /// Every port, 0 to 65535.
    public static let all = PortRange(unchecked: 0, .max)

    /// Creates a range of one port.
    public init(_ port: UInt16) {
        lowerBound = port
        upperBound = port
    }

    /// Creates a range, or `nil` if it runs backwards.
    public init?(_ lowerBound: UInt16, _ upperBound: UInt16) {
        guard lowerBound <= upperBound else { return nil }
        self.lowerBound = lowerBound
        self.upperBound = upperBound
    }

    private init(unchecked lowerBound: UInt16, _ upperBound: UInt16) {
        self.lowerBound = lowerBound
        self.upperBound = upperBound
    }

    /// Whether the port lies in the range.
    public func contains(_ port: UInt16) -> Bool {
        lowerBound <= port && port <= upperBound
    }

    /// The ports of some ranges, given by first port, as ranges in order of which no two touch.
    package static func merged(sorted ranges: [PortRange]) -> [PortRange] {
        var result: [PortRange] = []
        for range in ranges {
            if let last = result.last, last.upperBound == .max || range.lowerBound <= last.upperBound + 1 {
                result[result.count - 1] = PortRange(
                    unchecked: last.lowerBound, max(last.upperBound, range.upperBound))
            } else {
                result.append(range)
            }
        }
        return result
    }

    /// `443` or `8000-9000`.
    public var description: String {
        lowerBound == upperBound ? "\(lowerBound)" : "\(lowerBound)-\(upperBound)"
    }

    /// By first port, then last.
    public static func < (left: PortRange, right: PortRange) -> Bool {
        (left.lowerBound, left.upperBound) < (right.lowerBound, right.upperBound)
    }
}
