// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Glibc
import Testing

/// Builds an internet of that name for the time of `body`, and checks that nothing of it is left afterwards.
func withInternet(_ name: String, _ body: (TestInternet) throws -> Void) throws {
    let internet = try TestInternet(name: name)
    internet.down()
    try internet.up()
    defer {
        #expect(internet.down() == [])
        #expect(internet.leftovers() == [])
    }
    try body(internet)
}

extension Trait where Self == ConditionTrait {
    /// Network namespaces need root.
    static var requiresRoot: Self {
        .enabled("network namespaces need root") { geteuid() == 0 }
    }
}
