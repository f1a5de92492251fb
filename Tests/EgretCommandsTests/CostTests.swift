// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy
import EgretTesting
import Foundation
import Testing

@testable import EgretCommands

/// `egret cost` as its users meet it. With files it needs neither privileges nor an agent.
@Suite("egret cost")
struct CostTests {
    private static let report = """
        {
          "version": 1, "lostConnections": false, "omittedDestinations": 0,
          "reached": [
            { "destination": "10.0.0.5", "service": "443/tcp", "audited": false,
              "sent": { "bytes": 2000000000, "packets": 1 }, "received": { "bytes": 1000000000, "packets": 1 } },
            { "destination": "203.0.113.10", "service": "443/tcp",
              "sent": { "bytes": 4000000000 }, "received": { "bytes": 10000000000 } },
            { "destination": "203.0.113.11", "name": "www.example.org", "service": "443/tcp",
              "sent": { "bytes": 1000000000 }, "received": { "bytes": 0 } }
          ],
          "refused": [
            { "destination": "198.51.100.66", "service": "443/tcp", "reason": "policy", "logged": { "bytes": 60 } },
            { "destination": "198.51.100.66", "service": "tcp", "reason": "invalid", "logged": { "bytes": 60 } }
          ]
        }
        """

    private static let prices = """
        apiVersion: egret.dev/v1
        kind: PriceList
        metadata: { name: cloud }
        spec:
          prices:
          - { name: near, to: [{ cidr: 10.0.0.0/8 }], direction: both, price: 0.01 USD/GB }
          - { name: internet, free: 1GB, price: 0.09 USD/GB }

        """

    private func cost(
        _ arguments: String..., report: String = CostTests.report, prices: String = CostTests.prices
    ) throws -> ProgramOutput {
        let directory = try TemporaryDirectory()
        try write(report, to: directory.path + "/run.json")
        try write(prices, to: directory.path + "/prices.yaml")
        let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let path = URL(fileURLWithPath: tests).deletingLastPathComponent().appendingPathComponent("egret").path
        let files = [directory.path + "/run.json", "--prices", directory.path + "/prices.yaml"]
        return try withExtendedLifetime(directory) { try runProgram([path, "cost"] + files + arguments) }
    }

    /// The table's lines, with single spaces.
    private func rows(_ output: ProgramOutput) -> [String] {
        output.standardOutput.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
    }

