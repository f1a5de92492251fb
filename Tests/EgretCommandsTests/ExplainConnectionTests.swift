// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Foundation
import Testing

/// `egret explain --from`, over the manifests of `examples/kubernetes` and some of its own.
@Suite("egret explain --from")
struct ExplainConnectionTests {
    private static let examples =
        String(#filePath.prefix(upTo: #filePath.lastIndex(of: "/") ?? #filePath.endIndex))
        + "/../../examples/kubernetes"

    private func explain(_ arguments: String..., input: String = "") throws -> ProgramOutput {
        try runProgram([ValidateTests.egret, "explain"] + arguments, standardInput: input)
    }

    /// The first lines of each answer.
    private func titles(_ output: ProgramOutput) -> [String] {
        output.standardOutput.split(separator: "\n").filter { !$0.hasPrefix(" ") }.map(String.init)
    }

    @Test("both ends say which rule decides, where it is, and what would be without it")
    func bothEnds() throws {
        let output = try explain("-f", Self.examples, "--from", "shop/web", "--to", "shop/db", "--port", "5432/tcp")
        let place = Self.examples + "/policies/network-policies.yaml"
        #expect(
            output.standardOutput == """
                shop/web -> shop/db 5432/tcp: allow
                  egress of shop/web: allowed by rule 1 of the policy NetworkPolicy/shop/web-to-db (workload tier), \
                \(place):17:5
                    without that: denied by the default of the policy NetworkPolicy/shop/closed, \(place):2:1: no rule \
                matched
                  ingress of shop/db: allowed by rule 1 of the policy NetworkPolicy/shop/db-from-web (workload tier), \
                \(place):26:5
                    without that: denied by the default of the policy NetworkPolicy/shop/closed, \(place):2:1: no rule \
                matched

                """)
        #expect(output.standardError == "" && output.status == 0)
    }

