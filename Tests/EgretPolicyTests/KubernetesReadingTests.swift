// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDocuments
import EgretPolicy
import Testing

@Suite("Reading Kubernetes' policies")
struct KubernetesReadingTests {
    private func read(_ text: String, file: String = "k.yaml") -> PolicyReader.Result {
        PolicyFiles.read([(file, Array(text.utf8))], scope: .manifests)
    }

    private func networkPolicy(_ spec: String) throws -> NetworkPolicy {
        let result = read(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: { name: p }\nspec: \(spec)\n")
        #expect(!result.hasErrors, "\(result.diagnostics.map(DiagnosticFormatter.format))")
        return try #require(result.networkPolicies.first)
    }

    @Test(
        "policyTypes left out means ingress, and egress if there are rules for it",
        arguments: [
            ("{ podSelector: {} }", [.ingress]), ("{ podSelector: {}, egress: [] }", [.ingress]),
            ("{ podSelector: {}, egress: [{}] }", [.ingress, .egress]),
            ("{ podSelector: {}, policyTypes: [] }", [.ingress]),
            ("{ podSelector: {}, policyTypes: [Egress] }", [.egress]),
            ("{ podSelector: {}, policyTypes: [Egress, Ingress] }", [.ingress, .egress]),
            ("{ podSelector: {}, policyTypes: [Ingress], egress: [{}] }", [.ingress]),
            ("{ podSelector: {}, policyTypes: null }", [.ingress]), ("{}", [.ingress]),
            ("{ podSelector: {}, policyTypes: [Ingress, Ingress] }", [.ingress]),
        ] as [(String, Set<TrafficDirection>)])
    func directions(_ spec: String, _ directions: Set<TrafficDirection>) throws {
        #expect(try networkPolicy(spec).directions == directions)
    }

    @Test("the ports of a rule: protocol, number, range and name, each with its default")
    func ports() throws {
        let rule = try #require(
            networkPolicy(
                """
                { podSelector: {}, ingress: [{ ports: [{}, { protocol: UDP }, { port: 80 }, { port: 90, endPort: 90 },
                { port: 100, endPort: 200, protocol: SCTP }, { port: http }, { port: dns, protocol: UDP }] }] }
                """
            ).ingress.first)
        #expect(
            rule.services == [
                .any(.tcp), .any(.udp), .ports(.tcp, PortRange(80)), .ports(.tcp, PortRange(90)),
                .ports(.sctp, try #require(PortRange(100, 200))),
            ])
        #expect(rule.portNames == [PortName("http", .tcp), PortName("dns", .udp)])
    }

    @Test("a selector that is there and empty selects all, and one that is missing is not used")
    func peers() throws {
        let policy = try networkPolicy(
            """
            { podSelector: {}, ingress: [{ from: [{ podSelector: {} }, { namespaceSelector: {} },
            { podSelector: {}, namespaceSelector: {} }, { ipBlock: { cidr: 192.168.242.213/24, except: [192.168.242.7/32] } }] },
            { from: [] }, {}] }
            """)
        let block = AddressBlock(
            try #require(IPPrefix("192.168.242.0/24")), except: [try #require(IPPrefix("192.168.242.7/32"))])
        #expect(
            policy.ingress.first?.peers == [
                .pods(namespaces: nil, pods: .everything), .pods(namespaces: .everything, pods: nil),
                .pods(namespaces: .everything, pods: .everything), .block(block),
            ])
        #expect(policy.ingress.dropFirst().allSatisfy { $0.peers.isEmpty && $0.services.isEmpty })
    }

