// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension PolicySet {
    /// The policy that a clause belongs to; `nil` for the network's default.
    public func policy(of clause: DecidingClause) -> EgressPolicy? {
        switch clause {
        case .rule(let name, _), .policyDefault(let name): policies.first { $0.name == name }
        case .networkDefault: nil
        }
    }

    /// Where a clause is written.
    public func location(of clause: DecidingClause) -> SourceLocation? {
        switch clause {
        case .rule: rule(of: clause)?.location ?? policy(of: clause)?.location
        case .policyDefault: policy(of: clause)?.location
        case .networkDefault: nil
        }
    }
}
