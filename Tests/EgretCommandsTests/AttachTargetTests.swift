// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import EgretCommands

@Suite("what is attached by hand")
struct AttachTargetTests {
    @Test(
        "a container's network is the one that its engine made where its first process has left that, if it can be seen",
        arguments: [
            // Two namespaces, of whatever kind.
            ("/proc/self/ns/uts", "/proc/self/ns/uts"), ("/proc/self/ns/net", "/proc/self/ns/net"),
            ("", "/proc/self/ns/net"), ("/etc/passwd", "/proc/self/ns/net"), ("/none", "/proc/self/ns/net"),
            ("proc/self/ns/uts", "/proc/self/ns/net"),
        ])
    func networks(_ sandbox: String, _ expected: String) {
        #expect(AttachTarget.network(ofProcess: "/proc/self/ns/net", madeAs: sandbox) == expected)
        // Of a process that is gone nobody knows whether it had left.
        #expect(AttachTarget.network(ofProcess: "/proc/0/ns/net", madeAs: sandbox) == "/proc/0/ns/net")
    }
}
