// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

/// A value for every address of one family, as a function that changes at some addresses.
struct AddressSteps: Sendable {
    /// Where each piece begins, rising; the first is 0.
    private(set) var starts: [UInt128]
    /// The value of each piece; neighbours differ.
    private(set) var values: [Int32]
    let family: AddressFamily

    /// The function with one value throughout.
    init(_ family: AddressFamily, _ value: Int32) {
        self.family = family
        starts = [0]
        values = [value]
    }

    /// Gives every address from `start` on the value; `start` is not below the one before.
    mutating func append(from start: UInt128, _ value: Int32) {
        if starts.last == start {
            values[values.count - 1] = value
            if values.count > 1 && values[values.count - 2] == value {
                starts.removeLast()
                values.removeLast()
            }
        } else if values.last != value {
            starts.append(start)
            values.append(value)
        }
    }

    /// The piece that holds an address.
    ///
    /// - Complexity: O(log *n*) in the number of pieces.
    func piece(at address: UInt128) -> Int {
        var low = 0
        var high = starts.count
        while low < high {
            let middle = (low + high) / 2
            if starts[middle] <= address { low = middle + 1 } else { high = middle }
        }
        return low - 1
    }

    /// The value at an address.
    func value(at address: UInt128) -> Int32 { values[piece(at: address)] }

    /// The last address of a piece.
    func end(of piece: Int) -> UInt128 {
        piece + 1 < starts.count ? starts[piece + 1] - 1 : family.lastAddress
    }

    /// The function with its values replaced.
    func map(_ transform: (Int32) -> Int32) -> AddressSteps {
        var result = AddressSteps(family, transform(values[0]))
        for (start, value) in zip(starts, values).dropFirst() { result.append(from: start, transform(value)) }
        return result
    }
}

extension AddressFamily {
    /// The family's highest address, as a number.
    var lastAddress: UInt128 { self == .ipv4 ? UInt128(UInt32.max) : .max }
}
