// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretAgentClient
import EgretDocuments
import EgretNetworks
import Foundation
import Testing

@testable import EgretCNI

/// The plugin by the CNI specification, with an agent that notes what it is asked.
@Suite("The CNI plugin")
struct CNIPluginTests {
    private final class NotedAgent: CNIAgent {
        var calls: [String] = []
        var requests: [AttachRequest] = []
        var failure: (any Error)?
        var reason: String?

        var present: EndpointInfo?
        var isEmpty = false

        private var endpoint: EndpointInfo {
            present
                ?? EndpointInfo(
                    name: "shop/web", network: "cni0", namespace: "/run/netns/a", addresses: [], labels: [:],
                    egress: [],
                    ingress: [], generations: [], conditions: [Condition(.enforced, reason == nil, reason: reason)])
        }

        private func note(_ call: String) throws {
            calls.append(call)
            if let failure { throw failure }
        }

        func attach(_ request: AttachRequest) throws -> [EndpointInfo] {
            requests.append(request)
            try note("attach")
            return isEmpty ? [] : [endpoint]
        }

        func endpoints(named name: String) throws -> [EndpointInfo] {
            try note("endpoints")
            return [endpoint].filter { $0.name == name || $0.name.hasSuffix("/\(name)") }
        }

        func status() throws -> AgentStatus {
            try note("status")
            return AgentStatus(
                process: 1, networkNamespace: 1, revision: 1, policies: 0, endpoints: 0, repairs: 0, problem: reason)
        }
    }

    private static let configuration = """
        {"cniVersion":"1.0.0","name":"pods","type":"egret-cni","labels":{"app":"web"},"args":{"cni":{"labels":
        [{"key":"tier","value":"front"}]}},"prevResult":{"cniVersion":"1.0.0","interfaces":[{"name":"eth0","mac":"02:00:00:00:00:01",
        "sandbox":"/run/netns/a"}],"ips":[{"address":"10.1.0.2/16","interface":0}],"dns":{},"future":{"x":[1,2.5,true,null]}}}
        """

    private func plugin(
        _ command: String, _ configuration: String = configuration, _ changes: [String: String] = [:]
    ) throws -> CNIPlugin {
        var environment = [
            "CNI_COMMAND": command, "CNI_CONTAINERID": "c0ffee", "CNI_NETNS": "/run/netns/a", "CNI_IFNAME": "eth0",
            "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web",
        ]
        environment.merge(changes) { $1 }
        return try CNIPlugin(environment: { environment[$0] }, input: Array(configuration.utf8))
    }

    private func object(_ bytes: [UInt8]) throws -> DataValue {
        try JSONDecoder().decode(DataValue.self, from: Data(bytes))
    }

    private func code(_ body: () throws -> Void) -> Int? {
        do {
            try body()
            return nil
        } catch {
            return (error as? CNIError)?.code
        }
    }

