// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDataplane
import EgretNftables

/// The numbers in the names of what a kernel holds already: what comes beside it must have others.
struct KernelNames {
    /// The generations of programs: `g32768-…`.
    private(set) var generations: Swift.Set<UInt16> = []
    /// Above the numbers of shared chains: `from-7`, `to-7`.
    private(set) var nextProfile = 0
    /// Above the numbers of endpoints' chains: `endpoint-7`.
    private(set) var nextSlot = 0

    /// No number that is given gets so far: what is above it is somebody else's, and in nobody's way.
    private static let greatest = Int(Int32.max)

    /// Notes numbers that are known.
    init(generations: Swift.Set<UInt16>, nextProfile: Int, nextSlot: Int) {
        self.generations = generations
        self.nextProfile = nextProfile
        self.nextSlot = nextSlot
    }

    init(_ holdings: [Table: TableHoldings]) {
        self.init(named: holdings.values.flatMap { $0.chains + $0.sets + $0.counters + $0.limits })
    }

    /// Reads the numbers in names.
    init(named names: [String]) {
        for name in names {
            let parts = name.split(separator: "-", maxSplits: 1)
            guard parts.count == 2 else { continue }
            if parts[0].first == "g", let number = UInt16(parts[0].dropFirst()) { generations.insert(number) }
            guard let number = Int(parts[1].prefix { $0.isNumber }), number <= KernelNames.greatest else { continue }
            switch parts[0] {
            case "from", "to": nextProfile = max(nextProfile, number + 1)
            case "endpoint": nextSlot = max(nextSlot, number + 1)
            default: continue
            }
        }
    }

    /// Notes others' numbers, too.
    mutating func add(_ others: KernelNames) {
        generations.formUnion(others.generations)
        nextProfile = max(nextProfile, others.nextProfile)
        nextSlot = max(nextSlot, others.nextSlot)
    }
}
