// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension EgressPolicy {
    /// The rule that stands for the written rule at a place, as decisions name it; `nil` if there is none.
    ///
    /// A resolver may have made several rules of a written one, or none.
    public func rule(ofClause index: Int) -> EgressRule? {
        for (place, rule) in rules.enumerated() where rule.clauseIndex ?? place == index { return rule }
        return nil
    }
}