    @Test("ADD has the agent enforce, and passes on what it was given, all of it")
    func add() throws {
        let agent = NotedAgent()
        let result = try object(try plugin("ADD").run(agent))
        #expect(
            agent.requests == [
                AttachRequest(
                    namespace: "/run/netns/a", group: "shop", name: "web", labels: ["app": "web", "tier": "front"])
            ])
        #expect(try result == object(Array(Self.configuration.utf8))["prevResult"])
    }

    @Test("a container that is no pod is called by its network and its number")
    func container() throws {
        let agent = NotedAgent()
        _ = try plugin("ADD", Self.configuration, ["CNI_ARGS": ""]).run(agent)
        #expect(agent.requests.map(\.group) == ["pods"] && agent.requests.map(\.name) == ["c0ffee"])
    }

    @Test("a container of two networks is one endpoint, with the name that the first gave and the labels of both")
    func secondNetwork() throws {
        let agent = NotedAgent()
        agent.present = EndpointInfo(
            name: "first/c0ffee", network: "cni0", namespace: "/run/netns/a", addresses: [],
            labels: ["tier": "back", "zone": "dmz", "egret.dev/runtime": "attach"], egress: [], ingress: [],
            generations: [], conditions: [Condition(.enforced, true)])
        _ = try plugin("ADD", Self.configuration, ["CNI_ARGS": ""]).run(agent)
        #expect(
            agent.requests == [
                AttachRequest(
                    namespace: "/run/netns/a", group: "first", name: "c0ffee",
                    labels: ["app": "web", "tier": "front", "zone": "dmz"])
            ])
        #expect(try plugin("CHECK", Self.configuration, ["CNI_ARGS": ""]).run(agent) == [])
    }

    @Test("an ADD after which nothing is an endpoint fails")
    func nothing() throws {
        let agent = NotedAgent()
        agent.isEmpty = true
        #expect(code { _ = try plugin("ADD").run(agent) } == 100)
    }

    /// A configuration behind another plugin, with what the runtime asks for one container.
    private static func asking(_ runtime: String) -> String {
        #"{"cniVersion":"1.0.0","name":"pods","prevResult":{"dns":{"domain":"x.test"}},"runtimeConfig":\#(runtime)}"#
    }

    @Test(
        "what only the plugin that makes the interface can do is refused behind it, and not just left undone",
        arguments: [
            (#"{"bandwidth":{"egressRate":8000000}}"#, 2),
            (#"{"io.kubernetes.cri.pod-annotations":{"kubernetes.io/ingress-bandwidth":"1M"}}"#, 2),
            (#"{"portMappings":[{"hostPort":80,"containerPort":80,"protocol":"tcp"}]}"#, 2),
            (#"{"ips":["10.1.0.2/24"]}"#, 2), (#"{"mac":"02:00:00:00:00:77"}"#, 2),
            (#"{"bandwidth":{},"portMappings":[{"hostPort":0,"containerPort":80}],"ips":null}"#, nil),
            (#"{"io.kubernetes.cri.pod-annotations":{"note":"x"}}"#, nil), ("{}", nil),
        ] as [(String, Int?)])
    func behindOthers(_ runtime: String, _ number: Int?) throws {
        let agent = NotedAgent()
        #expect(code { _ = try plugin("ADD", Self.asking(runtime)).run(agent) } == number)
        #expect(agent.requests.isEmpty == (number != nil))
    }

    @Test(
        "name servers that the runtime asks for are told in a result's words",
        arguments: [
            (
                #"{"dns":{"servers":["192.0.2.53"],"searches":["y.test"],"options":["ndots:5"]}}"#,
                #"{"nameservers":["192.0.2.53"],"search":["y.test"],"options":["ndots:5"]}"#
            ),
            (#"{"dns":{"servers":null,"searches":[],"options":null}}"#, #"{"domain":"x.test"}"#),
            ("{}", #"{"domain":"x.test"}"#),
        ])
    func nameServers(_ runtime: String, _ expected: String) throws {
        let result = try object(plugin("ADD", Self.asking(runtime)).run(NotedAgent()))
        #expect(try result["dns"] == object(Array(expected.utf8)))
    }

    @Test("CHECK is about the container's own namespace, not about whoever had its name before")
    func formerNamespace() throws {
        let agent = NotedAgent()
        #expect(try plugin("CHECK").run(agent) == [])
        #expect(code { _ = try plugin("CHECK", Self.configuration, ["CNI_NETNS": "/run/netns/b"]).run(agent) } == 100)
    }

    @Test("an error is in the version of the configuration, if there is such a version")
    func versionOfErrors() {
        for (version, expected) in [("0.4.0", "0.4.0"), ("2.0.0", nil)] {
            let error = #expect(throws: CNIError.self) {
                _ = try plugin("ADD", "{\"cniVersion\":\"\(version)\"}", ["CNI_NETNS": ""])
            }
            #expect(error?.cniVersion == expected)
        }
    }

    @Test("a plugin for addresses reads the former result in the version that it is asked in")
    func versionOfDelegates() throws {
        let configured = #"{"cniVersion":"1.1.0","prevResult":{"cniVersion":"1.1.0","ips":[]},"name":"pods"}"#
        let expected = #"{"cniVersion":"1.0.0","prevResult":{"cniVersion":"1.0.0","ips":[]},"name":"pods"}"#
        let configuration = try object(Array(configured.utf8))
        #expect(try CNIAddressPlugin.configuration(configuration, in: "1.0.0") == object(Array(expected.utf8)))
        #expect(CNIAddressPlugin.configuration(configuration, in: "1.1.0") == configuration)
    }

    @Test("VERSION, STATUS, CHECK, DEL and GC are answered")
    func others() throws {
        let agent = NotedAgent()
        let version = try object(try plugin("VERSION", "", ["CNI_CONTAINERID": ""]).run(agent))
        #expect(version["cniVersion"] == .string("1.1.0"))
        #expect(try object(plugin("VERSION").run(agent))["cniVersion"] == .string("1.0.0"))
        #expect(
            version["supportedVersions"] == .array(["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"].map { .string($0) }))
        let latest = Self.configuration.replacing("1.0.0", with: "1.1.0")
        for command in ["STATUS", "CHECK", "DEL", "GC"] { #expect(try plugin(command, latest).run(agent) == []) }
        #expect(agent.calls == ["status", "endpoints"])
        // What is gone needs no agent, and no namespace.
        agent.failure = AgentClientError("the agent does not run")
        #expect(try plugin("DEL", Self.configuration, ["CNI_NETNS": ""]).run(agent) == [])
        #expect(code { _ = try plugin("STATUS", latest).run(agent) } == 50)
        #expect(code { _ = try plugin("ADD").run(agent) } == 11)
        #expect(code { _ = try plugin("CHECK").run(agent) } == 11)
        agent.failure = APIError("notFound", "there is no such namespace")
        #expect(code { _ = try plugin("ADD").run(agent) } == 100)
        agent.failure = APIError(
            "invalid", "there is a mistake", advice: "correct it", diagnostics: ["job.yaml:1:1: error", "    x"])
        #expect(throws: CNIError(.notEnforced, "there is a mistake", details: "job.yaml:1:1: error\n    x\ncorrect it"))
        {
            try plugin("ADD").run(agent)
        }
        agent.failure = nil
        agent.reason = "the kernel refuses"
        for (command, number) in [("ADD", 100), ("CHECK", 100), ("STATUS", 50)] {
            #expect(code { _ = try plugin(command, latest).run(agent) } == number)
        }
        agent.reason = nil
        #expect(
            code { _ = try plugin("CHECK", Self.configuration, ["CNI_ARGS": "K8S_POD_NAME=other"]).run(agent) } == 100)
    }

    @Test(
        "what goes away may be called as nothing can be that comes",
        arguments: [["CNI_CONTAINERID": "../c0ffee"], ["CNI_IFNAME": "sixteen-letters-"]])
    func names(_ changes: [String: String]) throws {
        let answer = try plugin("DEL", Self.configuration, changes).run(NotedAgent())
        #expect(answer == [])
    }

    @Test(
        "what is wrong has the specification's number",
        arguments: [
            ("", "{}", [:], 4), ("NOTHING", "{}", [:], 4), ("ADD", "", [:], 6), ("ADD", "[]", [:], 6),
            ("ADD", "{\"cniVersion\":\"2.0.0\"}", [:], 1), ("ADD", "{\"cniVersion\":\"0.2.0\"}", [:], 1),
            ("ADD", "{\"cniVersion\":\"1.0.0\"}", ["CNI_NETNS": ""], 4),
            ("ADD", "{\"cniVersion\":\"1.0.0\"}", ["CNI_IFNAME": ""], 4),
            ("DEL", "{\"cniVersion\":\"1.0.0\"}", ["CNI_CONTAINERID": ""], 4),
            ("ADD", "{\"cniVersion\":\"1.0.0\"}", ["CNI_CONTAINERID": "../c0ffee"], 4),
            ("ADD", "{\"cniVersion\":\"1.0.0\"}", ["CNI_CONTAINERID": "-c0ffee"], 4),
            ("ADD", "{\"cniVersion\":\"1.0.0\"}", ["CNI_IFNAME": "sixteen-letters-"], 4),
            ("CHECK", "{\"cniVersion\":\"1.0.0\"}", ["CNI_IFNAME": "eth/0"], 4),
            ("ADD", "{\"cniVersion\":\"1.0.0\"}", ["CNI_IFNAME": "lo"], 4),
            ("ADD", "{\"cniVersion\":\"1.0.0\"}", ["CNI_ARGS": "a;b"], 4),
            ("ADD", "{\"cniVersion\":\"1.0.0\"}", [:], 7),
            ("ADD", #"{"cniVersion":"1.0.0","prevResult":{},"label":{"app":"web"}}"#, [:], 2),
            ("ADD", #"{"cniVersion":"1.0.0","prevResult":{},"labels":{"app":5}}"#, [:], 7),
            ("ADD", #"{"cniVersion":"1.0.0","prevResult":{},"labels":["app"]}"#, [:], 7),
            ("ADD", #"{"cniVersion":"1.0.0","prevResult":{},"socket":5}"#, [:], 7),
            ("GC", "{\"cniVersion\":\"1.0.0\"}", [:], 1), ("STATUS", "{\"cniVersion\":\"0.4.0\"}", [:], 1),
            ("CHECK", "{\"cniVersion\":\"0.3.1\"}", [:], 1),
            ("ADD", #"{"cniVersion":"1.0.0","prevResult":{},"isolated":true}"#, [:], 2),
            ("ADD", #"{"cniVersion":"1.0.0","prevResult":{},"subnets":["10.1.0.0/24"]}"#, [:], 7),
            ("ADD", #"{"cniVersion":"1.0.0","subnets":["10.1.0.0"]}"#, [:], 7),
            ("CHECK", #"{"cniVersion":"1.0.0","subnets":["10.1.0.0/24"]}"#, [:], 7),
            ("GC", #"{"cniVersion":"1.1.0","subnets":["10.1.0.0/24"],"cni.dev/valid-attachments":{}}"#, [:], 7),
            ("ADD", #"{"cniVersion":"1.0.0","prevResult":{},"args":{"cni":{"labels":[{"key":"app"}]}}}"#, [:], 7),
        ] as [(String, String, [String: String], Int)])
    func mistakes(_ command: String, _ configuration: String, _ changes: [String: String], _ number: Int) throws {
        #expect(code { _ = try plugin(command, configuration, changes).run(NotedAgent()) } == number)
    }

    @Test(
        "rates are those of bandwidth, or of the annotations, and the runtimes' word for no burst is none",
        arguments: [
            (
                #"{"bandwidth":{"egressRate":8000000,"egressBurst":80000}}"#,
                [EndpointRate(isEgress: true, bitsPerSecond: 8_000_000, burstBytes: 10_000)]
            ),
            (
                #"{"bandwidth":{"ingressRate":1000000,"ingressBurst":2147483647,"egressRate":0}}"#,
                [EndpointRate(isEgress: false, bitsPerSecond: 1_000_000)]
            ),
            (
                #"{"io.kubernetes.cri.pod-annotations":{"kubernetes.io/egress-bandwidth":"1.5G","kubernetes.io/ingress-bandwidth":"512Ki"}}"#,
                [
                    EndpointRate(isEgress: true, bitsPerSecond: 1_500_000_000),
                    EndpointRate(isEgress: false, bitsPerSecond: 524_288),
                ]
            ),
            (#"{"bandwidth":{}}"#, []), ("{}", []),
        ] as [(String, [EndpointRate])])
    func rates(_ runtime: String, _ expected: [EndpointRate]) throws {
        let request = try CNIRequest(
            environment: ["CNI_COMMAND": "ADD", "CNI_CONTAINERID": "a", "CNI_IFNAME": "eth0", "CNI_NETNS": "/n"].get,
            input: Array(#"{"cniVersion":"1.0.0","runtimeConfig":\#(runtime)}"#.utf8))
        #expect(try CNICapabilities(request).rates() == expected)
    }

    @Test("a call that went on after errors answers with one, which tells of all of them")
    func severalErrors() {
        let first = CNIError(.notConnected, "a keeps its interface eth0: it is busy", details: "remove it")
        let second = CNIError(.inputOutput, "host-local: no")
        #expect(CNIError.joining([]) == nil)
        #expect(CNIError.joining([first]) == first)
        let both = CNIError(
            .notConnected, "a keeps its interface eth0: it is busy, and 1 more",
            details: "a keeps its interface eth0: it is busy; remove it\nhost-local: no")
        #expect(CNIError.joining([first, second]) == both)
    }

    @Test("a plugin for addresses is not to take back that of a container which could not be disconnected")
    func addressesOfRemaining() throws {
        let known = #"{"containerID":"a","ifname":"eth0"}"#
        func configuration(_ valid: String) -> String {
            #"{"cniVersion":"1.1.0","name":"pods","cni.dev/valid-attachments":[\#(valid)]}"#
        }
        let request = try CNIRequest(
            environment: { ["CNI_COMMAND": "GC"][$0] }, input: Array(configuration(known).utf8))
        let items = try #require(request.configuration["cni.dev/valid-attachments"]?.items)
        let remaining = ContainerAttachment(network: "pods", container: "b", interface: "eth1")
        let changed = CNIMainPlugin.asking(request, toKeep: [remaining], besides: items)
        let expected = configuration(known + #",{"containerID":"b","ifname":"eth1"}"#)
        let meant = try JSONDecoder().decode(DataValue.self, from: Data(expected.utf8))
        #expect(changed.configuration == meant)
        let same = CNIMainPlugin.asking(request, toKeep: [], besides: items)
        #expect(same.configuration == request.configuration)
    }
}

extension [String: String] {
    fileprivate func get(_ name: String) -> String? { self[name] }
}
