// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import Testing

extension Trait where Self == ConditionTrait {
    /// Needs root; in CI nothing may be skipped, so that there it fails instead.
    static var requiresRoot: ConditionTrait {
        .enabled(if: CurrentProcess.isRoot || Environment.current["CI"] != nil, "needs root")
    }
}
