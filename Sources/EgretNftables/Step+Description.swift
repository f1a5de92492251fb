// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension Operation {
    /// The operation in nft's words, such as `add rule`.
    public var verb: String {
        switch self {
        case .addTable: "add table"
        case .deleteTable: "delete table"
        case .addChain: "add chain"
        case .createChain: "create chain"
        case .flushChain: "flush chain"
        case .deleteChain: "delete chain"
        case .addRule: "add rule"
        case .addSet(let set): set.mapsToVerdict ? "add map" : "add set"
        case .addElements: "add element"
        case .deleteElements: "delete element"
        case .deleteSet: "delete set"
        case .addCounter: "add counter"
        case .deleteCounter: "delete counter"
        case .addLimit: "add limit"
        case .deleteLimit: "delete limit"
        }
    }

    /// The name of the chain, set or object that it is about; `nil` if it is about the table itself.
    public var objectName: String? {
        switch self {
        case .addTable, .deleteTable: nil
        case .addChain(let chain), .createChain(let chain): chain.name
        case .addRule(let rule): rule.chain
        case .addSet(let set), .addElements(let set), .deleteElements(let set): set.name
        case .flushChain(let name), .deleteChain(let name), .deleteSet(let name), .deleteCounter(let name),
            .deleteLimit(let name):
            name
        case .addCounter(let counter): counter.name
        case .addLimit(let limit): limit.name
        }
    }
}

extension Transaction.Step {
    /// What the step is about, for messages: `inet egret / out-4f2a`.
    public var object: String {
        let table = "\(table.family.rawValue) \(table.name)"
        return operation.objectName.map { "\(table) / \($0)" } ?? table
    }
}
