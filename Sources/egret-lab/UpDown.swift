// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretTesting

/// `egret-lab up`
struct Up: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Build the lab and start its servers.")

    @OptionGroup var options: LabOptions

    func run() throws {
        let lab = try options.lab()
        try lab.up()
        print(hostTable)
        print(
            """

            The lab “\(lab.name)” is up. Its authority: \(lab.authorityPath)
              egret-lab shell home      a shell where Egret runs
              egret-lab run home -- curl https://www.example.test/
              egret-lab down            removes everything
            """
        )
    }
}

/// `egret-lab down`
struct Down: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Remove the lab: processes, namespaces, links and files, also what a crash left."
    )

    @OptionGroup var options: LabOptions

    func run() throws {
        let errors = try options.lab().down()
        for error in errors { printError("egret-lab: \(error)") }
        if !errors.isEmpty { throw ExitCode.failure }
    }
}

/// `egret-lab status`
struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print the hosts, and whether their servers answer.")

    @OptionGroup var options: LabOptions

    func run() throws {
        let lab = try options.lab()
        print(hostTable + "\n")
        guard lab.exists else {
            print("The lab “\(lab.name)” is down.")
            for line in lab.leftovers() { print("Left over: \(line)") }
            throw ExitCode.failure
        }
        try lab.awaitServers(for: .seconds(1))
        print("The lab “\(lab.name)” is up; every server answers over IPv4 and IPv6.")
    }
}

/// The hosts with their addresses and services, aligned.
private var hostTable: String {
    LabHost.all.map { host in
        let services = host.services.map(\.description).joined(separator: " ")
        return column(host.name, 10) + column("\(host.ipv4)", 16) + column("\(host.ipv6)", 21)
            + column(host.domainNames.first ?? "", 23) + services
    }.joined(separator: "\n")
}

private func column(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(1, width - text.count))
}
