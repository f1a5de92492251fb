// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgent
import EgretAgentAPI
import EgretLinux
import EgretTesting
import Foundation
import Testing

/// The commands as their users meet them, against a server that answers as it is told.
@Suite("The commands that ask the agent")
struct AgentCommandTests {
    private static var egret: String {
        let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return URL(fileURLWithPath: tests).deletingLastPathComponent().appendingPathComponent("egret").path
    }

    private func egret(_ path: String, _ arguments: [String], input: String = "") async throws -> ProgramOutput {
        try await blocking {
            try runProgram(
                [Self.egret] + arguments, standardInput: input,
                environment: ["EGRET_AGENT_SOCKET": path, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"])
        }
    }

    private static let web = "apiVersion: egret.dev/v1\nkind: EgressPolicy\nmetadata: { name: web }\nspec: {}\n"

    @Test("apply sends the files by absolute names, and prints what became of objects, endpoints and connections")
    func apply() async throws {
        try await withServer { service, path, _ in
            let folder = try TemporaryDirectory()
            try Directory.make(folder.path + "/below/deep")
            try write(Self.web, to: folder.path + "/below/deep/web.yaml")
            try write("not a policy", to: folder.path + "/README.md")
            let output = try await egret(
                path,
                [
                    "apply", "-f", folder.path + "/./below/../below/", "--prune", "--confirm", "2m", "--message",
                    "open",
                    "--wait",
                ])
            #expect(output.status == 0, "\(output.standardError)")
            let call = try #require(service.calls.first)
            #expect(call.name == "apply")
            #expect(
                call.request
                    == ApplyRequest(
                        files: [SourceFile(name: folder.path + "/below/deep/web.yaml", text: Self.web)], prune: true,
                        directories: [folder.path + "/below"], confirmWithin: 120, message: "open"))
            #expect(call.author?.hasSuffix("(egret)") == true)
            #expect(output.standardError == "egret: the policy db selects nothing\n")
            #expect(
                output.standardOutput == """
                    EgressPolicy/web added
                    EgressPolicy/db changed
                    DestinationGroup/office removed

                    ENDPOINT     CHANGES          GENERATIONS  CUT
                    default/web  egress, ingress  12, 13         1

                    open connections that were cut:
                      default/web  10.9.0.2 → 203.0.113.10 443/tcp

                    revision 7 is in force: 3 objects changed, for 1 endpoint
                    it goes back by itself at 2030-03-17T17:47:40Z unless you confirm it: egret confirm

                    """)
        }
    }

    private static let other = """
        apiVersion: egret.dev/v1
        kind: EgressPolicy
        metadata: { name: other }
        spec:
          selects: { matchLabels: { app: other } }
          egress: [{ action: allow, to: [{ cidr: 203.0.113.0/24 }] }]

        """

    private static func endpoint(_ name: String, _ addresses: String...) -> EndpointInfo {
        EndpointInfo(
            name: name, network: "br0", namespace: "ns0", addresses: addresses, labels: ["app": "web"], egress: [],
            ingress: [], generations: [], conditions: [])
    }

    @Test(
        "explain, prove and map without files know what the agent does where no policy decides",
        arguments: [nil, "allow", "deny", "reject"] as [String?])
    func networkDefault(_ action: String?) async throws {
        try await withServer { service, path, _ in
            service.hold(
                [SourceFile(name: "/etc/other.yaml", text: Self.other)],
                for: [Self.endpoint("default/web", "10.9.0.2")], networkDefault: action)
            let isOpen = action == nil || action == "allow"
            let question = ["explain", "--from", "default/web", "--to", "203.0.113.10", "--port", "443/tcp"]
            let answer = try await egret(path, question)
            let verdict = isOpen ? "allow" : "deny"
            #expect(answer.standardOutput.hasPrefix("default/web -> 203.0.113.10 443/tcp: \(verdict)\n"))
            let chosen = try await egret(path, question + ["--default", "allow"])
            #expect(chosen.standardOutput.hasPrefix("default/web -> 203.0.113.10 443/tcp: allow\n"))
            let proof = try await egret(path, ["prove", "no app=web reaches 203.0.113.0/24"])
            #expect(proof.status == (isOpen ? 1 : 0), "\(proof.standardError)")
            let map = try await egret(path, ["map", "-o", "csv"])
            #expect(map.standardOutput.contains("default/web,outside,,all\r\n") == isOpen, "\(map.standardError)")
        }
    }