    @Test("what kubectl prints is read as it is: lists, status, managed fields and all the rest of metadata")
    func kubectl() {
        let result = read(
            """
            apiVersion: v1
            kind: List
            metadata: { resourceVersion: "" }
            items:
            - apiVersion: networking.k8s.io/v1
              kind: NetworkPolicy
              metadata:
                annotations: { note: "x" }
                creationTimestamp: null
                deletionTimestamp: "2026-01-01T00:00:00Z"
                deletionGracePeriodSeconds: 30
                finalizers: [example.org/hold]
                generateName: p-
                generation: 1
                labels: { app: web }
                managedFields: [{ manager: kubectl, operation: Apply, fieldsV1: { "f:spec": {} } }]
                name: p
                namespace: shop
                ownerReferences: [{ apiVersion: v1, kind: X, name: y, uid: z }]
                resourceVersion: "5"
                selfLink: /x
                uid: 00000000-0000-0000-0000-000000000000
              spec: { podSelector: {}, policyTypes: [Ingress] }
              status: {}
            ---
            apiVersion: networking.k8s.io/v1
            kind: NetworkPolicyList
            metadata: {}
            items:
            - metadata: { name: q, namespace: shop }
              spec: { podSelector: {} }
            ---
            { "apiVersion": "policy.networking.k8s.io/v1alpha1", "kind": "AdminNetworkPolicyList", "items": [
              { "metadata": { "name": "a" }, "spec": { "priority": 1, "subject": { "namespaces": {} } } } ] }
            ---
            apiVersion: v1
            kind: ConfigMapList
            items: [{ metadata: { name: c } }]
            ---
            apiVersion: example.org/v1
            kind: Anything
            """)
        #expect(result.diagnostics.map(DiagnosticFormatter.format) == [])
        #expect(result.networkPolicies.map(\.reference) == ["NetworkPolicy/shop/p", "NetworkPolicy/shop/q"])
        #expect(result.clusterPolicies.map(\.reference) == ["AdminNetworkPolicy/a"])
        #expect(result.kinds == ["NetworkPolicy": 2, "AdminNetworkPolicy": 1])
        #expect(result.passedOver == ["ConfigMap": 1, "Anything": 1])
        #expect(result.catalog.networkDefault == .allow)
    }

    @Test("the older kinds of cluster policies say the same as the newer one")
    func dialects() throws {
        let newer = read(
            """
            apiVersion: policy.networking.k8s.io/v1alpha2
            kind: ClusterNetworkPolicy
            metadata: { name: p }
            spec:
              tier: Admin
              priority: 5
              subject: { pods: { podSelector: { matchLabels: { app: web } } } }
              egress:
              - name: out
                action: Accept
                to: [{ namespaces: {} }, { networks: [10.1.2.3/8] }, { nodes: {} }]
                protocols:
                - tcp: { destinationPort: { number: 80 } }
                - udp: { destinationPort: { range: { start: 1, end: 65535 } } }
            """)
        let older = read(
            """
            apiVersion: policy.networking.k8s.io/v1alpha1
            kind: AdminNetworkPolicy
            metadata: { name: p }
            spec:
              priority: 5
              subject: { pods: { namespaceSelector: {}, podSelector: { matchLabels: { app: web } } } }
              egress:
              - name: out
                action: Allow
                to: [{ namespaces: {} }, { networks: [10.1.2.3/8] }, { nodes: {} }]
                ports:
                - portNumber: { port: 80 }
                - portRange: { protocol: UDP, start: 1, end: 65535 }
            """)
        #expect(newer.diagnostics.isEmpty && older.diagnostics.isEmpty, "\(older.diagnostics)")
        var one = try #require(newer.clusterPolicies.first)
        var other = try #require(older.clusterPolicies.first)
        for policy in [one, other] {
            #expect(policy.egress.first?.peers.count == 3)
            #expect(policy.egress.first?.services.count == 2)
        }
        one.kind = other.kind
        one.location = nil
        other.location = nil
        one.egress[0].location = nil
        other.egress[0].location = nil
        #expect(one == other)
    }

    @Test("names in a cluster policy that accepts are kept; in another they make it a denial of everything")
    func domainNames() throws {
        let names = try ["example.org", "*.example.net"].map { try DomainPattern.parse($0) }
        func policy(_ action: String) -> PolicyReader.Result {
            read(
                """
                apiVersion: policy.networking.k8s.io/v1alpha2
                kind: ClusterNetworkPolicy
                metadata: { name: p }
                spec:
                  tier: Admin
                  priority: 5
                  subject: { namespaces: {} }
                  egress: [{ action: \(action), to: [{ domainNames: [example.org, "*.example.net"] }] }]
                """)
        }
        #expect(policy("Accept").diagnostics.isEmpty)
        #expect(policy("Accept").clusterPolicies.first?.egress.first?.peers == [.domainNames(names)])
        for action in ["Deny", "Pass"] {
            let result = policy(action)
            #expect(result.diagnostics.map(\.code) == [DiagnosticCode.unreadablePeer])
            #expect(!result.hasErrors)
            #expect(result.clusterPolicies.first?.egress.first?.peers == [.domainNames(names)])
        }
    }

