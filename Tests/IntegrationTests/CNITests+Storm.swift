// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Testing

/// Containers that come and go faster than anybody looks.
extension CNITests {
    @Test("300 containers of runc come and go by egret-cni while the agent is killed at random: nothing leaks or stays")
    func storm() throws {
        try expect(
            "cnistorm",
            #"""
            mkdir -p image/bin out; cp /bin/busybox image/bin; for a in sh nc grep printf sleep; do ln -s busybox image/bin/$a; done
            echo "nc -w1 203.0.113.11 80 </dev/null & nc -w1 203.0.113.11 443 </dev/null &
                for i in 1 2 3; do $page 203.0.113.10 80 | grep -q hello && echo reached && break; done; wait" >image/job.sh
            runc spec -b .; python3 - <<X
            import json
            spec = json.load(open("config.json"))
            spec["process"].update(terminal=False, rlimits=[], args=["sh", "/job.sh"])
            spec["root"] = {"path": "$PWD/image", "readonly": True}
            [n for n in spec["linux"]["namespaces"] if n["type"] == "network"][0]["path"] = "NETNS"
            json.dump(spec, open("config.json", "w"))
            X
            pods '"subnets": ["10.22.0.0/16"]'
            echo '{ "cniVersion": "1.1.0", "name": "pods", "type": "egret-cni", "network": "pods0", "subnets": ["10.22.0.0/16"],
                "labels": { "app": "job" } }' >conf
            call() { CNI_COMMAND=$1 CNI_CONTAINERID=$2 CNI_NETNS=/run/netns/$2 CNI_IFNAME=eth0 CNI_PATH=bin egret-cni <conf >out/$2 2>&1; }
            begin; policy job '{ matchLabels: { app: job } }' 203.0.113.10/32 | egret apply -f - >/dev/null
            uplink=$(ip -o route get 203.0.113.11 | grep -o 'dev [^ ]*' | cut -d' ' -f2)
            tcpdump -i $uplink --immediate-mode -U -nn -w denied.pcap host 203.0.113.11 2>/dev/null & denied=$!; sleep 0.5
            one() {
                ip netns add $1; mkdir bundle-$1; sed "s,NETNS,/run/netns/$1," config.json >bundle-$1/config.json
                # A runtime tries again what failed as there was no agent, after it has taken the rest away.
                until call ADD $1; do call DEL $1; sleep 0.2; done
                runc --root $PWD/runc run -b bundle-$1 $1 2>>log
                [ ${1#s} -ge 290 ] || { until call DEL $1; do sleep 0.2; done; ip netns del $1; }
            }
            touch storm; lane() { for ((n = $1; n < 300; n += 4)); do one s$n; done >>reached; }
            lanes=; for l in 0 1 2 3; do lane $l & lanes="$lanes $!"; done
            ( for l in $lanes; do while kill -0 $l 2>/dev/null; do sleep 0.2; done; done; rm storm ) & watch=$!
            while [ -e storm ]; do sleep 2.$((RANDOM % 10)); kill -9 $agent; wait $agent 2>/dev/null; begin; done; wait $watch $lanes
            settle 10; endpoints | awk '{ print $2, $3 }' | uniq -c | tr -s ' '; rows; grep -c reached reached
            ip -o link | grep -c ': egn'; for n in {290..299}; do reach s$n 203.0.113.11; done | grep -c 'does not'
            for n in {290..299}; do call DEL s$n; ip netns del s$n; done; settle 0; rows
            kill $denied; wait $denied 2>/dev/null; echo $(tcpdump -nn -r denied.pcap 2>/dev/null | wc -l) packets of denied flows
            runc --root $PWD/runc list -q; gone; finish
            """#,
            prints: """
                 10 pods0 policed
                10
                300
                10
                10
                0
                0 packets of denied flows
                """, within: .seconds(900))
    }
}
