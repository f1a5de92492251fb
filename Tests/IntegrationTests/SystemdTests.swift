// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretTesting
import Foundation
import Testing

/// The units as a real systemd runs them: the first process of namespaces of its own, with these units and no others.
@Suite("the units", .serialized, .requiresRoot, .enabled(if: File.exists("/lib/systemd/systemd")))
struct SystemdTests {
    private static let package =
        String(#filePath.prefix(upTo: #filePath.lastIndex(of: "/") ?? #filePath.endIndex)) + "/../.."

    /// Starts systemd; `inside` runs a command beside it.
    private static let helpers = """
        mkdir units
        cp $UNITS/*.service units/
        for target in sysinit local-fs network-pre network network-online shutdown basic multi-user umount final; do
            printf '[Unit]\\nDefaultDependencies=no\\n' > units/$target.target
        done
        printf '[Unit]\\nDefaultDependencies=no\\nWants=egret-agent.service\\n' > units/test.target
        mkdir units/egret-agent.service.d
        cat > units/egret-agent.service.d/test.conf <<X
        [Service]
        WatchdogSec=3
        StandardError=append:$PWD/log
        X
        cat > first.sh <<'X'
        mount --make-rprivate /
        mount -t tmpfs tmpfs /run; mkdir -p /run/netns /run/lock /run/systemd
        mkdir -p /var/lib/egret; mount -t tmpfs tmpfs /var/lib/egret
        mount -t tmpfs tmpfs /etc/default; mount -t tmpfs tmpfs /usr/local/bin; cp $EGRET /usr/local/bin/egret
        mount -t sysfs sysfs /sys; umount -R /sys/fs/cgroup 2>/dev/null; mount -t cgroup2 cgroup2 /sys/fs/cgroup
        ip link set lo up
        # Units see what others mount, as on a machine.
        mount --make-rshared /
        exec env -i container=egret-test PATH=$PATH SYSTEMD_UNIT_PATH=$PWD/units /lib/systemd/systemd --system \
            --unit=test.target --log-target=null --show-status=no
        X
        unshare -m -p -n -u -i -C --fork --kill-child --mount-proc --propagation private sh first.sh >systemd.log 2>&1 & outer=$!
        trap 'kill -9 $outer' EXIT
        inside() { nsenter -t $first -m -p -n -u -i -C "$@"; }
        until first=$(pgrep -P $outer) && inside test -S /run/systemd/private; do sleep 0.1; done
        becomes() { for i in {1..300}; do test "$(inside systemctl show -P $1 egret-agent)" = "$2" && break; sleep 0.1; done
            echo "$1 $(inside systemctl show -P $1 egret-agent)"; }
        egret() { inside /usr/local/bin/egret "$@"; }
        reaches() { inside ip netns exec $1 ping -c1 -W1 $2 >/dev/null && echo "$1 reaches $2" || echo "$1 does not reach $2"; }

        """

    func expect(_ script: String, prints expected: String, location: SourceLocation = #_sourceLocation) throws {
        let directory = try TemporaryDirectory()
        let output = try runProgram(
            ["bash", "-c", "cd \(directory.path)\n" + SystemdTests.helpers + script],
            environment: [
                "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "EGRET": Egret.path,
                "UNITS": SystemdTests.package + "/packaging/systemd",
            ], timeout: .seconds(240))
        let log = (try? String(decoding: contents(of: directory.path + "/log"), as: UTF8.self)) ?? ""
        #expect(
            output.standardOutput == expected + "\n", "\(output.standardError)\n\(log)", sourceLocation: location)
    }