    @Test("names are for the admin tier: in the baseline a warning says that the rule is not as it was meant")
    func baselineNames() throws {
        for action in ["Accept", "Deny", "Pass"] {
            let result = read(
                """
                apiVersion: policy.networking.k8s.io/v1alpha2
                kind: ClusterNetworkPolicy
                metadata: { name: p }
                spec:
                  tier: Baseline
                  priority: 5
                  subject: { namespaces: {} }
                  egress: [{ action: \(action), to: [{ domainNames: [example.org] }] }]
                """)
            #expect(result.diagnostics.map(\.code) == [DiagnosticCode.unreadablePeer])
            #expect(result.diagnostics.first?.message.contains("Baseline") == true)
            #expect(!result.hasErrors)
        }
    }

    @Test("a field without a value beside one that has one is as if it were not there, in every cluster kind")
    func nullsBesideValues() throws {
        func read(_ kind: String, _ subject: String, _ action: String, _ peer: String, _ ports: String) throws
            -> ClusterPolicy
        {
            let isNewer = kind == "ClusterNetworkPolicy"
            let isBaseline = kind == "BaselineAdminNetworkPolicy"
            let result = self.read(
                """
                apiVersion: policy.networking.k8s.io/\(isNewer ? "v1alpha2" : "v1alpha1")
                kind: \(kind)
                metadata: { name: default }
                spec:
                  \(isNewer ? "tier: Admin" : "{}: {}")
                  \(isBaseline ? "{}: {}" : "priority: 5")
                  subject: \(subject)
                  ingress:
                  - { action: \(action), from: [\(peer)], \(isNewer ? "protocols" : "ports"): [\(ports)] }
                """.split(separator: "\n").filter { !$0.contains("{}: {}") }.joined(separator: "\n"))
            #expect(!result.hasErrors, "\(result.diagnostics.map(DiagnosticFormatter.format))")
            #expect(result.diagnostics.allSatisfy { $0.code == DiagnosticCode.nullField })
            return try #require(result.clusterPolicies.first)
        }
        for (kind, actions) in [
            ("ClusterNetworkPolicy", ["Accept", "Deny", "Pass"]), ("AdminNetworkPolicy", ["Allow", "Deny", "Pass"]),
            ("BaselineAdminNetworkPolicy", ["Allow", "Deny"]),
        ] {
            let isNewer = kind == "ClusterNetworkPolicy"
            let port = isNewer ? "tcp: { destinationPort: { number: 80 } }" : "portNumber: { port: 80 }"
            let other = isNewer ? "udp: null" : "portRange: null"
            for action in actions {
                let plain = try read(
                    kind, "{ namespaces: {} }", action, "{ pods: { podSelector: {} } }", "{ \(port) }")
                let null = try read(
                    kind, "{ namespaces: {}, pods: null }", action, "{ namespaces: null, pods: { podSelector: {} } }",
                    "{ \(port), \(other) }")
                #expect(plain.subject == null.subject && plain.subject == ClusterPolicy.Pods())
                #expect(plain.ingress.map(\.peers) == null.ingress.map(\.peers))
                #expect(null.ingress.map(\.peers) == [[.pods(ClusterPolicy.Pods())]])
                #expect(plain.ingress.map(\.services) == null.ingress.map(\.services))
            }
        }
        // What nobody here knows still closes, be it beside a null or beside a value.
        let policy = """
            apiVersion: policy.networking.k8s.io/v1alpha2
            kind: ClusterNetworkPolicy
            metadata: { name: p }
            spec:
              tier: Admin
              priority: 5
              subject: { namespaces: {} }
              ingress: [{ action: Accept, from: [{ namespaces: null }, { namespaces: {}, planets: [] }] }]
            """
        #expect(self.read(policy).clusterPolicies.first?.ingress.first?.peers == [.unknown, .unknown])
        let block = try networkPolicy(
            "{ podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: 192.0.2.0/24 }, podSelector: null }] }] }")
        let prefix = try #require(IPPrefix("192.0.2.0/24"))
        #expect(block.ingress.first?.peers == [.block(AddressBlock(prefix))])
    }

