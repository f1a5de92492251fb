// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import Testing

@testable import EgretCommands

@Suite("what takes root's privileges")
struct PrivilegeTests {
    @Test(
        "a command that root has to run is told as it was given, as a shell reads it",
        arguments: [
            (["doctor", "ns0", "--to", "192.0.2.1"], "doctor ns0 --to 192.0.2.1"),
            (["network", "create", "br0", "--subnet", "fd00:9::/64"], "network create br0 --subnet fd00:9::/64"),
            (["network", "label", "br0", "ns0", "app=web", "team-"], "network label br0 ns0 app=web team-"),
            (["agent", "--quarantine", "br-*"], "agent --quarantine 'br-*'"),
            (["run", "--", "sh", "-c", "echo it's", ""], "run -- sh -c 'echo it'\\''s' ''"),
            (["attach", "\u{1b}[31m"], "attach '\\u{1b}[31m'"), (["gc"], "gc"),
        ])
    func advice(_ arguments: [String], _ words: String) {
        #expect(Privilege.advice(arguments) == "run it as: sudo egret " + words)
    }
}