    private static let fromFront = """
        apiVersion: networking.k8s.io/v1
        kind: NetworkPolicy
        metadata: { name: from-front, namespace: shop }
        spec:
          podSelector: { matchLabels: { app: db } }
          policyTypes: [Ingress]
          ingress: [{ from: [{ ipBlock: { cidr: 10.9.0.0/24 } }] }]

        """

    /// A link of an endpoint of the group `shop`; its network is a /24, if the agent says so.
    private static func link(
        _ name: String, _ network: String, _ address: String, app: String, leads: [String]? = nil, isKnown: Bool = true
    ) -> EndpointInfo {
        EndpointInfo(
            name: "shop/\(name)", network: network, namespace: "ns0", addresses: [address],
            subnets: isKnown ? ["\(address.prefix(6)).0/24"] : nil, leads: isKnown ? leads : nil, labels: ["app": app],
            egress: [], ingress: [], generations: [], conditions: [])
    }

    /// An endpoint of two networks, which leaves by the one, and others of these two and of a third.
    private static func twoNetworks(areKnown: Bool = true) -> [EndpointInfo] {
        [
            link("web", "back", "10.8.0.2", app: "web", leads: [], isKnown: areKnown),
            link("web", "front", "10.9.0.2", app: "web", leads: ["ipv4"], isKnown: areKnown),
            link("db", "front", "10.9.0.3", app: "db", isKnown: areKnown),
            link("store", "back", "10.8.0.3", app: "store", isKnown: areKnown),
            link("far", "third", "10.7.0.3", app: "db", isKnown: areKnown),
        ]
    }

    private func answers(_ path: String, from source: String, to target: String) async throws -> [String] {
        let output = try await egret(path, ["explain", "--from", source, "--to", target, "--port", "443/tcp"])
        #expect(output.status == 0, "\(output.standardError)")
        return output.standardOutput.split(separator: "\n").filter { !$0.hasPrefix(" ") }.map(String.init)
    }

    @Test("an endpoint of two networks is asked about by the link that its connection takes")
    func severalLinks() async throws {
        try await withServer { service, path, _ in
            service.hold([SourceFile(name: "/etc/policy.yaml", text: Self.fromFront)], for: Self.twoNetworks())
            let expected = [
                ("shop/web", "shop/db", "shop/web (front) -> shop/db 443/tcp: allow"),
                ("shop/web", "shop/store", "shop/web (back) -> shop/store 443/tcp: allow"),
                ("shop/web", "10.8.0.9", "shop/web (back) -> 10.8.0.9 443/tcp: allow"),
                ("shop/web", "shop/far", "shop/web (front) -> shop/far 443/tcp: allow"),
                ("shop/web", "203.0.113.10", "shop/web (front) -> 203.0.113.10 443/tcp: allow"),
                ("shop/store", "shop/web", "shop/store -> shop/web (back) 443/tcp: allow"),
                // Nobody decides about what comes to it: at which link makes no difference.
                ("shop/far", "shop/web", "shop/far -> shop/web 443/tcp: allow"),
                ("shop/web", "shop/web", "shop/web -> shop/web 443/tcp: allow"),
                // Named by an address, it is that link.
                ("10.8.0.2", "shop/db", "shop/web -> shop/db 443/tcp: deny"),
                ("10.9.0.2", "shop/db", "shop/web -> shop/db 443/tcp: allow"),
            ]
            for (source, target, answer) in expected {
                #expect(try await answers(path, from: source, to: target) == [answer])
            }
            let output = try await egret(
                path, ["explain", "--from", "shop/web", "--to", "shop/db", "--port", "443/tcp", "-o", "json"])
            let document = try JSONSerialization.jsonObject(with: Data(output.standardOutput.utf8)) as? [String: Any]
            #expect(document?["from"] as? String == "shop/web")
            #expect(document?["fromLink"] as? String == "front")
            #expect(document?["toLink"] == nil)
        }
    }