    @Test("ports by name, of the target and of a service, and headless services")
    func ports() throws {
        let named = try explain(
            "-f", Self.examples, "--from", "web", "--to", "db", "--to", "svc/shop/db", "--port", "postgres", "--port",
            "sql")
        #expect(named.status == 2)
        #expect(
            named.standardError.contains(
                "\"sql\" is no port of the target; write for example 443/tcp, or one of postgres"))
        #expect(named.standardError.contains("svc/shop/db has no port postgres; its ports: 80/tcp (sql)"))
        let service = try explain(
            "-f", Self.examples, "--from", "web", "--to", "svc/shop/db", "--port", "sql", "--port", "80/tcp")
        #expect(
            titles(service) == Array(repeating: "shop/web -> svc/shop/db 80/tcp -> shop/db 5432/tcp: allow", count: 2))
        let headless = """
            { apiVersion: v1, kind: Service, metadata: { name: s }, spec: { clusterIP: None, selector: { a: b } } }
            ---
            { apiVersion: v1, kind: Pod, metadata: { name: p, labels: { a: b } }, spec: {} }
            ---
            { apiVersion: v1, kind: Pod, metadata: { name: q, labels: { a: b } }, spec: {} }
            """
        let both = try explain("-f", "-", "--from", "p", "--to", "service/s", "--port", "9", input: headless)
        #expect(
            titles(both) == [
                "default/p -> svc/default/s 9 -> default/p 9/tcp: allow",
                "default/p -> svc/default/s 9 -> default/q 9/tcp: allow",
            ])
    }

    @Test("the address of a service is the service: no block opens it, its pods decide")
    func serviceAddress() throws {
        let files = """
            { apiVersion: v1, kind: Service, metadata: { name: s }, spec: { clusterIP: 10.96.0.10, selector: { a: b }, \
            ports: [{ port: 80, targetPort: 8080 }] } }
            ---
            { apiVersion: v1, kind: Pod, metadata: { name: p, labels: { a: c } }, spec: {} }
            ---
            { apiVersion: v1, kind: Pod, metadata: { name: q, labels: { a: b } }, spec: {} }
            ---
            { apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: { name: n }, spec: { policyTypes: [Egress], \
            podSelector: {}, egress: [{ to: [{ ipBlock: { cidr: 10.96.0.0/12 } }] }] } }
            """
        let output = try explain("-f", "-", "--from", "p", "--to", "10.96.0.10", "--port", "80", input: files)
        #expect(titles(output) == ["default/p -> svc/default/s 80/tcp -> default/q 8080/tcp: deny"])
        let outside = try explain("-f", "-", "--from", "p", "--to", "10.96.0.11", "--port", "80", input: files)
        #expect(titles(outside) == ["default/p -> 10.96.0.11 80/tcp: allow"])
    }

    @Test("a service that leads back to the pod itself is subject to cluster policies, unlike the pod's own address")
    func hairpin() throws {
        let files = """
            { apiVersion: v1, kind: Pod, metadata: { name: a, namespace: x, labels: { pod: a } }, spec: {}, \
            status: { podIPs: [{ ip: 10.0.0.1 }] } }
            ---
            { apiVersion: v1, kind: Service, metadata: { name: s, namespace: x }, spec: { selector: { pod: a }, \
            clusterIP: 10.96.0.1, ports: [{ port: 80 }] } }
            ---
            { apiVersion: v1, kind: Service, metadata: { name: headless, namespace: x }, spec: { selector: { pod: a }, \
            clusterIP: None, ports: [{ port: 80 }] } }
            ---
            apiVersion: policy.networking.k8s.io/v1alpha2
            kind: ClusterNetworkPolicy
            metadata: { name: p }
            spec:
              tier: Admin
              priority: 1
              subject: { namespaces: {} }
              egress: [{ action: Deny, to: [{ namespaces: {} }] }]
            """
        func ask(_ target: String) throws -> ProgramOutput {
            try explain("-f", "-", "--from", "x/a", "--to", target, "--port", "80", input: files)
        }
        for target in ["10.96.0.1", "svc/x/s"] {
            let output = try ask(target)
            #expect(titles(output) == ["x/a -> svc/x/s 80/tcp -> x/a 80/tcp: deny"])
            #expect(output.standardOutput.contains("the service leads back to the workload itself"))
        }
        for target in ["x/a", "10.0.0.1", "svc/x/headless"] {
            #expect(try ask(target).standardOutput.contains("nobody decides about it"))
        }
    }

    @Test("a workload's connection to a name is decided by its egress")
    func domainNames() throws {
        let files = """
            { apiVersion: v1, kind: Pod, metadata: { name: a, namespace: x }, spec: {}, \
            status: { podIPs: [{ ip: 10.0.0.1 }] } }
            ---
            apiVersion: policy.networking.k8s.io/v1alpha2
            kind: ClusterNetworkPolicy
            metadata: { name: p }
            spec:
              tier: Admin
              priority: 1
              subject: { namespaces: {} }
              egress:
              - action: Accept
                to: [{ domainNames: ["*.example.org"] }]
                protocols: [{ tcp: { destinationPort: { number: 443 } } }]
              - { action: Deny, to: [{ networks: [0.0.0.0/0, "::/0"] }] }
            """
        let open = try explain("-f", "-", "--from", "x/a", "--to", "www.example.org:443", "--exit-code", input: files)
        #expect(titles(open) == ["x/a -> www.example.org 443/tcp: allow"], "\(open.standardError)")
        #expect(open.status == 0 && open.standardOutput.contains("the connection must say the name in"))
        let closed = try explain(
            "-f", "-", "--from", "x/a", "--to", "www.example.com", "--port", "443", "--exit-code", input: files)
        #expect(titles(closed) == ["x/a -> www.example.com 443/tcp: deny"])
        #expect(closed.status == 1)
        let source = try explain("-f", "-", "--from", "example.org", "--to", "x/a", "--port", "443", input: files)
        #expect(source.status == 2 && source.standardError.contains("a domain name begins no connections"))
    }

    @Test("a name that the files give to workloads or a service is no name of the world's")
    func ownNames() throws {
        let files = """
            { apiVersion: v1, kind: Pod, metadata: { name: a, namespace: x }, spec: {}, \
            status: { podIPs: [{ ip: 10.0.0.1 }] } }
            ---
            { apiVersion: v1, kind: Pod, metadata: { name: proxy-one.ec2.internal, namespace: y, labels: { p: y } }, \
            spec: {}, status: { podIPs: [{ ip: 10.0.0.2 }] } }
            ---
            { apiVersion: v1, kind: Pod, metadata: { name: proxy-one.ec2.internal, namespace: z }, spec: {}, \
            status: { podIPs: [{ ip: 10.0.0.3 }] } }
            ---
            { apiVersion: v1, kind: Service, metadata: { name: s, namespace: y }, spec: { selector: { p: y }, \
            clusterIP: 10.96.0.1, ports: [{ port: 80 }] } }
            ---
            { apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: { name: in, namespace: y }, \
            spec: { podSelector: {}, policyTypes: [Ingress] } }
            """
        func ask(_ arguments: String...) throws -> ProgramOutput {
            try runProgram(
                [ValidateTests.egret, "explain", "-f", "-", "--from", "x/a", "--exit-code"] + arguments,
                standardInput: files)
        }
        let two = try ask("--to", "proxy-one.ec2.internal", "--port", "80")
        #expect(two.status == 2 && two.standardError.contains("names 2 workloads"), "\(two.standardOutput)")
        for name in ["proxy-one.ec2.internal", "s.y.svc.cluster.local"] {
            let port = try ask("--to", "\(name):80")
            #expect(port.status == 2 && port.standardError.contains("write --to \(name) --port 80"))
        }
        for name in ["s.y.svc", "s.y.svc.cluster.local"] {
            let service = try ask("--to", name, "--port", "80")
            #expect(titles(service) == ["x/a -> svc/y/s 80/tcp -> y/proxy-one.ec2.internal 80/tcp: deny"])
            #expect(service.status == 1)
        }
        let other = try ask("--to", "s.other.svc.cluster.local:80")
        #expect(titles(other) == ["x/a -> s.other.svc.cluster.local 80/tcp: allow"])
    }

    @Test("of what runs on a machine that no file names, rules about nodes may be, and the answer says so")
    func unknownMachine() throws {
        let files = """
            { apiVersion: v1, kind: Pod, metadata: { name: a, namespace: x }, spec: {}, \
            status: { podIPs: [{ ip: 10.0.0.1 }] } }
            ---
            { apiVersion: apps/v1, kind: DaemonSet, metadata: { name: d, namespace: x }, spec: { template: { \
            metadata: { labels: { a: d } }, spec: { hostNetwork: true } } } }
            ---
            apiVersion: policy.networking.k8s.io/v1alpha2
            kind: ClusterNetworkPolicy
            metadata: { name: p }
            spec:
              tier: Admin
              priority: 1
              subject: { namespaces: {} }
              egress: [{ action: Deny, to: [{ nodes: {} }] }]
            """
        let output = try explain("-f", "-", "--from", "x/a", "--to", "x/d", "--port", "80", input: files)
        #expect(
            output.standardOutput.contains(
                "no file tells the address of x/d: a rule about a block or nodes is taken not to be about it"),
            "\(output.standardOutput) \(output.standardError)")
    }

    @Test("what manifests alone tell of is asked about over both families")
    func placeholders() throws {
        let files = """
            { apiVersion: v1, kind: Pod, metadata: { name: p, labels: { a: c } }, spec: {} }
            ---
            { apiVersion: v1, kind: Pod, metadata: { name: q, labels: { a: b } }, spec: {} }
            ---
            { apiVersion: v1, kind: Pod, metadata: { name: r, labels: { a: b } }, spec: {}, \
            status: { podIPs: [{ ip: fd00::1 }] } }
            ---
            { apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: { name: n }, spec: { policyTypes: [Egress], \
            podSelector: { matchLabels: { a: c } }, egress: [{ to: [{ ipBlock: { cidr: "::/0" } }] }] } }
            """
        let output = try explain(
            "-f", "-", "--from", "p", "--to", "q", "--to", "r", "--port", "80", input: files)
        #expect(
            titles(output) == [
                "default/p -> default/q 80/tcp (IPv4): deny", "default/p -> default/q 80/tcp (IPv6): allow",
                "default/p -> default/r 80/tcp: allow",
            ])
    }

    @Test("the outside, families that differ, and what nobody decides")
    func outside() throws {
        let policy = """
            { apiVersion: v1, kind: Pod, metadata: { name: p }, spec: {}, status: { podIPs: [{ ip: 10.0.0.1 }, { ip: fd00::1 }] } }
            ---
            { apiVersion: v1, kind: Pod, metadata: { name: q }, spec: {}, status: { podIPs: [{ ip: 10.0.0.2 }, { ip: fd00::2 }] } }
            ---
            { apiVersion: v1, kind: Pod, metadata: { name: h }, spec: { hostNetwork: true }, status: { podIP: 10.0.0.9 } }
            ---
            apiVersion: policy.networking.k8s.io/v1alpha2
            kind: ClusterNetworkPolicy
            metadata: { name: c }
            spec:
              tier: Admin
              priority: 1
              subject: { namespaces: {} }
              egress: [{ action: Deny, to: [{ networks: [10.0.0.0/8] }] }]
            """
        func ask(_ arguments: String...) throws -> ProgramOutput {
            try runProgram(
                [ValidateTests.egret, "explain", "-f", "-", "--port", "80"] + arguments, standardInput: policy)
        }
        #expect(
            titles(try ask("--from", "p", "--to", "q")) == [
                "default/p -> default/q 80/tcp (IPv4): deny", "default/p -> default/q 80/tcp (IPv6): allow",
            ])
        #expect(titles(try ask("--from", "p", "--to", "fd00::2")) == ["default/p -> default/q 80/tcp (IPv6): allow"])
        for (from, to, verdict) in [
            ("10.0.0.1", "10.0.0.2", "(IPv4): deny"), ("fd00::1", "fd00::2", "(IPv6): allow"),
            ("10.0.0.1", "q", "(IPv4): deny"),
        ] {
            let output = try ask("--from", from, "--to", to, "--exit-code")
            #expect(titles(output) == ["default/p -> default/q 80/tcp \(verdict)"])
            #expect((output.status == 0) == verdict.hasSuffix("allow"))
        }
        let mixed = try ask("--from", "10.0.0.1", "--to", "fd00::2")
        #expect(mixed.status == 2 && mixed.standardError.contains("no family of addresses in common"))
        let one = try ask("--from", "2001:db8::1", "--to", "p", "--to", "h", "--default", "deny")
        #expect(
            titles(one) == ["2001:db8::1 -> default/p 80/tcp: allow", "2001:db8::1 -> default/h 80/tcp: allow"],
            "the default is about egress")
        #expect(titles(try ask("--from", "p", "--to", "2001:db8::1")) == ["default/p -> 2001:db8::1 80/tcp: allow"])
        #expect(
            titles(try ask("--from", "p", "--to", "2001:db8::1", "--default", "deny")) == [
                "default/p -> 2001:db8::1 80/tcp: deny"
            ])
        #expect(one.standardOutput.contains("2001:db8::1 is no workload of the files"))
        let host = try ask("--from", "h", "--to", "p", "--exit-code")
        #expect(titles(host) == ["default/h -> default/p 80/tcp: allow"])
        #expect(host.standardOutput.contains("default/h uses the host's network"))
        #expect(try ask("--from", "p", "--to", "q", "--exit-code").status == 1)
        #expect(try ask("--from", "p", "--to", "p").standardOutput.contains("nobody decides about it"))
        #expect(
            try ask("--from", "192.0.2.1", "--to", "192.0.2.2").standardError.contains(
                "neither 192.0.2.1 nor 192.0.2.2"))
    }

    @Test("answers for programs, and names that are wrong")
    func documents() throws {
        let output = try explain(
            "-f", Self.examples, "--from", "shop/web", "--to", "169.254.169.254", "--port", "80", "-o", "json")
        let object = try JSONSerialization.jsonObject(with: Data(output.standardOutput.utf8)) as? [String: Any]
        let egress = object?["egress"] as? [String: Any]
        #expect(object?["verdict"] as? String == "deny")
        #expect(object?["ingress"] == nil)
        #expect(egress?["tier"] as? String == "admin")
        #expect(
            (egress?["decidedBy"] as? [String: Any])?["rule"] as? String
                == "ClusterNetworkPolicy/no-credentials/metadata")
        #expect(egress?["otherwiseVerdict"] as? String == "deny")
        let wrong = try explain("-f", Self.examples, "--from", "shop/wbe", "--to", "svc/shop/bd", "--port", "80")
        #expect(wrong.status == 2)
        #expect(
            wrong.standardError.contains("did you mean shop/web?")
                && wrong.standardError.contains("did you mean svc/shop/db?"))
        let flags = try explain("--from", "a", "--to", "b", "--port", "1", "--allow", "internet", "--host")
        #expect(flags.standardError.split(separator: "\n").count == 2, "\(flags.standardError)")
        #expect(flags.standardError.contains("--allow internet") && flags.standardError.contains("--host"))
        #expect(
            try explain("--to", "shop/db", "--port", "1").standardError.contains("names of workloads go with --from"))
        let wide = try explain("-f", Self.examples, "--from", "web", "--to", "db", "--port", "22", "-o", "wide")
        #expect(wide.standardOutput.split(separator: "\n").count == 2)
    }

    /// A workload, and policies of Egret's own about it.
    private static let job = """
        apiVersion: v1
        kind: Pod
        metadata: { name: job, namespace: ci, labels: { app: job } }
        spec: { containers: [{ name: job, image: "example.org/job:1" }] }
        status: { podIPs: [{ ip: 10.0.0.7 }] }
        ---
        apiVersion: egret.dev/v1
        kind: EgressPolicy
        metadata: { name: p }
        spec:
          egress:
          - action: allow
            to: [{ group: mirrors }]
            when: { days: [sun], hours: ["02:30-03:30"], timezone: Europe/Zurich }
        ---
        apiVersion: egret.dev/v1
        kind: DestinationGroup
        metadata: { name: mirrors }
        spec: { feed: { file: FILE } }

        """

    @Test("times, zones and feeds from files hold for connections, maps and proofs as for commands")
    func sources() throws {
        let folder = try TemporaryDirectory()
        try "203.0.113.0/24\n".write(toFile: folder.path + "/list", atomically: true, encoding: .utf8)
        let text = Self.job.replacingOccurrences(of: "FILE", with: folder.path + "/list")
        func explain(_ time: String, _ format: String = "table") throws -> ProgramOutput {
            try self.explain(
                "-f", "-", "--from", "ci/job", "--to", "203.0.113.10", "--port", "443", "--at", time, "-o", format,
                input: text)
        }
        let open = try explain("2026-03-29T01:00Z")
        #expect(titles(open) == ["ci/job -> 203.0.113.10 443/tcp: allow"], "\(open.standardError)")
        #expect(open.standardOutput.contains("open until 2026-03-29 03:30 +02:00"))
        let closed = try explain("2026-03-29T00:59Z")
        #expect(titles(closed) == ["ci/job -> 203.0.113.10 443/tcp: deny"])
        #expect(closed.standardOutput.contains("    closed now: rule 1 of the policy p"))
        #expect(try explain("2026-03-29T00:59Z", "json").standardOutput.contains("\"at\" : \"2026-03-29T00:59:00Z\""))
        for (claim, status) in [
            ("no app=job reaches outside at 2026-03-29T00:59Z", 0), ("no app=job reaches outside", 1),
            ("no app=job reaches 198.51.100.0/24", 0), ("only any reaches outside", 0),
        ] {
            let proof = try runProgram([ValidateTests.egret, "prove", "-f", "-", claim], standardInput: text)
            #expect(Int(proof.status) == status, "\(claim): \(proof.standardOutput)\(proof.standardError)")
        }
        try "nonsense\n".write(toFile: folder.path + "/list", atomically: true, encoding: .utf8)
        let wrong = try runProgram([ValidateTests.egret, "validate", "-f", "-"], standardInput: text)
        #expect(wrong.status == 2 && wrong.standardError.contains("EGR0079"))
    }
}
