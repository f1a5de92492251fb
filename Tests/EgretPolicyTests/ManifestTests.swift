// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDocuments
import EgretPolicy
import Testing

@Suite("Manifests of workloads")
struct ManifestTests {
    private func read(_ text: String) -> PolicyReader.Result {
        let result = PolicyFiles.read([("m.yaml", Array(text.utf8))], scope: .manifests)
        #expect(result.diagnostics.map(DiagnosticFormatter.format) == [])
        return result
    }

    /// The text of an object that makes pods.
    private func maker(_ version: String, _ kind: String, _ name: String, _ owner: String = "") -> String {
        let spec =
            kind == "CronJob"
            ? "{ jobTemplate: { spec: { template: { metadata: { labels: { of: \(name) } }, spec: {} } } } }"
            : "{ template: { metadata: { labels: { of: \(name) } }, spec: {} } }"
        return """
            ---
            apiVersion: \(version)
            kind: \(kind)
            metadata: { name: \(name), namespace: n, labels: { not: this }\(owner) }
            spec: \(spec)

            """
    }

    private func pod(_ name: String, _ owner: String, _ more: String = "") -> String {
        """
        ---
        apiVersion: v1
        kind: Pod
        metadata: { name: \(name), namespace: n, labels: { pod-template-hash: abc12 }\(owner) }
        spec: {}
        \(more)

        """
    }

    private func owned(_ kind: String, _ name: String) -> String {
        ", ownerReferences: [{ apiVersion: apps/v1, kind: \(kind), name: \(name), uid: x, controller: true }]"
    }

    @Test(
        "everything that makes pods is one workload with its template's labels",
        arguments: [
            ("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"), ("apps/v1", "DaemonSet"), ("apps/v1", "ReplicaSet"),
            ("v1", "ReplicationController"), ("batch/v1", "Job"), ("batch/v1", "CronJob"),
        ])
    func templates(_ version: String, _ kind: String) throws {
        let workload = try #require(read(maker(version, kind, "w")).inventory.workloads.first)
        #expect(workload.id == Workload.ID(namespace: "n", name: "w", kind: kind))
        #expect(workload.labels == ["of": "w"])
        #expect(workload.addresses.isEmpty && !workload.usesHostNetwork)
    }

