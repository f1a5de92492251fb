// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNftables

extension Transaction.Step {
    /// The step in nft's words, without contents: `add element inet egret from`.
    var phrase: String {
        let place = "\(table.family) \(table.name)"
        return switch operation {
        case .addTable, .addOwnedTable: "add table \(place)"
        case .deleteTable: "delete table \(place)"
        case .addChain(let chain): "add chain \(place) \(chain.name)"
        case .createChain(let chain): "create chain \(place) \(chain.name)"
        case .flushChain(let name): "flush chain \(place) \(name)"
        case .deleteChain(let name): "delete chain \(place) \(name)"
        case .addRule(let rule): "add rule \(place) \(rule.chain)"
        case .deleteRule(let chain, let handle): "delete rule \(place) \(chain) handle \(handle)"
        case .addSet(let set): "add set \(place) \(set.name)"
        case .addElements(let set): "add element \(place) \(set.name)"
        case .deleteElements(let set): "delete element \(place) \(set.name)"
        case .deleteSet(let name): "delete set \(place) \(name)"
        case .addCounter(let counter): "add counter \(place) \(counter.name)"
        case .deleteCounter(let name): "delete counter \(place) \(name)"
        case .addLimit(let limit): "add limit \(place) \(limit.name)"
        case .deleteLimit(let name): "delete limit \(place) \(name)"
        case .addQuota(let quota): "add quota \(place) \(quota.name)"
        case .deleteQuota(let name): "delete quota \(place) \(name)"
        }
    }
}
