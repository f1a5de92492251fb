// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
public import EgretNetlink
import EgretNftables

extension HostCheck {
    /// Looks at the host: tries each feature in a namespace that is thrown away, and reads what others have set up.
    ///
    /// - Parameter makeRuleset: Makes the access to nf_tables.
    /// - Returns: What was found.
    /// - Throws: An error if no namespace can be made or the kernel not be asked.
    public static func run(_ makeRuleset: RulesetMaker) throws -> HostCheck {
        let ruleset = makeRuleset(try NetlinkConnection.netfilter())
        return HostCheck(features: try FeatureTrial.run(makeRuleset), conflicts: try HostConflicts.find(ruleset))
    }
}