    @Test("the agent's unit starts, holds endpoints to policies, and is started again when it is killed or stuck")
    func agent() throws {
        try expect(
            """
            becomes ActiveState active; becomes StatusText "in force"
            inside sysctl -qw net.ipv4.ip_forward=1
            egret network create br0 --subnet 10.9.0.0/24
            for n in a b; do egret network connect br0 $n --create --workload shop/$n --label app=$n >/dev/null; done
            cat > one.yaml <<X
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: one }
            spec:
              selects: { matchLabels: { app: a } }
              egress: [{ action: deny, to: [{ cidr: 10.9.0.3/32 }] }, { action: allow }]
            X
            inside sh -c "/usr/local/bin/egret apply -f $PWD/one.yaml" >/dev/null 2>&1
            reaches a 10.9.0.3; reaches b 10.9.0.2
            inside systemctl kill -s KILL egret-agent; becomes NRestarts 1; becomes ActiveState active; reaches a 10.9.0.3
            inside systemctl kill -s STOP egret-agent; becomes NRestarts 2; becomes ActiveState active; reaches a 10.9.0.3
            inside systemctl reload egret-agent; echo reloaded $?; becomes NRestarts 2; reaches a 10.9.0.3
            inside nft flush ruleset; sleep 1; reaches a 10.9.0.3
            egret flows --denied | grep -c 'shop/.*EgressPolicy/one rule 1'
            inside systemctl stop egret-agent; becomes ActiveState inactive; becomes Result success; reaches a 10.9.0.3
            inside systemctl start egret-agent; egret get status | grep -E 'revision|problem'
            """,
            prints: """
                ActiveState active
                StatusText in force
                a does not reach 10.9.0.3
                b reaches 10.9.0.2
                NRestarts 1
                ActiveState active
                a does not reach 10.9.0.3
                NRestarts 2
                ActiveState active
                a does not reach 10.9.0.3
                reloaded 0
                NRestarts 2
                a does not reach 10.9.0.3
                a does not reach 10.9.0.3
                1
                ActiveState inactive
                Result success
                a does not reach 10.9.0.3
                revision   1
                problem    none
                """)
    }

    @Test("systemd keeps the agent's sockets for names over restarts and failures, as long as they are needed")
    func sockets() throws {
        try expect(
            """
            becomes ActiveState active; becomes NFileDescriptorStore 0
            egret network create br0 --subnet 10.9.0.0/24; egret network connect br0 a --create --label app=a >/dev/null
            cat >one.yaml <<X
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: one }
            spec: { selects: { matchLabels: { app: a } }, egress: [{ action: allow, to: [{ domains: [www.example.test] }] }] }
            X
            egret apply -f $PWD/one.yaml >/dev/null 2>&1; becomes NFileDescriptorStore 6; becomes KillMode process
            becomes OOMPolicy continue
            # What holds connections is there, and may do nothing else.
            relay=$(inside pgrep -f '^egret-relay$'); agent=$(inside systemctl show -P MainPID egret-agent)
            inside grep -hE 'CapPrm|NoNewPrivs|Seccomp:' /proc/$relay/status | tr -s '\t' ' '
            filters() { inside awk '$1 == "Seccomp_filters:" { print $2 }' /proc/$1/status; }
            for i in {1..100}; do more=$(($(filters $relay) - $(filters $agent))); [ $more = 2 ] && break; sleep 0.05; done
            echo filters $more
            score() { inside cat /proc/$1/oom_score_adj; }
            # The unit's, where this may be set here.
            [ $(score $relay) -gt -101 ] && [ $(score $relay) -ge $(score $agent) ] && echo a score of its own
            sockets() { set -- $(inside sh -c 'cat /run/egret/names-*.ports')
                inside ss -Hlntue "( sport = :$1 or sport = :$2 )" | grep -o 'ino:[0-9]*' | sort; }
            sockets >before; wc -l <before
            same() { becomes ActiveState active; becomes StatusText "in force"; sockets | cmp - before && echo the same sockets; }
            inside systemctl restart egret-agent; same
            inside systemctl kill -s KILL egret-agent; becomes NRestarts 1; same; becomes NFileDescriptorStore 6
            inside systemctl stop egret-agent; becomes NFileDescriptorStore 0
            inside systemctl start egret-agent; becomes NFileDescriptorStore 6
            egret delete EgressPolicy/one >/dev/null; becomes NFileDescriptorStore 0
            """,
            prints: """
                ActiveState active
                NFileDescriptorStore 0
                NFileDescriptorStore 6
                KillMode process
                OOMPolicy continue
                CapPrm: 0000000000000000
                NoNewPrivs: 1
                Seccomp: 2
                filters 2
                a score of its own
                6
                ActiveState active
                StatusText in force
                the same sockets
                NRestarts 1
                ActiveState active
                StatusText in force
                the same sockets
                NFileDescriptorStore 6
                NFileDescriptorStore 0
                NFileDescriptorStore 6
                NFileDescriptorStore 0
                """)
    }