    @Test("a plain scalar that is a number to Kubernetes is no port's name, and in quotes it is")
    func numbersLikeNames() throws {
        for (text, number) in [("0x50", 80), ("8e1", 80), ("0b11", 3), ("0o17", 15)] {
            func codes(_ written: String) -> [Diagnostic] {
                read(
                    """
                    apiVersion: networking.k8s.io/v1
                    kind: NetworkPolicy
                    metadata: { name: p }
                    spec: { podSelector: {}, ingress: [{ ports: [{ port: \(written) }] }] }
                    """
                ).diagnostics
            }
            #expect(codes(text).map(\.code) == [DiagnosticCode.wrongType], "\(text)")
            #expect(codes(text).first?.suggestion?.contains("write \(number),") == true)
            #expect(codes("\"\(text)\"").isEmpty)
        }
        #expect(try networkPolicy("{ ingress: [{ ports: [{ port: 3com-nsd }] }] }").ingress.first?.portNames.count == 1)
    }

    @Test("a label without a value in matchLabels is the empty one, with a warning")
    func nullLabels() throws {
        let result = read(
            """
            apiVersion: networking.k8s.io/v1
            kind: NetworkPolicy
            metadata: { name: p }
            spec: { podSelector: { matchLabels: { app: } } }
            """)
        #expect(result.diagnostics.map(\.code) == [DiagnosticCode.nullField])
        #expect(result.networkPolicies.first?.podSelector == LabelSelector(matchLabels: ["app": ""]))
    }

    @Test("a range of one port is one in v1alpha1, and names in other scripts are refused")
    func rangesAndScripts() throws {
        let range = read(
            """
            apiVersion: policy.networking.k8s.io/v1alpha1
            kind: AdminNetworkPolicy
            metadata: { name: p }
            spec:
              priority: 5
              subject: { namespaces: {} }
              ingress: [{ action: Deny, from: [{ namespaces: {} }], ports: [{ portRange: { start: 9, end: 9 } }] }]
            """)
        #expect(range.diagnostics.isEmpty)
        #expect(range.clusterPolicies.first?.ingress.first?.services == [.ports(.tcp, PortRange(9))])
        let script = read(
            """
            apiVersion: policy.networking.k8s.io/v1alpha2
            kind: ClusterNetworkPolicy
            metadata: { name: p }
            spec:
              tier: Admin
              priority: 5
              subject: { namespaces: {} }
              egress: [{ action: Accept, to: [{ domainNames: [bücher.example.org] }] }]
            """)
        #expect(script.diagnostics.map(\.code) == [DiagnosticCode.domain])
        #expect(script.diagnostics.first?.suggestion?.contains("xn--bcher-kva.example.org") == true)
    }

    @Test("a run takes no policy of pods")
    func run() {
        let text = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: { name: p }\nspec: {}\n"
        let result = PolicyFiles.read([("k.yaml", Array(text.utf8))])
        #expect(result.diagnostics.map(\.code) == [DiagnosticCode.podPolicy])
    }

    @Test("own and foreign documents stand in one file, and groups of one serve the other")
    func together() {
        let result = read(
            """
            apiVersion: egret.dev/v1
            kind: DestinationGroup
            metadata: { name: mirrors }
            spec: { cidrs: [203.0.113.0/24] }
            ---
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: p }
            spec: { egress: [{ action: allow, to: [{ group: mirrors }] }] }
            ---
            apiVersion: v1
            kind: Pod
            metadata: { name: p }
            spec: {}
            """)
        #expect(result.diagnostics.isEmpty)
        #expect(result.catalog.egressPolicies.count == 1 && result.catalog.groups.count == 1)
        #expect(result.kinds == ["DestinationGroup": 1, "EgressPolicy": 1, "Pod": 1])
        var alone = result
        alone.inventory = Inventory()
        #expect(alone.catalog.networkDefault == .deny)
    }
}