    @Test("a pod has its addresses, its named ports of all containers, and its network")
    func pods() throws {
        let result = read(
            """
            apiVersion: v1
            kind: Pod
            metadata: { name: p, labels: { app: web } }
            spec:
              hostNetwork: true
              initContainers:
              - { name: sidecar, restartPolicy: Always, ports: [{ name: admin, containerPort: 9 }, { name: web, containerPort: 7 }] }
              containers:
              - { name: a, ports: [{ name: web, containerPort: 80 }, { containerPort: 81 }] }
              - { name: b, ports: [{ name: dns, containerPort: 53, protocol: UDP }, { name: dns, containerPort: 54 }] }
            status: { podIP: 10.0.0.7, podIPs: [{ ip: 10.0.0.7 }, { ip: "fd00::7" }], hostIP: 192.0.2.1 }
            """)
        let workload = try #require(result.inventory.workloads.first)
        #expect(workload.id == Workload.ID(name: "p"))
        #expect(workload.addresses.map(\.description) == ["10.0.0.7", "fd00::7"])
        #expect(
            workload.namedPorts == [
                .init("web", .tcp, 80), .init("dns", .udp, 53), .init("dns", .tcp, 54), .init("admin", .tcp, 9),
            ])
        #expect(workload.usesHostNetwork)
        #expect(workload.location?.line == 1)
    }

    @Test("a name that several containers give has all their numbers, and an init container's where no other has it")
    func sharedNames() throws {
        let result = read(
            """
            apiVersion: v1
            kind: Pod
            metadata: { name: p }
            spec:
              initContainers:
              - { name: i, ports: [{ name: d, containerPort: 55 }, { name: e, containerPort: 56 }] }
              - { name: j, ports: [{ name: e, containerPort: 57 }] }
              containers:
              - { name: a, ports: [{ name: d, containerPort: 53 }, { name: d, containerPort: 53, protocol: UDP }] }
              - { name: b, ports: [{ name: d, containerPort: 54 }, { name: d, containerPort: 53 }] }
            """)
        #expect(
            result.inventory.workloads.first?.namedPorts == [
                .init("d", .tcp, 53), .init("d", .udp, 53), .init("d", .tcp, 54), .init("e", .tcp, 56),
                .init("e", .tcp, 57),
            ])
    }

    @Test(
        "podIP counts where podIPs has none, and an empty text is no address",
        arguments: [
            ("{ podIP: 10.0.0.7, podIPs: [] }", ["10.0.0.7"]), ("{ podIP: '' }", []), ("{ podIP: '', podIPs: [] }", []),
            ("{ podIP: 10.0.0.7, podIPs: null }", ["10.0.0.7"]),
            ("{ podIP: 10.0.0.7, podIPs: [{ ip: '' }] }", ["10.0.0.7"]),
            ("{ podIP: 10.0.0.7, podIPs: [{ ip: 10.0.0.7 }, { ip: \"fd00::7\" }] }", ["10.0.0.7", "fd00::7"]),
        ] as [(String, [String])])
    func addresses(_ status: String, _ addresses: [String]) {
        let pod = "{ apiVersion: v1, kind: Pod, metadata: { name: p }, spec: {}, status: \(status) }"
        #expect(read(pod).inventory.workloads.first?.addresses.map(\.description) == addresses)
    }

    @Test("a pod stands for what made it, by every link that there is")
    func owners() {
        func names(_ text: String) -> [String] {
            read(text).inventory.workloads.map { "\($0.id.kind)/\($0.id.name)" }.sorted()
        }
        let deployment = maker("apps/v1", "Deployment", "web")
        let set = maker("apps/v1", "ReplicaSet", "web-abc12", owned("Deployment", "web"))
        #expect(names(deployment + set) == ["Deployment/web"])
        #expect(names(set) == ["ReplicaSet/web-abc12"])
        #expect(names(deployment + set + pod("p", owned("ReplicaSet", "web-abc12"))) == ["Pod/p"])
        #expect(names(deployment + pod("p", owned("ReplicaSet", "web-abc12"))) == ["Pod/p"])
        #expect(names(deployment + pod("p", owned("ReplicaSet", "web-other"))) == ["Deployment/web", "Pod/p"])
        #expect(names(deployment + pod("p", "")) == ["Deployment/web", "Pod/p"])
        #expect(names(pod("p", owned("ReplicaSet", "gone-abc12"))) == ["Pod/p"])
        let cron = maker("batch/v1", "CronJob", "nightly")
        #expect(names(cron + pod("p", owned("Job", "nightly-29000"))) == ["Pod/p"])
        #expect(
            names(cron + maker("batch/v1", "Job", "nightly-29000", owned("CronJob", "nightly"))) == ["CronJob/nightly"])
        #expect(names(cron + pod("p", owned("Job", "nightly-by-hand"))) == ["CronJob/nightly", "Pod/p"])
        // Two that name each other do not hang the reader.
        let loop =
            maker("apps/v1", "ReplicaSet", "a", owned("ReplicaSet", "b"))
            + maker("apps/v1", "ReplicaSet", "b", owned("ReplicaSet", "a"))
        #expect(names(loop).count <= 2)
    }

    @Test("objects whose names a cluster makes up are workloads each")
    func generatedNames() {
        let job = """
            { apiVersion: batch/v1, kind: Job, metadata: { generateName: j- }, spec: { template: { spec: {} } } }
            """
        let result = read([job, job, job].joined(separator: "\n---\n"))
        #expect(result.diagnostics == [])
        #expect(result.inventory.workloads.map(\.id.name) == ["j-", "j-2", "j-3"])
    }

    @Test("a pod that has ended is no workload, and what made it is again")
    func ended() {
        let deployment = maker("batch/v1", "Job", "once")
        let text = deployment + pod("p", owned("Job", "once"), "status: { phase: Succeeded, podIP: 10.0.0.7 }")
        #expect(read(text).inventory.workloads.map(\.id.kind) == ["Job"])
    }

    @Test("namespaces have their labels and their name's, and nodes their addresses")
    func places() {
        let inventory = read(
            """
            { apiVersion: v1, kind: Namespace, metadata: { name: n, labels: { team: red } } }
            ---
            apiVersion: v1
            kind: Node
            metadata: { name: one, labels: { kubernetes.io/os: linux } }
            status: { addresses: [{ type: InternalIP, address: 192.0.2.1 }, { type: Hostname, address: one }, { type: ExternalIP, address: "2001:db8::1" }] }
            """
        ).inventory
        #expect(inventory.namespaces == ["n": ["team": "red", "kubernetes.io/metadata.name": "n"]])
        #expect(inventory.nodes.first?.addresses.map(\.description) == ["192.0.2.1", "2001:db8::1"])
    }

    @Test("a namespace that several files begin with is one, if all give it the same labels")
    func repeatedNamespaces() {
        func mistakes(_ labels: String...) -> Int {
            let texts = labels.map { "{ apiVersion: v1, kind: Namespace, metadata: { name: n\($0) } }" }
            let files = texts.enumerated().map { (name: "f\($0)", bytes: Array($1.utf8)) }
            return PolicyFiles.read(files, scope: .manifests).diagnostics.count
        }
        #expect(mistakes("", "", ", labels: {}") == 0)
        #expect(mistakes(", labels: { a: b, c: d }", ", labels: { c: d, a: b }") == 0)
        #expect(mistakes(", labels: { a: b }", "") == 1)
        #expect(mistakes("", ", labels: { a: b }") == 1)
    }

    @Test("documents that are passed over may be written in what is not read, and lose no other document")
    func passedOver() {
        let text = """
            apiVersion: v1
            kind: ConfigMap
            data: { 9000: a/b:80, 9001: c/d:81 }
            ---\r
            apiVersion: v1\r
            kind: Secret\r
            data: !!map {}\r
            ---
            { apiVersion: v1, kind: Pod, metadata: { name: p }, spec: {} }
            """
        let result = PolicyFiles.read([("m.yaml", Array(text.utf8))], scope: .manifests)
        #expect(result.diagnostics.map(\.severity) == [.warning, .warning])
        #expect(result.diagnostics.map { $0.location?.line } == [3, 7])
        #expect(result.inventory.workloads.map(\.id.name) == ["p"] && !result.isIncomplete)
        #expect(PolicyFiles.read([("m.yaml", Array(text.utf8))], scope: .own).hasErrors)
    }

    @Test("services lead to ports by number and by name")
    func services() {
        let result = read(
            """
            apiVersion: v1
            kind: Service
            metadata: { name: s, namespace: n }
            spec:
              clusterIPs: [10.96.0.1, "fd00:96::1"]
              selector: { of: w }
              ports: [{ port: 80 }, { name: dns, port: 53, protocol: UDP, targetPort: domain }, { port: 81, targetPort: 8081 }, { port: 82, targetPort: "8082" }]
            ---
            { apiVersion: v1, kind: Service, metadata: { name: t, namespace: n }, spec: { clusterIP: None } }
            """ + "\n" + maker("apps/v1", "Deployment", "w") + maker("apps/v1", "Deployment", "v"))
        let service = result.services[0]
        #expect(
            service.ports == [
                .init(.tcp, 80), .init(name: "dns", .udp, 53, target: .name("domain")),
                .init(.tcp, 81, target: .number(8081)), .init(.tcp, 82, target: .number(8082)),
            ])
        #expect(service.workloads(in: result.inventory).map { result.inventory.workloads[$0].id.name } == ["w"])
        #expect(service.addresses.count == 2 && !service.isHeadless)
        #expect(result.services[1].isHeadless && result.services[1].workloads(in: result.inventory).isEmpty)
    }
}
