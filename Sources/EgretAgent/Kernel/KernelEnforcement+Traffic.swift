// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretCompiler
import EgretDataplane
import EgretNftables
import EgretPolicy

extension KernelEnforcement {
    /// Reads counters that are about to go. A failure costs the figures since the last reading, and no more.
    func readLast(of programs: [TableProgram]? = nil) {
        guard let programs else {
            if let all = try? counters() { traffic.note(all) }
            return
        }
        let names = programs.flatMap(\.counters).map(\.name)
        if let last = try? dataplane.counters(named: names, in: HostBase.table) { traffic.note(last) }
    }

    /// Notes the programs that a plan has for some policies, before packets can meet them.
    ///
    /// - Parameters:
    ///   - policies: The policies.
    ///   - plan: The plan.
    ///   - adopted: The programs that the kernel has had before.
    func announce(
        _ policies: [ProgramKey: PolicySet], of plan: HostPlan, adopted: Swift.Set<Generation> = []
    ) {
        for (key, set) in policies {
            guard let program = plan.outline(of: key) else { continue }
            traffic.come(key, program, set, isThere: adopted.contains(program.generation))
        }
    }
}