    @Test("where nobody knows which link of an endpoint a connection takes, each is asked about")
    func unknownLinks() async throws {
        try await withServer { service, path, _ in
            service.hold(
                [SourceFile(name: "/etc/policy.yaml", text: Self.fromFront)], for: Self.twoNetworks(areKnown: false))
            let apart = try await answers(path, from: "shop/web", to: "shop/far")
            #expect(
                apart.sorted() == [
                    "shop/web (back) -> shop/far 443/tcp: deny", "shop/web (front) -> shop/far 443/tcp: allow",
                ])
            // That two share a network the agent tells at any rate.
            let shared = try await answers(path, from: "shop/web", to: "shop/db")
            #expect(shared == ["shop/web (front) -> shop/db 443/tcp: allow"])
            // Where it makes no difference, one answer will do.
            let beyond = try await answers(path, from: "shop/web", to: "203.0.113.10")
            #expect(beyond == ["shop/web -> 203.0.113.10 443/tcp: allow"])
        }
    }

    @Test(
        "plan, and apply as a dry run, change nothing and say what would be",
        arguments: [
            ["plan"], ["apply", "--dry-run"],
        ])
    func plan(_ command: [String]) async throws {
        try await withServer { service, path, _ in
            let output = try await egret(path, command + ["-f", "-"], input: Self.web)
            #expect(service.calls.map(\.name) == ["plan"])
            #expect(service.calls[0].request == ApplyRequest(files: [SourceFile(name: "-", text: Self.web)]))
            #expect(output.status == 0, "\(output.standardError)")
            #expect(output.standardOutput.hasPrefix("EgressPolicy/web would be added\n"))
            #expect(output.standardOutput.contains("open connections that would be cut:\n"))
            #expect(output.standardOutput.hasSuffix("3 objects would change, for 1 endpoint; nothing was changed\n"))
        }
    }

    @Test("mistakes in documents are printed with the names that were typed, and end with 2")
    func mistakes() async throws {
        try await withServer { service, path, _ in
            let folder = try TemporaryDirectory()
            try write(Self.web, to: folder.path + "/web.yaml")
            service.refuse(
                with: APIError(
                    "invalid", "the documents have mistakes; nothing was changed",
                    diagnostics: ["\(folder.path)/web.yaml:4:1: error EGR0101: no rules \u{1b}[31m\n    4 | spec"]))
            let typed = folder.path + "//./web.yaml"
            let output = try await egret(path, ["apply", "-f", typed])
            #expect(output.status == 2)
            #expect(output.standardOutput.isEmpty)
            #expect(
                output.standardError == """
                    \(typed):4:1: error EGR0101: no rules \\u{1b}[31m
                        4 | spec
                    egret: the documents have mistakes; nothing was changed

                    """)
        }
    }

    @Test("files that cannot be read are not sent, and end with 2")
    func unreadable() async throws {
        try await withServer { service, path, _ in
            let folder = try TemporaryDirectory()
            try Data([0x61, 0xff]).write(to: URL(fileURLWithPath: folder.path + "/latin.yaml"))
            let output = try await egret(path, ["apply", "-f", folder.path + "/latin.yaml", "-f", "/nowhere.yaml"])
            #expect(output.status == 2)
            #expect(output.standardError.contains("latin.yaml: error EGR0007: the file is not UTF-8"))
            #expect(output.standardError.contains("/nowhere.yaml"))
            #expect(service.calls.isEmpty)
        }
    }

    @Test("a refusal ends with 1 and says what to do")
    func refusal() async throws {
        try await withServer { service, path, _ in
            service.refuse(with: APIError("conflict", "revision 7 waits to be confirmed", advice: "egret confirm"))
            for command in [["apply", "-f", "-"], ["confirm"], ["rollback"], ["delete", "EgressPolicy/web"]] {
                let output = try await egret(path, command, input: Self.web)
                #expect(output.status == 1)
                #expect(output.standardError == "egret: revision 7 waits to be confirmed\n       egret confirm\n")
            }
        }
    }

    @Test(
        "without an agent every command says how to start it, and ends with 1",
        arguments: [
            ["apply", "-f", "-"], ["plan", "-f", "-"], ["delete", "EgressPolicy/a"], ["confirm"], ["rollback"],
            ["history"],
            ["diff", "1", "2"], ["get", "policies"], ["get", "status", "-o", "json"], ["flows"], ["usage"],
            ["usage", "--forecast"], ["get", "prices"],
            ["budget", "ls"],
            ["budget", "grant", "p", "b", "5GB"], ["budget", "reset", "p", "b"],
        ])
    func absent(_ command: [String]) async throws {
        let output = try await egret("/nowhere/agent.sock", command, input: Self.web)
        #expect(output.status == 1)
        #expect(
            output.standardError == """
                egret: the agent does not run: nobody listens at /nowhere/agent.sock
                       start it with: sudo egret agent, or: sudo systemctl start egret-agent

                """)
    }

    @Test("usage is asked for since a moment, or so long ago; other texts are refused")
    func usageSince() async throws {
        try await withServer { service, path, _ in
            for (since, text) in [("2026-11-24T06:30Z", "1795501800"), ("2026-11-24T06:30:05+01:00", "1795498205")] {
                _ = try await egret(path, ["usage", "--since", since])
                #expect(service.calls.last?.name.hasSuffix(" \(text)") == true, "\(service.calls)")
            }
            let before = WallTime.now.seconds
            _ = try await egret(path, ["usage", "--since", "6h"])
            let said = service.calls.last?.name.split(separator: " ").last.flatMap { Int64($0) } ?? 0
            #expect((before - 21_600...before - 21_500).contains(said))
            for wrong in ["6", "h", "6w", "-6h", "yesterday", "99999999999999d", "2026-11-24T06:30"] {
                let refused = try await egret(path, ["usage", "--since=\(wrong)"])
                #expect(refused.status == 64 && refused.standardError.contains("--since"), "\(refused.standardError)")
            }
        }
    }

    @Test("usage and budgets are shown in tables, and budgets are given more")
    func budgets() async throws {
        try await withServer { service, path, _ in
            let usage = try await egret(path, ["usage", "--by", "endpoint,policy", "--since", "2026-11-01", "--cost"])
            #expect(
                usage.standardOutput == """
                    PRICE LIST  ENDPOINT     POLICY  PACKETS    BYTES          COST
                    -           default/web  web           7  1.23 GB  0.111111 USD
                    cloud       default/web  -             7  1.23 GB     0.045 USD

                    """)
            let plain = try await egret(path, ["usage", "--by", "endpoint,policy"])
            #expect(
                plain.standardOutput == """
                    ENDPOINT     POLICY  PACKETS    BYTES
                    default/web  web           7  1.23 GB

                    """)
            let forecast = try await egret(path, ["usage", "--forecast"])
            #expect(
                forecast.standardOutput == """
                    PRICE LIST  DESTINATION     USED  FREE LEFT      COST  FORECAST  WILL COST  MONTH ENDS
                    cloud       internet     1.23 GB  765.43 MB  0.00 USD   5.00 GB   0.27 USD  2030-03-17T17:46:40Z
                    cloud       zone             0 B          -  0.00 USD       0 B   0.00 USD  2030-03-17T17:46:40Z

                    """)
            for other in [["--since", "2026-11-01"], ["--cost"], ["--by", "day"]] {
                #expect(try await egret(path, ["usage", "--forecast"] + other).status == 64, "\(other)")
            }
            let list = try await egret(path, ["budget", "ls", "-o", "wide"])
            #expect(
                list.standardOutput == """
                    POLICY  BUDGET   ACCOUNT              USED         OF  PER    FORECAST  STATE          COST  FORECAST  GRANTED  ENDS                  REFUSED  ENDPOINTS
                    web     monthly  default/web  1.23 GB (1%)  100.00 GB  month   5.00 GB  open   0.111111 USD  0.45 USD      0 B  2030-03-17T17:46:40Z        0          1

                    """)
            let grant = try await egret(path, ["budget", "grant", "web", "monthly", "5GB", "--account", "default/web"])
            #expect(grant.standardOutput.hasPrefix("POLICY  BUDGET"))
            #expect(try await egret(path, ["budget", "reset", "web", "monthly"]).status == 0)
            for words in [["500", "packets"], ["1 connection"]] {
                #expect(try await egret(path, ["budget", "grant", "web", "monthly"] + words).status == 0)
            }
            #expect(
                service.calls.map(\.name) == [
                    #"usage ["endpoint", "policy"] 2026-11-01 with prices"#,
                    #"usage ["endpoint", "policy"] -"#, "costs", "budgets",
                    "grant 5000000000 web monthly default/web", "reset web monthly -",
                    "grant 500 packets web monthly -", "grant 1 connections web monthly -",
                ])
            #expect(try await egret(path, ["usage", "--by", "colour"]).status == 64)
            for wrong in ["5Gbit", "5", "0 packets", "9223372036854775808 connections"] {
                #expect(try await egret(path, ["budget", "grant", "web", "monthly", wrong]).status == 64, "\(wrong)")
            }
        }
    }

    @Test("delete removes what is named and what files define")
    func delete() async throws {
        try await withServer { service, path, _ in
            let documents = """
                apiVersion: egret.dev/v1
                kind: EgressPolicy
                metadata: { name: web }
                spec: { egress: [{ action: allow, to: [{ group: office }] }] }
                ---
                apiVersion: egret.dev/v1
                kind: DestinationGroup
                metadata: { name: office }
                spec: { cidrs: [203.0.113.0/24] }
                ---
                apiVersion: networking.k8s.io/v1
                kind: NetworkPolicy
                metadata: { name: db, namespace: shop }
                spec: { podSelector: {} }
                """
            let output = try await egret(
                path, ["delete", "EgressPolicy/old", "-f", "-", "--message", "done"], input: documents)
            #expect(output.status == 0, "\(output.standardError)")
            #expect(
                service.calls.first?.request
                    == ApplyRequest(
                        delete: [
                            "EgressPolicy/old", "EgressPolicy/web", "NetworkPolicy/shop/db", "DestinationGroup/office",
                        ], message: "done"))
            #expect(try await egret(path, ["delete", "web"]).standardError.contains("'web' has no kind"))
            #expect(try await egret(path, ["delete"]).status == 64)
            let alone = try await egret(path, ["delete", "NetworkPolicy"])
            #expect(alone.standardError.contains("write NetworkPolicy/<name>"))
            #expect(try await egret(path, ["delete", "policy", "web"]).standardError.contains("EgressPolicy/<name>"))
            #expect(service.calls.count == 1)
            #expect(try await egret(path, ["delete", "networkpolicy", "shop/db1", "Node/n1", "shop/db2"]).status == 0)
            #expect(
                service.calls.last?.request?.delete
                    == ["NetworkPolicy/shop/db1", "Node/n1", "NetworkPolicy/shop/db2"])
        }
    }

    @Test("limits are set for the endpoint that the end of a name means, and taken away also where it is gone")
    func limits() async throws {
        try await withServer { service, path, _ in
            #expect(try await egret(path, ["limit", "web", "--rate", "3Mbit"]).status == 0)
            let file = try #require(service.calls.last?.request?.files.first)
            #expect(file.name == "egret limit default/web")
            #expect(file.text.contains("limit.default.web"))
            for (name, policy) in [
                ("web", "limit.default.web"), ("default/web", "limit.default.web"), ("gone", "limit.default.gone"),
                ("shop/gone", "limit.shop.gone"),
            ] {
                #expect(try await egret(path, ["limit", name, "--clear"]).status == 0)
                #expect(service.calls.last?.request?.delete == ["EgressPolicy/\(policy)"])
            }
            let absent = try await egret(path, ["limit", "nobody", "--rate", "3Mbit"])
            #expect(
                absent.standardError == "egret: there is no endpoint nobody\n       egret get endpoints lists them\n")
        }
    }

    @Test("confirm, rollback and history speak of revisions")
    func revisions() async throws {
        try await withServer { service, path, _ in
            #expect(try await egret(path, ["confirm"]).standardOutput == "revision 7 stays in force\n")
            let rollback = try await egret(path, ["rollback", "--to", "6"])
            #expect(rollback.standardOutput == "nothing changes: revision 8 is in force\n")
            #expect(service.calls.last?.numbers == [6])
            let history = try await egret(path, ["history", "-o", "wide"])
            #expect(
                history.standardOutput == """
                    REVISION  STATE                                    TIME                  OBJECTS  AUTHOR                   MESSAGE          REASON
                           7  unconfirmed, until 2030-03-17T17:47:40Z  2030-03-17T17:46:40Z        3  uid 0, pid 4711 (egret)  open the office
                           6  failed                                   2027-01-15T08:00:00Z        1  uid 0, pid 4710 (egret)                   no memory

                    """)
        }
    }

    @Test("diff prints the objects and the texts, and nothing in them moves the cursor")
    func diff() async throws {
        try await withServer { service, path, _ in
            let output = try await egret(path, ["diff", "6", "7"])
            #expect(
                output.standardOutput
                    == "EgressPolicy/web changed\n\n--- 6/web.yaml\n+++ 7/web.yaml\n@@ -1 +1 @@\n-old\n+\tnew \\u{1b}[31m\n"
            )
            #expect(service.calls.last?.numbers == [6, 7])
        }
    }

    @Test("get shows policies and groups with what keeps them from being enforced")
    func policies() async throws {
        try await withServer { _, path, _ in
            #expect(
                try await egret(path, ["get", "policies", "-o", "wide"]).standardOutput == """
                    POLICY                    TIER      MODE     ENDPOINTS  STATE                                   SOURCE
                    EgressPolicy/web          workload  enforce          2  Enforced                                /etc/web.yaml:3
                    NetworkPolicy/default/db  workload  audit            0  not Enforced: the kernel has no memory  /etc/db.yaml:1

                    """)
            #expect(
                try await egret(path, ["get", "group"]).standardOutput == """
                    GROUP                    STATE     SOURCE
                    DestinationGroup/office  Accepted  /etc/web.yaml:20

                    """)
            let one = try await egret(path, ["get", "policies", "web", "-o", "json"])
            let found = try JSONDecoder().decode([PolicyInfo].self, from: Data(one.standardOutput.utf8))
            #expect(found == [ScriptedService.policies[0]])
            let none = try await egret(path, ["get", "policies", "EgressPolicy/wev"])
            #expect(none.status == 1)
            #expect(none.standardError.contains("there is no EgressPolicy/wev among the policies"))
            #expect(none.standardError.contains("did you mean EgressPolicy/web?"))
            let nothing = try await egret(path, ["get", "policy", "zzzzzz"])
            #expect(nothing.standardError.hasSuffix("among the policies\n       egret get policies lists them\n"))
        }
    }

    @Test("get shows endpoints and the agent")
    func endpoints() async throws {
        try await withServer { _, path, _ in
            #expect(
                try await egret(path, ["get", "endpoints"]).standardOutput == """
                    ENDPOINT     NETWORK  ADDRESSES            GENERATIONS  STATE
                    default/web  br0      10.9.0.2, fd00:9::2  12, 13       Enforced
                    default/db   br0      -                    -            -

                    """)
            #expect(
                try await egret(path, ["get", "endpoints", "web", "-o", "wide"]).standardOutput == """
                    ENDPOINT     NETWORK  ADDRESSES            GENERATIONS  STATE     NAMESPACE  LABELS               EGRESS  INGRESS  ROUTES  LIMITS  NAMES  REFUSED
                    default/web  br0      10.9.0.2, fd00:9::2  12, 13       Enforced  ns0        app=web, tier=front  web     -        -       -       -      -

                    """)
            #expect(
                try await egret(path, ["get", "status"]).standardOutput == """
                    process    4711
                    revision   7
                    policies   2
                    endpoints  2
                    repairs    1
                    held       3 connections
                    problem    none

                    """)
            let yaml = try await egret(path, ["get", "status", "-o", "yaml"]).standardOutput
            #expect(
                yaml == """
                    endpoints: 2
                    heldConnections: 3
                    networkNamespace: 1
                    policies: 2
                    process: 4711
                    repairs: 1
                    revision: 7

                    """)
            #expect(try await egret(path, ["get", "pods"]).status == 64)
        }
    }

    @Test(
        "times to confirm are whole seconds, minutes or hours, a day at most",
        arguments: [
            ("90", 90), ("60s", 60), ("5m", 300), ("24h", 86400), ("0s", nil), ("25h", nil), ("-1", nil), ("s", nil),
            ("1.5m", nil), ("99999999999999999999h", nil), ("9999999999999999h", nil),
        ] as [(String, Int?)])
    func times(_ text: String, _ seconds: Int?) async throws {
        try await withServer { service, path, _ in
            let output = try await egret(path, ["apply", "-f", "-", "--confirm=\(text)"], input: Self.web)
            #expect(output.status == (seconds == nil ? 64 : 0), "\(output.standardError)")
            #expect(service.calls.first?.request?.confirmWithin == seconds)
        }
    }

    @Test(
        "what becomes of containers that no policy holds is report or kill, and kill is for an engine that is followed",
        arguments: [
            (["--host-network", "kill"], "--host-network kill goes with --runtime"),
            (["--privileged", "kill", "--other-links", "kill"], "--other-links kill goes with --runtime"),
            (["--runtime", "docker", "--privileged", "stop"], "--privileged"),
            (["--runtime", "docker", "--privileged", "kill", "--except", "monitor"], "monitor is no exception"),
            (["--runtime", "docker", "--privileged", "kill", "--except", "image:"], "image: is no exception"),
            (
                ["--runtime", "docker", "--privileged", "kill", "--except", "podman/monitor"],
                "--except podman/monitor goes with --runtime podman"
            ),
            (["--runtime", "docker", "--except", "docker/monitor"], "--except docker/monitor goes with kill"),
            (
                ["--runtime", "docker", "--privileged", "kill", "--except", "host-network=docker/monitor"],
                "--except host-network=docker/monitor goes with --host-network kill"
            ),
            (
                ["--runtime", "docker", "--privileged", "kill", "--except", "privilege=docker/monitor"],
                "privilege=docker/monitor is no exception"
            ),
        ])
    func actions(_ options: [String], _ mistake: String) async throws {
        let output = try await egret("/nowhere", ["agent"] + options)
        #expect(output.status == 64)
        #expect(output.standardError.contains(mistake))
    }
}
