// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretTesting
import Foundation

/// `egret-lab demo`: the main job, shown against a lab of its own. Every claim it makes is checked.
struct Demo: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what Egret does, step by step, in a lab of its own; fail if it does something else."
    )

    @Option(help: "The lab's name; it must not exist yet.")
    var name = "demo"

    @Option(help: "The egret program to show; without it, the one beside this program.")
    var egret: String?

    @Option(help: "Seconds to wait after each step; without it, a little on a terminal and none elsewhere.")
    var pace: Double?

    func run() throws {
        let lab = try TestInternet(name: name)
        for leftover in lab.leftovers() { printError("removing what an earlier demo left: \(leftover)") }
        lab.down()
        let stage = DemoStage(lab: lab, path: pathWithOwnDirectory(try egretDirectory()), pace: pace)
        stage.say("Building a small internet in network namespaces: a router, web servers, a resolver, an attacker.")
        try lab.up()
        defer { lab.down() }
        try demoPolicy.write(toFile: "\(lab.directory)/policy.yaml", atomically: true, encoding: .utf8)
        for step in demoSteps(policy: "\(lab.directory)/policy.yaml") { try stage.perform(step) }

        stage.say("The lab goes, too.")
        lab.down()
        stage.check("nothing of the lab is left", lab.leftovers().isEmpty)
        stage.conclude()
        if stage.failures > 0 { throw ExitCode.failure }
    }

    private func egretDirectory() throws -> String? {
        guard let egret else { return nil }
        let file = URL(fileURLWithPath: egret)
        guard file.lastPathComponent == "egret", FileManager.default.isExecutableFile(atPath: file.path) else {
            throw ValidationError("\(egret) is not a program called egret")
        }
        return file.deletingLastPathComponent().path
    }
}
