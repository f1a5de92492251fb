// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Testing

/// OCI runtimes by themselves, with no engine in front.
extension ContainerTests {
    @Test(
        "a hook of an OCI runtime lets no container begin without its policies, and none at all without an agent",
        arguments: ["runc", "crun"])
    func hook(runtime: String) throws {
        try expect(
            "cthook",
            #"""
            mkdir -p image/bin; cp /bin/busybox image/bin; for a in sh nc grep printf; do ln -s busybox image/bin/$a; done
            ip link add lan type bridge; ip addr add 10.8.0.1/24 dev lan; ip link set lan up; sysctl -qw net.ipv4.ip_forward=1
            nft 'table ip t { chain c { type nat hook postrouting priority 100; ip saddr 10.0.0.0/8 ip daddr 203.0.113.0/24 masquerade; }; }'
            begin --quarantine lan; policy job '{ matchLabels: { egret.policy: job } }' 203.0.113.10/32 | egret apply -f - >/dev/null
            # What connects a container is a hook too, before Egret's.
            cat >connect.sh <<X
            #!/bin/bash
            export PATH=$PATH; exec 2>>$PWD/log; pid=\$(grep -o '"pid": *[0-9]*' | grep -o '[0-9]*')
            ip link add v0 type veth peer name eth0 netns \$pid; ip link set v0 master lan up
            there() { nsenter --net=/proc/\$pid/ns/net ip "\$@"; }; there addr add 10.8.0.2/24 dev eth0; there link set eth0 up; there route add default via 10.8.0.1
            if [ -e $PWD/further ]; then ip link add direct link lan netns \$pid type macvlan; fi
            X
            echo "for a in 203.0.113.11 203.0.113.10; do $page \$a 80 | grep -q hello && echo reaches \$a; done" >image/job.sh
            chmod +x connect.sh; runc spec -b .; python3 - <<X
            import json
            spec = json.load(open("config.json"))
            spec["process"].update(terminal=False, rlimits=[], args=["sh", "/job.sh"])
            spec["root"] = {"path": "$PWD/image", "readonly": True}
            # What hooks say crun throws away unless it is told where to put it.
            spec["annotations"] = {"egret.policy": "job", "run.oci.hooks.stderr": "$PWD/log"}
            spec["linux"]["resources"] = {}
            spec["hooks"] = {"createRuntime": [{"path": "$PWD/connect.sh"}, {"path": "$(command -v egret)", "args": ["egret", "attach", "oci:-"],
                "env": ["PATH=$PATH", "LD_LIBRARY_PATH=$LD_LIBRARY_PATH"]}]}
            json.dump(spec, open("config.json", "w"))
            X
            # Alone with control groups of version 2, which crun wants.
            start() { unshare -m --propagation private bash -c "umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup
                exec \#(runtime) --root $PWD/state-oci run -b $PWD ${1:-one}" 2>>log; }
            uplink=$(ip -o route get 203.0.113.11 | grep -o 'dev [^ ]*' | cut -d' ' -f2)
            tcpdump -i $uplink --immediate-mode -U -nn -w denied.pcap host 203.0.113.11 2>/dev/null & denied=$!; sleep 0.5
            start; settle 0; echo with a link past the host; touch further; start two || echo not started; rm further
            grep -o 'direct is a macvlan, whose packets pass the host by' log | head -n1; settle 0
            for i in {1..100}; do [ -e /sys/class/net/v0 ] || break; sleep 0.05; done
            kill -9 $agent; wait $agent 2>/dev/null; start || echo not started
            kill $denied; wait $denied 2>/dev/null; echo $(tcpdump -nn -r denied.pcap 2>/dev/null | wc -l) packets of denied flows
            begin; settle 0; finish; ip link del lan; nft delete table ip t
            """#,
            prints: """
                reaches 203.0.113.10
                with a link past the host
                not started
                direct is a macvlan, whose packets pass the host by
                not started
                0 packets of denied flows
                """)
    }
}
