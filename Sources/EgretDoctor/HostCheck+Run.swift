// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretNetlink
import EgretNftables

extension HostCheck {
    /// Looks at the host: tries each feature in a namespace that is thrown away, and reads what others have set up.
    ///
    /// - Throws: An error if no namespace can be made or the kernel not be asked.
    public static func run() throws -> HostCheck {
        HostCheck(features: try FeatureTrial.run(), conflicts: try HostConflicts.find())
    }
}
