// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Testing

/// Containers, beside the agent as its unit locks it up.
extension SystemdTests {
    @Test("the agent's unit lets it follow Docker and look into namespaces, from options in a file")
    func containers() throws {
        try expect(
            """
            becomes StatusText "in force"
            inside ip link add lan type bridge; inside ip addr add 10.8.0.1/24 dev lan; inside ip link set lan up
            for n in 2 3; do
                inside ip netns add n$n; inside ip link add v$n type veth peer name eth0 netns n$n; inside ip link set v$n master lan up
                inside ip -n n$n addr add 10.8.0.$n/24 dev eth0; inside ip -n n$n link set eth0 up
            done
            cat >job.yaml <<X
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: job }
            spec: { selects: { matchLabels: { egret.policy: job } }, egress: [{ action: allow, to: [{ cidr: 10.8.0.3/32 }] }] }
            X
            egret apply -f $PWD/job.yaml >/dev/null 2>&1
            inside sysctl -qw net.ipv4.ip_forward=1; egret attach netns:n3 >/dev/null
            egret attach netns:n2 --policy job 2>&1 | tail -n1 | cut -d' ' -f1; reaches n2 10.8.0.3; reaches n2 10.8.0.1
            echo Docker
            mkdir -p root image/bin; cp /bin/busybox image/bin; for a in ping sleep; do ln -s busybox image/bin/$a; done; echo {} >daemon.json
            inside sh -c "mount -t tmpfs tmpfs $PWD/root; exec dockerd --config-file $PWD/daemon.json --data-root $PWD/root \
                --exec-root /run/w --pidfile /run/w.pid -H unix:///var/run/docker.sock" >>dockerd.log 2>&1 &
            d() { inside docker "$@"; }
            for i in {1..200}; do d version >/dev/null 2>&1 && break; sleep 0.1; done; tar -C image -c . | d import - box >/dev/null
            inside sh -c 'echo "EGRET_AGENT_OPTIONS=--runtime docker --quarantine docker0" >/etc/default/egret-agent'
            inside systemctl restart egret-agent; becomes StatusText "in force"
            d run -d --name web --label egret.policy=job box sleep 1000 >/dev/null || tail dockerd.log >&2; d run -d --name free box sleep 1000 >/dev/null
            for i in {1..100}; do [ "$(egret get endpoints | grep -c 'docker/.*Enforced')" = 2 ] && break; sleep 0.1; done
            egret get endpoints | sort | awk '{ print $1, $2, $NF }'
            try() { d exec $1 ping -c1 -W1 $2 >/dev/null && echo "$1 reaches $2" || echo "$1 does not reach $2"; }
            try web 10.8.0.3; try web 10.8.0.1; try free 10.8.0.1
            d rm -f web free >/dev/null
            """,
            prints: """
                StatusText in force
                netns/n2
                n2 reaches 10.8.0.3
                n2 does not reach 10.8.0.1
                Docker
                StatusText in force
                ENDPOINT NETWORK STATE
                docker/free docker0 Enforced
                docker/web docker0 Enforced
                netns/n2 lan Enforced
                netns/n3 lan Enforced
                web reaches 10.8.0.3
                web does not reach 10.8.0.1
                free reaches 10.8.0.1
                """)
    }
}