    @Test("recorded traffic is priced as a month's")
    func before() throws {
        let output = try cost()
        #expect(
            output.standardOutput == """
                PRICE LIST  DESTINATION    BYTES      COST
                cloud       near         3.00 GB  0.03 USD
                cloud       internet     5.00 GB  0.36 USD
                cloud       all          8.00 GB  0.39 USD

                """)
        #expect(output.standardError == "")
    }

    @Test("what a proposed policy refuses costs nothing, and what it lets out anew is told of")
    func proposed() throws {
        let output = try cost("--allow", "203.0.113.10:443", "--allow", "198.51.100.66:443")
        #expect(
            output.standardOutput == """
                PRICE LIST  DESTINATION    BYTES      COST  PROPOSED  WOULD COST
                cloud       near         3.00 GB  0.03 USD       0 B    0.00 USD
                cloud       internet     5.00 GB  0.36 USD   4.00 GB    0.27 USD
                cloud       all          8.00 GB  0.39 USD   4.00 GB    0.27 USD

                """)
        #expect(
            output.standardError == """
                egret: 2 destinations would be refused, and cost nothing
                egret: of what was refused, 1 destination would be reached: what that would cost is not known

                """)
    }

    @Test("a destination is judged by the name that was recorded of it")
    func names() throws {
        let output = try cost("--allow", "www.example.org", "-o", "json")
        let text = output.standardOutput.filter { !$0.isWhitespace }
        #expect(text.contains(#""proposedBytes":1000000000,"#) && text.contains(#""wouldBeRefused":2"#), "\(text)")
    }

    @Test("what was reached by a name is priced by the first price that is for it")
    func namedPrices() throws {
        let output = try cost(
            prices: """
                apiVersion: egret.dev/v1
                kind: PriceList
                metadata: { name: cloud }
                spec:
                  prices:
                  - { name: site, to: [{ domains: ["*.example.org"] }], price: 1 USD/GB }
                  - { name: internet, price: 0.09 USD/GB }

                """)
        #expect(
            rows(output) == [
                "PRICE LIST DESTINATION BYTES COST", "cloud site 1.00 GB 1.00 USD", "cloud internet 6.00 GB 0.54 USD",
                "cloud all 7.00 GB 1.54 USD",
            ])
    }

    @Test("a connection that the report lost, a file that is no report, and no price are told of")
    func troubles() throws {
        let lost = try cost(
            report: CostTests.report.replacing(#""lostConnections": false"#, with: #""lostConnections": true"#))
        #expect(lost.standardError == "egret: a report lacks some connections: the costs are too low\n")
        for wrong in ["{}", "reached", CostTests.report.replacing(#""version": 1"#, with: #""version": 2"#)] {
            let output = try cost(report: wrong)
            #expect(output.status == 2 && output.standardError.contains("is no report of a run"))
        }
        let none = try cost(prices: "apiVersion: egret.dev/v1\nkind: EgressPolicy\nmetadata: { name: p }\nspec: {}\n")
        #expect(none.status == 2 && none.standardError == "egret: the files define no price list\n")
        let wrong = try cost(prices: CostTests.prices.replacing("1GB", with: "1Gbit"))
        #expect(wrong.status == 2 && wrong.standardError.contains("prices.yaml:7:"))
        #expect(try cost("--budget", "5GB").status == 64)
    }

    @Test("what no policy could be written for is priced all the same, and a destination that is none is not")
    func services() throws {
        let lines = ["0/tcp", "tcp", "gre", "icmpv6/128", "icmp"].map { service in
            #"{ "destination": "203.0.113.10", "service": "\#(service)", "sent": { "bytes": 1000000000 } }"#
        }
        func report(_ lines: [String]) -> String {
            """
            { "version": 1, "lostConnections": false, "omittedDestinations": 0, "refused": [],
              "reached": [\(lines.joined(separator: ", "))] }
            """
        }
        let output = try cost("--allow", "203.0.113.10:tcp", report: report(lines))
        #expect(rows(output).contains("cloud internet 5.00 GB 0.36 USD 2.00 GB 0.09 USD"), "\(output)")
        let wrong = try cost(report: report([lines[0].replacing("203.0.113.10", with: "nowhere")]))
        #expect(wrong.status == 2 && wrong.standardError.contains("\"nowhere\", \"0/tcp\" is no destination"))
    }

    @Test("what answers a request is priced by its own ICMP type, as the agent counts packets")
    func icmpAnswers() throws {
        func line(_ destination: String, _ service: String, sent: Int, received: Int) -> String {
            """
            { "destination": "\(destination)", "service": "\(service)",
              "sent": { "bytes": \(sent)000000000 }, "received": { "bytes": \(received)000000000 } }
            """
        }
        let lines = [
            line("203.0.113.10", "icmp/8", sent: 1, received: 2),
            line("2001:db8::1", "icmpv6/128", sent: 1, received: 1),
            line("203.0.113.10", "icmp", sent: 1, received: 1),
        ]
        let output = try cost(
            report: """
                { "version": 1, "lostConnections": false, "omittedDestinations": 0, "refused": [],
                  "reached": [\(lines.joined(separator: ", "))] }
                """,
            prices: """
                apiVersion: egret.dev/v1
                kind: PriceList
                metadata: { name: cloud }
                spec:
                  prices:
                  - { name: pings, ports: [icmp/echo-request], direction: both, price: 1 USD/GB }
                  - { name: answers, ports: [icmp/echo-reply, icmpv6/echo-reply], direction: both, price: 2 USD/GB }
                  - { name: rest, direction: both, price: 0.5 USD/GB }

                """)
        #expect(
            rows(output) == [
                "PRICE LIST DESTINATION BYTES COST", "cloud pings 1.00 GB 1.00 USD", "cloud answers 3.00 GB 6.00 USD",
                "cloud rest 3.00 GB 1.50 USD", "cloud all 7.00 GB 8.50 USD",
            ], "\(output)")
    }

    @Test("doubts about prices are told of, and a list that is not here")
    func doubts() throws {
        let text = """
            apiVersion: egret.dev/v1
            kind: PriceList
            metadata: { name: cloud }
            spec:
              prices:
              - { name: near, to: [{ group: partner }], price: 0.01 USD/GB }
              - { name: all, price: 0.09 USD/GB }
              - { name: never, price: 0.09 USD/GB }
            ---
            apiVersion: egret.dev/v1
            kind: DestinationGroup
            metadata: { name: partner }
            spec: { cidrs: [203.0.113.0/24], feed: { url: "https://example.org/list" } }

            """
        let output = try cost(prices: text)
        #expect(output.status == 0 && output.standardError.contains("EGR0041"), "\(output.standardError)")
        #expect(
            output.standardError.contains(
                "egret: the list of the group partner is not here (https://example.org/list): prices for it count nothing"
            ))
        #expect(rows(output).contains("cloud near 0 B 0.00 USD"), "\(output.standardOutput)")
    }

    @Test("the first price that matches in a direction is the one")
    func entries() throws {
        let list = try #require(try readPrices(CostTests.prices))
        func entry(_ address: String, _ direction: TrafficDirection) throws -> Int? {
            list.entry(for: try #require(IPAddress(address)), .tcp, port: 443, direction, groups: [:])
        }
        #expect(try entry("10.1.2.3", .egress) == 0)
        #expect(try entry("10.1.2.3", .ingress) == 0)
        #expect(try entry("203.0.113.1", .egress) == 1)
        #expect(try entry("2001:db8::1", .egress) == 1)
        #expect(try entry("203.0.113.1", .ingress) == nil)
    }

    @Test("a price for ports is for these alone, and what it leaves is for the next")
    func ports() throws {
        let further = """
              - { name: web, ports: [443/tcp], price: 1 USD/GB }
              - { name: pings, ports: [icmp], price: 2 USD/GB }

            """
        let prices = CostTests.prices.replacing("  - { name: internet", with: further + "  - { name: internet")
        let list = try #require(try readPrices(prices))
        let address = try #require(IPAddress("203.0.113.10"))
        #expect(list.entry(for: address, .tcp, port: 443, .egress, groups: [:]) == 1)
        #expect(list.entry(for: address, .udp, port: 443, .egress, groups: [:]) == 3)
        #expect(list.entry(for: address, .tcp, .egress, groups: [:]) == 3)
        #expect(list.entry(for: address, .icmp, icmpType: 8, .egress, groups: [:]) == 2)
        let output = try cost(
            report: CostTests.report.replacing(
                #""name": "www.example.org", "service": "443/tcp""#, with: #""service": "443/udp""#), prices: prices)
        #expect(
            rows(output).dropFirst() == [
                "cloud near 3.00 GB 0.03 USD", "cloud web 4.00 GB 4.00 USD", "cloud pings 0 B 0.00 USD",
                "cloud internet 1.00 GB 0.00 USD", "cloud all 8.00 GB 4.03 USD",
            ])
    }

    private func readPrices(_ text: String) throws -> PriceList? {
        let directory = try TemporaryDirectory()
        try write(text, to: directory.path + "/prices.yaml")
        return try withExtendedLifetime(directory) {
            try ManifestFiles([directory.path + "/prices.yaml"]).result().priceLists.first
        }
    }
}
