// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Testing

/// Processes of the host's own network, by their control groups.
@Suite("control groups", .serialized, .requiresRoot)
struct ControlGroupTests {
    private static let helpers =
        ContainerTests.helpers + #"""
            root=$(awk '$0 ~ / - cgroup2 / { print $5 }' /proc/self/mountinfo | tail -1); G=$root/egrettest
            inside() { bash -c 'echo $$ >$0/cgroup.procs && exec "$@"' "$@"; }
            reach() { inside $1 curl -s -m2 http://$2/ >/dev/null && echo "${1##*/} reaches $2" || echo "${1##*/} does not reach $2"; }
            empty() { for i in {1..50}; do rmdir $1 2>/dev/null && return; sleep 0.05; done; echo $1 is not empty; }

            """#

    private func expect(
        _ name: String, _ script: String, prints expected: String, location: SourceLocation = #_sourceLocation
    ) throws {
        try AgentScript.expect(
            name, ControlGroupTests.helpers + script, prints: expected, within: .seconds(120), location: location)
    }

    @Test("the processes of a control group are held to policies, and nobody else on the host")
    func group() throws {
        try expect(
            "cggroup",
            #"""
            mkdir -p $G/job/sub $G/other; begin
            policy job '{ matchLabels: { egret.policy: job } }' 203.0.113.10/32 | egret apply -f - >/dev/null
            reach $G/job 203.0.113.11
            egret attach cgroup:/egrettest/job --policy job | tail -1 | awk '{ print $1, $2, $3 }'
            for g in job job/sub other; do reach $G/$g 203.0.113.10; reach $G/$g 203.0.113.11; done
            curl -sm2 http://203.0.113.11/ >/dev/null && echo the host itself reaches it
            inside $G/job curl -sg6 -m2 'http://[2001:db8:113::11]/' >/dev/null || echo nor by IPv6
            inside $G/job ping -c1 -W1 203.0.113.11 >/dev/null || echo nor by ping
            sleep 0.5; egret flows --endpoint cgroup/job -o json | tr -d ' \n' | sed 's/"peer":"/\n/g' |
                sed -n 's/^\(203[^"]*\)".*"verdict":"\([a-z]*\)".*/\1 \2/p' | sort -u
            echo open before; inside $G/job bash -c 'exec 3<>/dev/tcp/203.0.113.10/80; touch open; until [ -e go ]; do sleep 0.05; done
                printf "GET / HTTP/1.0\r\n\r\n" >&3; timeout 2 cat <&3 | grep -c hello' & open=$!
            until [ -e open ]; do sleep 0.05; done
            policy job '{ matchLabels: { egret.policy: job } }' 203.0.113.11/32 | egret apply -f - >/dev/null; touch go; wait $open
            reach $G/job 203.0.113.11; reach $G/job 203.0.113.10
            kill -9 $agent; wait $agent 2>/dev/null; echo the agent is killed; reach $G/job 203.0.113.10; begin
            endpoints; reach $G/job 203.0.113.10; reach $G/job/sub 203.0.113.11
            echo what the hook cannot do
            cat >more.yaml <<'X'
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: slow }
            spec: { selects: { matchLabels: { egret.policy: slow } }, limits: [{ rate: 8Mbit }], budgets: [{ amount: 1GB, direction: both }], egress: [
              { action: allow, to: [{ domains: [example.test] }] }, { action: allow }] }
            X
            egret apply -f more.yaml >/dev/null; egret attach cgroup:/egrettest/other --policy slow 2>&1 | head -1
            egret attach cgroup:/egrettest/other --policy jop 2>&1 | head -1
            egret attach cgroup:/egrettest/none 2>&1 | head -1; egret attach cgroup:/ --name x 2>&1 | head -1; egret attach unit:none.service 2>&1 | head -1
            egret attach cgroup:/egrettest/job --name two 2>&1 | head -1; egret attach pid:$$ --name cgroup/job 2>&1 | head -1
            sed -i 's/slow }/job }/' more.yaml; egret apply -f more.yaml >/dev/null; egret get endpoints cgroup/job -o json | grep -o '"reason".*' | cut -d'"' -f4
            egret delete EgressPolicy/slow >/dev/null; reach $G/other 203.0.113.10
            egret detach cgroup/job; reach $G/job 203.0.113.10; egret get endpoints -o json | grep -c '"name"'
            egret attach cgroup:/egrettest/other --policy job >/dev/null; empty $G/other; settle 0
            for g in job/sub job; do empty $G/$g; done; empty $G; ls -d /run/egret/groups-* 2>/dev/null; finish
            """#,
            prints: """
                job reaches 203.0.113.11
                cgroup/job - -
                job reaches 203.0.113.10
                job does not reach 203.0.113.11
                sub reaches 203.0.113.10
                sub does not reach 203.0.113.11
                other reaches 203.0.113.10
                other reaches 203.0.113.11
                the host itself reaches it
                nor by IPv6
                nor by ping
                203.0.113.10 allow
                203.0.113.11 deny
                open before
                0
                job reaches 203.0.113.11
                job does not reach 203.0.113.10
                the agent is killed
                job does not reach 203.0.113.10
                cgroup/job - policed
                job does not reach 203.0.113.10
                sub reaches 203.0.113.11
                what the hook cannot do
                egret: the policies of cgroup/other cannot be in force: at the output hook its limits do not hold, no name is resolved for it, so rules about names open nothing, no budget counts what it is sent
                egret: no policy selects cgroup/other by egret.policy=jop
                egret: there is no control group /egrettest/none
                egret: “/” is no control group below the root
                egret: there is no control group of a unit none.service
                egret: /egrettest/job is attached as cgroup/job
                egret: cgroup/job is another endpoint
                at the output hook its limits do not hold, no name is resolved for it, so rules about names open nothing, no budget counts what it is sent
                other reaches 203.0.113.10
                cgroup/job detached
                job reaches 203.0.113.10
                0
                """)
    }

    @Test("the processes of a control group send to the last packet that fits a budget, and nobody else pays for it")
    func budget() throws {
        try expect(
            "cgbudget",
            #"""
            mkdir -p $G/job/sub $G/other; begin
            egret apply -f - >/dev/null <<'X'
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: metered }
            spec: { selects: { matchLabels: { egret.policy: metered } }, default: allow, budgets: [
              { name: all }, { name: out, to: [{ cidr: 203.0.113.10/32 }], amount: 100kB, onExhausted: cut } ] }
            X
            egret attach cgroup:/egrettest/job --policy metered >/dev/null
            cat >send.py <<'X'
            import contextlib, socket, sys
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            for i in range(int(sys.argv[2])):
                with contextlib.suppress(OSError): s.sendto(b"x" * 1000, (sys.argv[1], 9999))
            X
            nft 'add table inet seen; add chain inet seen out { type filter hook postrouting priority 300; }
                add rule inet seen out udp dport 9999 counter'
            seen() { nft list chain inet seen out | grep -o 'packets [0-9]* bytes [0-9]*'; }
            used() { egret budget ls -o json | python3 -c '
            import json, sys
            for b in json.load(sys.stdin): print(b["budget"], b["account"], b["used"], b["isExhausted"])'; }
            inside $G/job python3 send.py 203.0.113.10 200; seen; used
            inside $G/job/sub python3 send.py 203.0.113.10 10; seen; inside $G/other python3 send.py 203.0.113.10 5; seen
            inside $G/job/sub python3 send.py 203.0.113.11 3; seen
            egret budget grant metered out 10280B --account cgroup/job >/dev/null; kill -9 $agent; wait $agent 2>/dev/null
            inside $G/job/sub python3 send.py 203.0.113.10 20; seen; begin; sleep 1.2; used
            egret detach cgroup/job; inside $G/job python3 send.py 203.0.113.10 5; seen
            nft delete table inet seen; for g in job/sub job other; do empty $G/$g; done; empty $G; finish
            """#,
            prints: """
                packets 97 bytes 99716
                all cgroup/job 99716 False
                out cgroup/job 99716 True
                packets 97 bytes 99716
                packets 102 bytes 104856
                packets 105 bytes 107940
                packets 115 bytes 118220
                all cgroup/job 113080 False
                out cgroup/job 109996 True
                cgroup/job detached
                packets 120 bytes 123360
                """)
    }

    @Test("a unit that starts again is the same endpoint")
    func unit() throws {
        try expect(
            "cgunit",
            #"""
            made=$([ -d $root/system.slice ] || echo system.slice); U=$root/system.slice/system-egrettest.slice/egrettest@1.service
            mkdir -p $U; begin
            policy job '{ names: [unit/egrettest-1.service] }' 203.0.113.10/32 | egret apply -f - >/dev/null
            egret attach unit:egrettest@1.service | tail -1 | awk '{ print $1 }'
            reach $U 203.0.113.10; reach $U 203.0.113.11; empty $U
            for i in {1..50}; do egret get endpoints -o json | grep -o 'it does not run' && break; sleep 0.1; done
            mkdir $U; for i in {1..50}; do egret get endpoints -o json | grep -q 'it does not run' || break; sleep 0.1; done
            reach $U 203.0.113.10; reach $U 203.0.113.11; empty $U; empty ${U%/*}; U=$root/egrettest.slice/egrettest@1.service
            for i in {1..50}; do egret get endpoints -o json | grep -q 'it does not run' && break; sleep 0.1; done
            mkdir -p $U; for i in {1..50}; do egret get endpoints -o json | grep -q 'it does not run' || break; sleep 0.1; done
            echo in another slice; reach $U 203.0.113.10; reach $U 203.0.113.11
            egret detach unit/egrettest-1.service; empty $U; empty ${U%/*}; [ "$made" ] && rmdir $root/$made 2>/dev/null; finish
            """#,
            prints: """
                unit/egrettest-1.service
                egrettest@1.service reaches 203.0.113.10
                egrettest@1.service does not reach 203.0.113.11
                it does not run
                egrettest@1.service reaches 203.0.113.10
                egrettest@1.service does not reach 203.0.113.11
                in another slice
                egrettest@1.service reaches 203.0.113.10
                egrettest@1.service does not reach 203.0.113.11
                unit/egrettest-1.service detached
                """)
    }
}
