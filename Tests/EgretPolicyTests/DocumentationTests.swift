// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDocuments
import EgretEvaluator
import EgretPolicy
import EgretResolution
import EgretTesting
import Testing

@Suite("The language reference")
struct DocumentationTests {
    /// A document of the reference, and what stands below it of flows.
    private struct Example {
        var language: Substring
        var text: String
        var flows: [Substring] = []
    }

    @Test("every example of the reference is read, and decides about flows as the reference says")
    func reference() throws {
        let examples = try self.examples()
        #expect(examples.count >= 12)
        #expect(examples.count { $0.language == "json" } >= 2)
        for example in examples {
            var result = PolicyFiles.read(
                [("policy-language.md", Array(example.text.utf8))], scope: .manifests, timeZones: testTimeZones)
            #expect(!result.hasErrors, "\(result.diagnostics.map(DiagnosticFormatter.format))\n\(example.text)")
            #expect(!example.flows.isEmpty, "nothing is said of flows\n\(example.text)")
            var workloads = result.inventory.workloads
            for line in example.flows {
                let words = line.split(separator: " ")
                switch words[0] {
                case "workload": workloads.append(try workload(words.dropFirst()))
                case "feed":
                    let place = try #require(result.groups.firstIndex { $0.name == words[1] })
                    result.groups[place].fetched = FeedList(Array(words[2].utf8)).blocks
                default: #expect(try answer(words, result, workloads) == expectation(line), "\(line)\n\(example.text)")
                }
            }
        }
    }

    @Test(
        "every YAML and JSON block about Kubernetes and the agent is read without an error",
        arguments: ["kubernetes.md", "agent.md"])
    func others(page: String) throws {
        let examples = try self.examples(of: page)
        #expect(examples.count >= 1)
        for example in examples {
            let result = PolicyFiles.read([(page, Array(example.text.utf8))], scope: .manifests)
            #expect(!result.hasErrors, "\(result.diagnostics.map(DiagnosticFormatter.format))\n\(example.text)")
        }
    }

    private func examples(of page: String = "policy-language.md") throws -> [Example] {
        let text = String(decoding: try contents(of: packageDirectory + "/docs/\(page)"), as: UTF8.self)
        var examples: [Example] = []
        var block: (language: Substring, lines: [Substring])?
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            guard line.hasPrefix("```") else {
                block?.lines.append(line)
                continue
            }
            switch block?.language {
            case nil: block = (line.dropFirst(3), [])
            case "flows":
                #expect(!examples.isEmpty)
                examples[examples.count - 1].flows += block?.lines ?? []
                block = nil
            case let language?:
                if ["yaml", "json"].contains(language) {
                    examples.append(Example(language: language, text: block?.lines.joined(separator: "\n") ?? ""))
                }
                block = nil
            }
        }
        return examples
    }

    /// What stands after the last colon with a space: `deny`, or `allow, audit mode would deny`.
    private func expectation(_ line: Substring) -> String {
        line.lastIndex(of: ":").map { String(line[$0...].dropFirst(2)) } ?? ""
    }

    /// `prod/db app=db 10.201.0.3 postgres=5432/tcp`
    private func workload(_ words: ArraySlice<Substring>) throws -> Workload {
        let name = try #require(words.first).split(separator: "/").map(String.init)
        var workload = Workload(Workload.ID(namespace: name[0], name: name[1]))
        for word in words.dropFirst() {
            let parts = word.split(separator: "=").map(String.init)
            if let address = IPAddress(word) {
                workload.addresses.append(address)
            } else if case .ports(let proto, let range)? = service(parts[1]) {
                workload.namedPorts.append(Workload.NamedPort(parts[0], proto, range.lowerBound))
            } else {
                workload.labels[parts[0]] = parts[1]
            }
        }
        return workload
    }

    private func service(_ text: String) -> Service? {
        Service.read(text, at: SourceLocation(file: "port", line: 0, column: 1)).service
    }

    private func answer(
        _ words: [Substring], _ result: PolicyReader.Result, _ workloads: [Workload]
    ) throws -> String {
        var command = Workload(Workload.ID(name: "", kind: "Command"))
        var address: IPAddress?
        var asked: DomainName?
        var port: String?
        var time: Int64?
        var name: Substring?
        for (flag, word) in zip(words, words.dropFirst()) {
            // The last word of the flags ends in a colon.
            let value = word.hasSuffix(":") ? word.dropLast() : word
            switch flag {
            case "--label":
                let parts = value.split(separator: "=").map(String.init)
                command.labels[parts[0]] = parts[1]
            case "--to":
                address = IPAddress(value)
                if address == nil { asked = try DomainName.parse(value) }
            case "--port": port = String(value)
            case "--from": name = value
            case "--at": time = try moment(value)
            default: break
            }
        }
        var catalog = result.catalog
        catalog.networkDefault = .deny
        var resolver = PolicyResolver(catalog, inventory: Inventory(workloads: [command] + workloads))
        let asking = name.map(String.init) ?? command.id.description
        let place = try #require(resolver.inventory.workloads.firstIndex { $0.id.description == asking })
        let evaluator = PolicyEvaluator(policies: resolver.policies(of: place, .egress))
        let text = try #require(port)
        let wanted = try #require(service(text))
        if let asked {
            if case .denied(let clause) = evaluator.decide(name: asked) {
                return evaluator.policies.rule(of: clause)?.action.rawValue ?? ""
            }
            // Some address that no example is about.
            var flow = flow(to: try #require(IPAddress("192.0.2.77")), wanted)
            if case .allowed = evaluator.decide(name: asked) { flow.names = [asked] }
            let readsDatagrams = evaluator.nameClauses.contains { clause in
                flow.protocol == .udp && clause.traffic.checksDatagrams(flow.destinationPort ?? 0)
            }
            if flow.protocol == .tcp || readsDatagrams { flow.speech = .name(asked, .tls) }
            return evaluator.decide(flow, at: time).verdict.rawValue
        }
        let flow = flow(to: try #require(address), wanted)
        let decision = evaluator.decide(flow, at: time)
        return decision.verdict.rawValue
            + (decision.auditRefusal.map { ", audit mode would \($0.verdict.rawValue)" } ?? "")
    }

    private func flow(to address: IPAddress, _ service: Service) -> Flow {
        switch service {
        case .any(let proto): Flow(to: address, protocol: proto)
        case .ports(let proto, let range): Flow(to: address, protocol: proto, port: range.lowerBound)
        case .icmp(let proto, let type): Flow(to: address, protocol: proto, icmpType: type)
        }
    }

    /// `2026-03-29T02:30[Europe/Zurich]` or `2026-03-29T01:30Z`
    private func moment(_ text: Substring) throws -> Int64 {
        let parts = text.split(whereSeparator: { $0 == "[" || $0 == "]" || $0 == "Z" && text.hasSuffix("Z") })
        let zone = parts.count > 1 ? String(parts[1]) : "UTC"
        let read = Schedule.LocalTime.read(
            String(parts[0]), in: zone, of: testTimeZones, at: SourceLocation(file: "at", line: 0, column: 1))
        return try #require(read.unixTime, "\(text)")
    }
}
