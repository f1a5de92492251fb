// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNftables

/// A plan keeps of thousands of programs what it is asked for, and compiles the rest again when the kernel is compared with
/// it: rules take many times the memory of the policies that they come from.
extension PolicyProgram {
    /// Programs with more elements are kept whole: a long list costs more time to compile than memory to keep.
    static let mostElements = 4_096

    /// Whether it is kept whole.
    var isLarge: Bool { program.sets.reduce(0) { $0 + $1.contents.count } > PolicyProgram.mostElements }

    /// The program with the names of its objects, which is enough to remove them, and without rules and elements.
    var outline: PolicyProgram {
        var outline = self
        outline.program.rules = []
        // Arrays that have grown have room to grow further.
        outline.program.counters = program.counters.map(\.self)
        outline.program.chains = program.chains.map(\.self)
        outline.program.sets = program.sets.map { set in
            var set = set
            set.contents = .elements([])
            return set
        }
        outline.clauses = clauses.map(\.self)
        return outline
    }
}