    @Test("the agent's unit may enter namespaces that others have connected")
    func attaching() throws {
        try expect(
            """
            becomes ActiveState active
            inside sh -c 'ip netns add x; ip link add vx type veth peer name eth0 netns x
                ip addr add 10.8.0.1/24 dev vx; ip link set vx up
                ip -n x addr add 10.8.0.2/24 dev eth0; ip -n x link set eth0 up'
            reaches x 10.8.0.1
            cat > one.yaml <<X
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: one }
            spec: { selects: { matchLabels: { app: x } }, egress: [{ action: deny, to: [{ group: host }] }, { action: allow }] }
            X
            egret attach netns:x --label app=x >/dev/null; echo attached $?
            inside sh -c "/usr/local/bin/egret apply -f $PWD/one.yaml" >/dev/null 2>&1
            reaches x 10.8.0.1
            """,
            prints: """
                ActiveState active
                x reaches 10.8.0.1
                attached 0
                x does not reach 10.8.0.1
                """)
    }

    @Test("a service is held to its policies from its first process on, over restarts; others of systemd's are not")
    func unit() throws {
        try expect(
            """
            becomes ActiveState active; becomes StatusText "in force"
            egret network create br0 --subnet 10.9.0.0/24
            for n in a b; do egret network connect br0 $n --create >/dev/null; done
            cat >job.yaml <<X
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: job }
            spec: { selects: { matchLabels: { egret.policy: job } }, egress: [{ action: allow, to: [{ cidr: 10.9.0.2/32 }] }] }
            X
            egret apply -f $PWD/job.yaml >/dev/null 2>&1
            cat >ask.sh <<X
            for a in 2 3; do ping -c1 -W1 10.9.0.\\$a >/dev/null && echo "\\$1 reaches \\$a" || echo "\\$1 does not reach \\$a"; done >>$PWD/asked
            X
            cat >units/job.service <<X
            [Unit]
            DefaultDependencies=no
            [Service]
            Environment=PATH=$PATH
            ExecStartPre=+/usr/local/bin/egret attach unit:%n --policy job
            ExecStart=/bin/sh -c 'sh $PWD/ask.sh job; exec sleep 1000'
            Restart=always
            RestartSec=100ms
            X
            inside systemctl daemon-reload
            asked() { for i in {1..200}; do [ "$(grep -c . asked 2>/dev/null)" = 2 ] && break; sleep 0.1; done; cat asked; rm -f asked; }
            inside systemctl start job; asked
            echo restarted; inside systemctl restart job; asked
            echo killed; inside systemctl kill -s KILL job; asked
            echo the agent too; inside systemctl kill -s KILL egret-agent; becomes NRestarts 1; becomes StatusText "in force"
            inside systemctl restart job; asked
            inside systemd-run -q --unit=other -p Environment=PATH=$PATH /bin/sh $PWD/ask.sh other; asked
            echo attached while it runs; inside systemd-run -q --unit=late sleep 1000; egret attach unit:late.service --policy job | tail -n1 | cut -d' ' -f1
            inside sh -c "echo \\$\\$ >/sys/fs/cgroup/system.slice/late.service/cgroup.procs; exec sh $PWD/ask.sh late"; asked
            egret get endpoints -o wide | grep -o '^unit/[a-z.]*'
            echo no agent, no service; inside systemctl stop egret-agent; inside systemctl restart job 2>/dev/null || echo not started
            """,
            prints: """
                ActiveState active
                StatusText in force
                job reaches 2
                job does not reach 3
                restarted
                job reaches 2
                job does not reach 3
                killed
                job reaches 2
                job does not reach 3
                the agent too
                NRestarts 1
                StatusText in force
                job reaches 2
                job does not reach 3
                other reaches 2
                other reaches 3
                attached while it runs
                unit/late.service
                late reaches 2
                late does not reach 3
                unit/job.service
                unit/late.service
                no agent, no service
                not started
                """)
    }

    @Test("systemd finds nothing wrong with the units, and the agent's is locked up")
    func verification() throws {
        try expect(
            """
            for unit in agent networks networks-late; do
                inside systemd-analyze verify --man=no $PWD/units/egret-$unit.service 2>&1
            done
            inside systemd-analyze security --offline=true --threshold=40 $PWD/units/egret-agent.service >security || cat security
            echo looked
            """, prints: "looked")
    }
}
