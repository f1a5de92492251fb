// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Testing

/// Networks that Podman makes: another one later, IPv6, and names asked of its own server.
extension ContainerTests {
    @Test(
        "what Podman connects later is held to the same policies, with IPv6, and names that its server is asked for open rules",
        arguments: Engines.allCases)
    func podmanNetworks(engines: Engines) throws {
        try expect(
            "ctpodnet", with: engines,
            PodmanScript.helpers + #"""
                podman_with netavark
                mkdir -p image/bin image/etc; cp /bin/busybox image/bin; for a in sh nc sleep grep nslookup; do ln -s busybox image/bin/$a; done
                start() { p run -d --network pods --rootfs "$@" $PWD/image /bin/sleep 1000 >/dev/null; }
                get() { p exec $1 /bin/sh -c "printf 'GET / HTTP/1.0\r\nHost: $2\r\n\r\n' | nc -w2 $2 80" 2>/dev/null; }
                try() { get $1 $2 | grep -q hello && echo "$1 reaches $2" || echo "$1 does not reach $2"; }
                p system service --time=0 unix://$W/podman.sock 2>>$W/log & service=$!
                for i in {1..100}; do [ -S $W/podman.sock ] && break; sleep 0.05; done
                begin --runtime podman=$W/podman.sock
                cat >p.yaml <<'X'
                apiVersion: egret.dev/v1
                kind: EgressPolicy
                metadata: { name: web }
                spec:
                  selects: { names: [podman/web] }
                  egress: [{ action: allow, to: [{ cidr: 203.0.113.10/32 }, { cidr: "2001:db8:113::10/128" }] }]
                ---
                apiVersion: egret.dev/v1
                kind: EgressPolicy
                metadata: { name: names }
                spec:
                  selects: { matchLabels: { egret.policy: names } }
                  egress: [{ action: allow, to: [{ domains: [web1.example.test] }], ports: [80/tcp] }]
                X
                egret apply -f p.yaml >/dev/null
                p network create --subnet 10.77.0.0/24 --ipv6 --subnet fd00:77::/64 pods >/dev/null
                p network create --subnet 10.78.0.0/24 later >/dev/null
                start --name web; start --name named --label egret.policy=names; settle 2
                egret get endpoints | tail -n +2 | tr -s ' ' | sort
                egret nat ls | grep -q '^podman (netavark) .*masquerade' && echo what translates them is listed as Podman\'s
                uplink=$(ip -o route get 203.0.113.11 | grep -o 'dev [^ ]*' | cut -d' ' -f2)
                tcpdump -i $uplink --immediate-mode -U -nn -w denied.pcap tcp and host 203.0.113.11 or host 2001:db8:113::11 2>/dev/null &
                denied=$!; sleep 0.5
                for a in 203.0.113.1 2001:db8:113::1; do try web ${a}0; try web ${a}1; done
                echo connected to a second network; p network connect later web
                for i in {1..100}; do egret get endpoints | grep -q 10.78.0.2 && break; sleep 0.05; done
                egret get endpoints | tr -s ' ' | grep web | sort
                try web 203.0.113.10; try web 203.0.113.11
                p network disconnect pods web; settle 2; try web 203.0.113.10
                echo names; p exec named nslookup web1.example.test | grep -o '203.0.113.10$'
                p exec named nslookup web2.example.test 2>&1 | grep -o REFUSED | uniq
                for host in web1.example.test web2.example.test 203.0.113.11; do try named $host; done
                echo the agent is killed, and begins again; kill -9 $agent; wait $agent 2>/dev/null
                try web 203.0.113.11; begin --runtime podman=$W/podman.sock
                try web 203.0.113.10; try named web1.example.test; try named 203.0.113.11
                kill $denied; wait $denied 2>/dev/null; echo $(tcpdump -nn -r denied.pcap 2>/dev/null | wc -l) packets of denied flows
                p rm -f -t0 -a >/dev/null 2>&1; settle 0; kill $service; wait $service 2>/dev/null
                finish; nft flush ruleset; left; rm -rf $W
                """#,
            prints: """
                podman/named podman1 10.77.0.3, fd00:77::3 32769 Enforced
                podman/web podman1 10.77.0.2, fd00:77::2 32768 Enforced
                what translates them is listed as Podman's
                web reaches 203.0.113.10
                web does not reach 203.0.113.11
                web reaches 2001:db8:113::10
                web does not reach 2001:db8:113::11
                connected to a second network
                podman/web podman1 10.77.0.2, fd00:77::2 32768 Enforced
                podman/web podman2 10.78.0.2 32768 Enforced
                web reaches 203.0.113.10
                web does not reach 203.0.113.11
                web reaches 203.0.113.10
                names
                203.0.113.10
                REFUSED
                named reaches web1.example.test
                named does not reach web2.example.test
                named does not reach 203.0.113.11
                the agent is killed, and begins again
                web does not reach 203.0.113.11
                web reaches 203.0.113.10
                named reaches web1.example.test
                named does not reach 203.0.113.11
                0 packets of denied flows
                """)
    }
}
