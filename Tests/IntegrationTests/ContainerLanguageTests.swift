// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Testing

/// All that the policy language has, for one container of Docker's.
@Suite("a container under everything of the language", .serialized, .requiresRoot)
struct ContainerLanguageTests {
    @Test(
        "names, times, routes, limits and budgets hold for a container, and the table of endpoints shows them",
        arguments: Engines.allCases)
    func everything(engines: Engines) throws {
        try withNames("clanguage") { internet in
            let directory = try TemporaryDirectory()
            let output = try internet.script(
                "cd \(directory.path)\n" + ContainerTests.helpers + engines.helpers
                    + ContainerLanguageTests.script,
                timeout: .seconds(120))
            #expect(output.standardOutput == ContainerLanguageTests.expected + "\n", "\(output.standardError)")
        }
    }

    private static let script = #"""
        mkdir -p /run/w/image/bin; for a in nslookup dd; do ln -sf busybox /run/w/image/bin/$a; done
        up; begin --runtime docker=/run/w/docker.sock --dns 198.51.100.20
        # Another way out, and a server that only it leads to.
        ip netns add way; ip link add up2 type veth peer name eth0 netns way; ip addr add 10.7.0.2/24 dev up2; ip link set up2 up
        ip -n way link set lo up; ip -n way link set eth0 up; ip -n way addr add 10.7.0.1/24 dev eth0; ip -n way addr add 198.51.100.77/32 dev lo
        mkdir far; echo hello from far >far/index.html
        (cd far; exec ip netns exec way python3 -m http.server -b 198.51.100.77 80 >/dev/null 2>&1) & server=$!
        d network create -o com.docker.network.bridge.name=br-all --subnet 172.30.0.0/24 all >/dev/null
        cat >all.yaml <<'X'
        apiVersion: egret.dev/v1
        kind: EgressPolicy
        metadata: { name: all }
        spec:
          selects: { matchLabels: { egret.policy: all } }
          egress:
          - { name: site, action: allow, to: [{ domains: [www.example.test] }] }
          - { name: over, action: allow, to: [{ cidr: 203.0.113.11/32 }], when: { from: 2020-01-01, until: 2021-01-01 } }
          limits: [{ rate: 4Mbit }]
        ---
        apiVersion: egret.dev/v1
        kind: EgressPolicy
        metadata: { name: way }
        spec:
          selects: { matchLabels: { egret.policy: way } }
          egress: [{ name: far, action: allow, to: [{ cidr: 198.51.100.77/32 }], when: { from: 2020-01-01, until: 2099-01-01 } }]
          budgets: [{ name: small, to: [{ cidr: 198.51.100.77/32 }], amount: 50kB, onExhausted: cut }]
          routes: [{ to: [{ cidr: 198.51.100.77/32 }], via: { gateway: 10.7.0.1 } }]
        X
        egret apply -f all.yaml >/dev/null
        d run -d --name web --network all --dns 203.0.113.53 --label egret.policy=all box sleep 1000 >/dev/null
        d run -d --name out --network all --label egret.policy=way box sleep 1000 >/dev/null
        d run -d --name other --network all --dns 203.0.113.53 box sleep 1000 >/dev/null; settle 3
        named() { d exec $1 sh -c "printf 'GET / HTTP/1.0\r\nHost: $2\r\n\r\n' | nc -w2 203.0.113.10 80" 2>/dev/null | grep -o 'hello\|no rule allows' || echo no answer; }
        echo names; named web www.example.test; d exec web nslookup www.example.test | grep -o '203.0.113.10$'
        named web www.example.test; named web other.example.test
        # Newer releases of Docker's own server pass a refusal on as a failure.
        d exec web nslookup files.example.test 2>&1 | grep -oE 'REFUSED|SERVFAIL' | sed s/SERVFAIL/REFUSED/ | uniq
        echo times; reaches web 203.0.113.11; reaches other 203.0.113.11
        echo routes; reaches out 198.51.100.77; reaches other 198.51.100.77
        echo limits; tc qdisc show | grep -c 'tbf.* rate 4Mbit'
        egret get endpoints -o wide | head -1 | tr -s ' '
        egret get endpoints docker/web -o wide | grep -oE 'egret.dev/runtime=docker|egret.policy=all|172.30.0.2|Enforced|egress 4Mbit|[1-9] at [1-9]' | sed 's/[1-9] at [1-9]/names/'
        egret get endpoints docker/out -o wide | grep -o '10.7.0.1'
        echo budgets; timeout 5 docker exec out sh -c 'dd if=/dev/zero bs=1000 count=100 2>/dev/null | nc -w1 198.51.100.77 80' >/dev/null 2>&1
        for i in {1..50}; do egret budget ls -o json | grep -q '"isExhausted" : true' && break; sleep 0.1; done
        egret budget ls -o json | grep -o '"isExhausted" : true'; reaches out 198.51.100.77; named web www.example.test
        echo the default; egret get endpoints docker/other -o wide | grep -o 'default: [a-z]*'
        kill $agent; wait $agent 2>/dev/null; begin --runtime docker=/run/w/docker.sock --dns 198.51.100.20 --default deny; settle 3
        egret get endpoints docker/other -o wide | grep -o 'default: [a-z]*'; reaches other 203.0.113.11
        d rm -f web out other >/dev/null; settle 0; d network rm all >/dev/null
        kill $server; ip link del up2; ip netns del way; finish; cleared
        """#

    private static let expected = """
        names
        no answer
        203.0.113.10
        hello
        no rule allows
        REFUSED
        times
        web does not reach 203.0.113.11
        other reaches 203.0.113.11
        routes
        out reaches 198.51.100.77
        other does not reach 198.51.100.77
        limits
        2
        ENDPOINT NETWORK ADDRESSES GENERATIONS STATE NAMESPACE LABELS EGRESS INGRESS ROUTES LIMITS NAMES REFUSED DROPPED BY RATE
        172.30.0.2
        Enforced
        egret.dev/runtime=docker
        egret.policy=all
        egress 4Mbit
        names
        10.7.0.1
        budgets
        "isExhausted" : true
        out does not reach 198.51.100.77
        hello
        the default
        default: allow
        default: deny
        other does not reach 203.0.113.11
        """
}
