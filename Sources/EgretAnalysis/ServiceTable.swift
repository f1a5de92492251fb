// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Numbers for the distinct service sets of an analysis; what both of two have in common is worked out once.
struct ServiceTable: Sendable {
    private(set) var sets: [ServiceSet] = [.nothing]
    private var places: [ServiceSet: Int32] = [.nothing: 0]
    private var common: [UInt64: Int32] = [:]

    /// The number of the empty set.
    static let nothing: Int32 = 0

    subscript(number: Int32) -> ServiceSet { sets[Int(number)] }

    mutating func number(_ set: ServiceSet) -> Int32 {
        if let place = places[set] { return place }
        let place = Int32(truncatingIfNeeded: sets.count)
        sets.append(set)
        places[set] = place
        return place
    }

    mutating func intersection(_ left: Int32, _ right: Int32) -> Int32 {
        if left == right { return left }
        if left == ServiceTable.nothing || right == ServiceTable.nothing { return ServiceTable.nothing }
        let key = UInt64(UInt32(bitPattern: min(left, right))) << 32 | UInt64(UInt32(bitPattern: max(left, right)))
        if let place = common[key] { return place }
        let place = number(sets[Int(left)].intersection(sets[Int(right)]))
        common[key] = place
        return place
    }
}
