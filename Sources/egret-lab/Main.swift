// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// The program `egret-lab`: a small internet in network namespaces, to test and to play with.
@main
struct EgretLab: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "egret-lab",
        abstract: "Build a small internet in network namespaces, use it, and remove it.",
        discussion: """
            Needs root. Nothing leaves the machine. The hosts are home (where Egret runs), isp, web1, web2, dns,
            attacker and friend; `egret-lab status` prints their addresses.
            """,
        subcommands: [Up.self, Down.self, Status.self, Shell.self, Run.self, Demo.self]
    )
}
