// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNftables

/// What keeps the packets of endpoints waiting while the tables that police them are made anew in one transaction.
///
/// nf_tables changes over between two looks of one packet: rules of the former table may find its maps empty already, and
/// rules of the new one may find ranges that are not there yet (kernel 6.18, `nf_tables_commit`). For such a packet nobody
/// is policed, and it would pass. Chains behind the tables' own drop it: they come in the same transaction, ask sets of
/// single values only, which neither go nor come late, and are removed when all is there. What shares a bridge with
/// an endpoint waits as well.
public enum HostHold {
    /// Just behind the hooks of ``HostBase`` and ``HostOutput``.
    private static let priority: Int32 = -8

    /// The chains and sets, in the table of ``HostBase``.
    ///
    /// - Parameter switching: What leads packets to the new programs; whose packets it leads wait.
    /// - Returns: The program, to be installed in the transaction that makes the table anew, and removed after that.
    public static func program(for switching: Transaction) -> TableProgram {
        var program = TableProgram(table: HostBase.table)
        var keys: [String: Swift.Set<SetElement>] = [:]
        for step in switching.steps where step.table == HostBase.table {
            guard case .addElements(let map) = step.operation, case .elements(let elements) = map.contents else {
                continue
            }
            keys[map.name, default: []].formUnion(elements.map { SetElement($0.lowerBound) })
        }
        func hold(_ map: String, _ type: DataType, in hooks: [(chain: String, selector: Selector)]) {
            guard let elements = keys[map], !elements.isEmpty else { return }
            let name = "hold-\(map)"
            program.sets.append(Set(name, keyType: type, contents: .elements(elements.sorted())))
            program.rules += hooks.map { Rule(in: $0.chain, [.inSet($0.selector, name), .verdict(.drop)]) }
        }
        hold(
            HostBase.senders, .interfaceIndex,
            in: [("hold-forward", .inputInterface), ("hold-input", .inputInterface)])
        hold(HostBase.receivers, .interfaceIndex, in: [("hold-forward", .outputInterface)])
        for level in 1...HostOutput.deepest {
            hold(HostOutput.map(level), .cgroup, in: [("hold-output", .socketCgroup(level: level))])
        }
        let used = Swift.Set(program.rules.map(\.chain))
        program.chains = [("hold-forward", Hook.forward), ("hold-input", .input), ("hold-output", .output)]
            .filter { used.contains($0.0) }
            .map { Chain($0.0, base: BaseChain(kind: .filter, hook: $0.1, priority: priority)) }
        return program
    }
}
