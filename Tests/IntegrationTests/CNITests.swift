// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Testing

/// `egret-cni` as the plugin that makes interfaces, asked as container runtimes ask, and by real ones.
@Suite("egret-cni as the main plugin", .serialized, .requiresRoot)
struct CNITests {
    /// A runtime: the plugins of `net.d/NAME.json` in order, with what the specification passes between them.
    static let helpers =
        ContainerTests.helpers + PodmanScript.helpers + #"""
            mkdir -p bin net.d results; for p in /usr/lib/cni/*; do ln -s $p bin; done; ln -sf $(command -v egret-cni) bin
            cat >runtime.py <<'X'
            import json, os, subprocess, sys
            command, network, name, namespace = sys.argv[1:5]
            given = json.loads(sys.argv[5]) if len(sys.argv) > 5 else {}
            chain = json.load(open(f"net.d/{network}.json"))
            state, result = f"results/{network}-{name}", None
            if command in ("DEL", "CHECK") and os.path.exists(state): result = json.load(open(state))
            plugins = chain["plugins"]
            for plugin in plugins if command != "DEL" else reversed(plugins):
                config = dict(plugin, cniVersion=chain["cniVersion"], name=chain["name"])
                able = config.pop("capabilities", {})
                runtime = {k: v for k, v in given.get("runtimeConfig", {}).items() if able.get(k)}
                if runtime: config["runtimeConfig"] = runtime
                for k, v in given.items():
                    if k not in ("runtimeConfig", "CNI_ARGS"): config[k] = v
                if result: config["prevResult"] = result
                run = subprocess.run(["bin/" + plugin["type"]], input=json.dumps(config), capture_output=True, text=True,
                    env=dict(os.environ, CNI_COMMAND=command, CNI_CONTAINERID=name, CNI_NETNS="/run/netns/" + namespace,
                        CNI_IFNAME="eth0", CNI_PATH=os.getcwd() + "/bin", CNI_ARGS=given.get("CNI_ARGS", "")))
                if run.returncode > 0:
                    error = json.loads(run.stdout); sys.exit(f"{plugin['type']}: {error['code']} {error['msg']}")
                if run.returncode < 0: sys.exit(f"killed by {-run.returncode}")
                if command == "ADD": result = json.loads(run.stdout); json.dump(result, open(state, "w"))
            X
            cni() { python3 runtime.py "$@" 2>&1; }
            result() { python3 -c 'import json, sys; d = json.load(open("results/" + sys.argv[1])); print(eval(sys.argv[2]))' "$@"; }
            reach() { ip netns exec $1 curl -s -m2 http://$2/ >/dev/null && echo "$1 reaches $2" || echo "$1 does not reach $2"; }
            pods() { cat >net.d/pods.json <<X
            { "cniVersion": "${2:-1.1.0}", "name": "pods", "plugins": [{ "type": "egret-cni", "network": "pods0",
              "capabilities": { "bandwidth": true, "portMappings": true, "ips": true, "mac": true, "dns": true,
                "io.kubernetes.cri.pod-annotations": true },
              "labels": { "app": "job" }, $1 }] }
            X
            }
            # Adds and deletes b and c, with a port each, and kills each call on its way: from a seed, so often, after so many
            # seconds at the most.
            killed() { python3 - "$@" <<'X'
            import json, os, random, signal, subprocess, sys, time
            def given(name):
                port = {"hostPort": 8090 + "bc".index(name), "containerPort": 80}
                return json.dumps({"runtimeConfig": {"portMappings": [port]}})
            random.seed(int(sys.argv[1]))
            for turn in range(int(sys.argv[2])):
                name = "bc"[turn % 2]
                command = "ADD" if random.random() < 0.7 else "DEL"
                call = ["setsid", "python3", "runtime.py", command, "pods", name, name, given(name)]
                p = subprocess.Popen(call, stderr=subprocess.DEVNULL)
                time.sleep(random.uniform(0.03, float(sys.argv[3]))); os.killpg(p.pid, signal.SIGKILL) if p.poll() is None else None; p.wait()
            X
            }
            rows() { egret network inspect pods0 -o json | grep -c '"hostInterface"'; }
            gone() { egret network rm pods0 --force; find state -name '*.json'; ip -o link | grep -E 'egn|egl|pods0'; }

            """#

    func expect(
        _ name: String, _ script: String, prints expected: String, within timeout: Duration = .seconds(300),
        location: SourceLocation = #_sourceLocation
    ) throws {
        try AgentScript.expect(
            name, CNITests.helpers + script, prints: expected, within: timeout, location: location)
    }

    @Test("ADD makes the interface with its policies, rates and ports, and DEL takes all of it away")
    func main() throws {
        try expect(
            "cnimain",
            #"""
            pods '"subnets": ["10.22.0.0/24", "fd00:22::/64"]'
            ip netns add a; ip netns add b
            cni ADD pods a a
            begin; policy job '{ matchLabels: { app: job } }' 203.0.113.10/32 | egret apply -f - >/dev/null
            cni STATUS pods - - && echo available
            uplink=$(ip -o route get 203.0.113.11 | grep -o 'dev [^ ]*' | cut -d' ' -f2)
            tcpdump -i $uplink -nn -w denied.pcap host 203.0.113.11 2>/dev/null & denied=$!; sleep 0.3
            ip netns exec a python3 -c '
            import socket, time
            for _ in range(1500):
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                try: s.sendto(b"x", ("203.0.113.11", 53))
                except OSError: pass
                time.sleep(0.001)' & knocking=$!
            cni ADD pods a a
            result pods-a '[d["cniVersion"], sorted(d), [i["name"] for i in d["interfaces"]], d["interfaces"][2].get("sandbox")]'
            result pods-a '[(i["address"], i["gateway"], i["interface"], sorted(i)) for i in d["ips"]]'
            result pods-a '[d["routes"], d["dns"], d["interfaces"][2]["mtu"]]'
            cp results/pods-a first; cni ADD pods a a; cmp first results/pods-a && echo the same once more
            cni ADD pods a a '{"runtimeConfig":{"mac":"02:00:00:00:00:22"}}'
            reach a 203.0.113.10; reach a 203.0.113.11; wait $knocking
            cni CHECK pods a a && echo sound
            echo what is asked for
            cni ADD pods b b '{"CNI_ARGS":"IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web","runtimeConfig":{
                "ips":["10.22.0.77/24","fd00:22::77"],"mac":"02:00:00:00:00:77","dns":{"servers":["192.0.2.53"],"searches":["x.test"]},
                "bandwidth":{"ingressRate":8000000,"ingressBurst":2147483647},
                "io.kubernetes.cri.pod-annotations":{"kubernetes.io/egress-bandwidth":"4M"},
                "portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"},{"hostPort":0,"containerPort":81},
                    {"hostPort":8081,"hostIP":"0.0.0.0","containerPort":80}]}}'
            result pods-b '[[i["address"] for i in d["ips"]], d["interfaces"][2]["mac"], d["dns"]]'
            ip netns exec b python3 -m http.server -b 10.22.0.77 80 >/dev/null 2>&1 & server=$!
            for i in {1..100}; do ip netns exec b curl -s -m1 -o /dev/null http://10.22.0.77/ && break; sleep 0.1; done
            curl -sm2 -o /dev/null -w '%{http_code} by the published port\n' http://127.0.0.1:8080/
            curl -sm2 -o /dev/null -w '%{http_code} of IPv4\n' http://127.0.0.1:8081/; egret publish ls
            tc qdisc show | grep -o 'tbf .*rate [^ ]*' | sed 's/tbf .* rate/rate/' | sort
            endpoints; egret get endpoints shop/web -o json | grep -A8 '"limits"' | grep -o '[48]Mbit' | sort
            reach b 203.0.113.11
            echo the agent is killed; kill -9 $agent; wait $agent 2>/dev/null
            reach a 203.0.113.11; ip netns add c; cni ADD pods c c; cni STATUS pods - -; cni DEL pods b b; begin
            egret get endpoints -o json | grep -c shop/web
            cni CHECK pods a a && echo sound
            v=$(python3 -c 'import json; print(json.load(open("results/pods-a"))["interfaces"][1]["name"])')
            ip link set $v down; cni CHECK pods a a; ip link set $v up nomaster; cni CHECK pods a a; ip link set $v master pods0
            ip -n a route del default; cni CHECK pods a a; ip -n a route add default via 10.22.0.1 dev eth0; cni CHECK pods a a && echo sound
            ip -n a addr del 10.22.0.2/24 dev eth0; cni CHECK pods a a; cni CHECK pods c c '{"prevResult":{}}'
            echo gone
            cni ADD pods c c; result pods-c 'd["ips"][0]["address"]'
            cni GC pods - - '{"cni.dev/valid-attachments":[{"containerID":"a","ifname":"eth0"}]}'; rows
            cni DEL pods a a; cni DEL pods a a; rows; ip -n a link show eth0 2>&1 | grep -o 'does not exist'
            kill $denied; wait $denied 2>/dev/null; echo $(tcpdump -nn -r denied.pcap 2>/dev/null | wc -l) packets of denied flows
            kill $server; for n in a b c; do ip netns del $n; done; settle 0; gone; finish
            """#,
            prints: """
                egret-cni: 11 the agent does not run: nobody listens at /run/egret/agent.sock
                available
                ['1.1.0', ['cniVersion', 'dns', 'interfaces', 'ips', 'routes'], ['pods0', 'egn0', 'eth0'], '/run/netns/a']
                [('10.22.0.2/24', '10.22.0.1', 2, ['address', 'gateway', 'interface']), ('fd00:22::2/64', 'fd00:22::1', 2, ['address', 'gateway', 'interface'])]
                [[{'dst': '0.0.0.0/0', 'gw': '10.22.0.1'}, {'dst': '::/0', 'gw': 'fd00:22::1'}], {}, 1500]
                the same once more
                egret-cni: 101 a has an interface eth0 in pods0 already, which is otherwise
                a reaches 203.0.113.10
                a does not reach 203.0.113.11
                sound
                what is asked for
                [['10.22.0.77/24', 'fd00:22::77/64'], '02:00:00:00:00:77', {'nameservers': ['192.0.2.53'], 'search': ['x.test']}]
                200 by the published port
                200 of IPv4
                HOST      NAMESPACE     PORTS  FROM
                8080/tcp  /run/netns/b  80     everyone
                8081/tcp  /run/netns/b  80     0.0.0.0/0
                rate 4Mbit
                rate 8Mbit
                pods/a pods0 policed
                shop/web pods0 policed
                4Mbit
                8Mbit
                b does not reach 203.0.113.11
                the agent is killed
                a does not reach 203.0.113.11
                egret-cni: 11 the agent does not run: nobody listens at /run/egret/agent.sock
                egret-cni: 50 the agent does not run: nobody listens at /run/egret/agent.sock
                0
                sound
                egret-cni: 101 egn0, the host's end of eth0, is down
                egret-cni: 101 egn0 is no port of pods0
                egret-cni: 101 /run/netns/a has lost its IPv4 default route by eth0
                sound
                egret-cni: 101 eth0 of the container has no address 10.22.0.2 any more
                egret-cni: 101 c is not connected to pods0
                gone
                10.22.0.3/24
                1
                0
                does not exist
                0 packets of denied flows
                """)
    }

    @Test("each version of the specification gets its own form, and what no version knows is refused")
    func versions() throws {
        try expect(
            "cniversion",
            #"""
            ip netns add a; begin
            for v in 0.3.0 0.3.1 0.4.0 1.0.0 1.1.0; do
                pods '"subnets": ["10.22.0.0/24"], "mode": "routed"' $v; cni ADD pods a a
                result pods-a '[d["cniVersion"], d["ips"], ["mtu" in i for i in d["interfaces"]], len(d["interfaces"])]'
                cni CHECK pods a a && echo sound; cni DEL pods a a
            done
            reach() { :; }
            pods '"subnets": ["10.22.0.0/24"], "mode": "routed"'; cni ADD pods a a
            ip netns exec a curl -s -m2 http://203.0.113.10/ ; ip -n a route | sed 's/ *$//'; cni DEL pods a a
            egret network rm pods0; echo wrong
            while read fields; do pods "$fields"; cni ADD pods a a; done <<'X'
            "subnets": ["10.22.0.0/33"]
            "subnets": "10.22.0.0/24"
            "subnets": ["10.22.0.0/24"], "gateways": ["10.23.0.1"]
            "subnets": ["10.22.0.0/24"], "mode": "macvlan"
            "subnets": ["10.22.0.0/24"], "isolated": 1
            "subnets": ["10.22.0.0/24"], "vlan": 7
            "subnets": ["10.22.0.0/24"], "prevResult": {}
            "subnets": ["10.22.0.0/24"], "ipam": { "type": "../host-local" }
            "subnets": ["10.22.0.0/24"], "ipam": { "type": "nowhere" }
            "subnets": ["127.0.0.0/24"]
            "subnets": []
            "subnets": ["10.22.0.0/24"], "runtimeConfig": { "bandwidth": { "egressRate": 10 } }
            "subnets": ["10.22.0.0/24"], "runtimeConfig": { "bandwidth": { "egressBurst": 10 } }
            "subnets": ["10.22.0.0/24"], "runtimeConfig": { "ips": ["10.23.0.5/24"] }
            "subnets": ["10.22.0.0/24"], "runtimeConfig": { "ips": ["10.22.0.1/24"] }
            "subnets": ["10.22.0.0/24"], "runtimeConfig": { "mac": "01:00:00:00:00:01" }
            "subnets": ["10.22.0.0/24"], "runtimeConfig": { "portMappings": [{ "hostPort": 80 }] }
            "subnets": ["10.22.0.0/24"], "args": { "cni": { "labels": [{ "key": "a b", "value": "" }] } }
            X
            pods '"subnets": ["10.22.0.0/24"]'; cni ADD pods a none
            cni ADD pods a a > added; cni GC pods - - '{"cni.dev/valid-attachments":{}}'; cni GC pods - -; rows
            cni DEL pods a a; rows
            echo otherwise by now
            cni ADD pods a a > added; pods '"subnets": "none", "mode": "macvlan"'; rows; cni DEL pods a a; rows
            pods '"subnets": ["10.22.0.0/24"]'; cni ADD pods a a > added; rows
            sed -i 's/"network": "pods0",//; s/"labels": .*/"disableCheck": false }] }/' net.d/pods.json
            cni DEL pods a a; rows; pods '"subnets": ["10.22.0.0/24"]'
            cni ADD pods a a > added; rows; sed -i 's/"network": "pods0"/"network": "pods1", "mode": "macvlan"/' net.d/pods.json
            cni GC pods - - '{"cni.dev/valid-attachments":[{"containerID":"a","ifname":"eth0"}]}'; rows
            cni GC pods - - '{"cni.dev/valid-attachments":[]}'; rows; pods '"subnets": ["10.22.0.0/24"]'; cni ADD pods a a > added
            sed -i 's/"network": "pods0",//; s/"labels": .*/"disableCheck": false }] }/' net.d/pods.json; rows
            cni GC pods - - '{"cni.dev/valid-attachments":[]}'; rows; pods '"subnets": ["10.22.0.0/24"]'
            sed -i 's/1.1.0/1.0.0/' net.d/pods.json; cni GC pods - -; cni STATUS pods - -
            sed -i 's/1.0.0/0.3.1/' net.d/pods.json; cni CHECK pods a a
            ip netns del a; gone; finish
            """#,
            prints: """
                ['0.3.0', [{'address': '10.22.0.2/32', 'gateway': '10.22.0.1', 'interface': 1, 'version': '4'}], [False, False], 2]
                egret-cni: 1 version 0.3.0 has no CHECK, which came with 0.4.0
                ['0.3.1', [{'address': '10.22.0.2/32', 'gateway': '10.22.0.1', 'interface': 1, 'version': '4'}], [False, False], 2]
                egret-cni: 1 version 0.3.1 has no CHECK, which came with 0.4.0
                ['0.4.0', [{'address': '10.22.0.2/32', 'gateway': '10.22.0.1', 'interface': 1, 'version': '4'}], [False, False], 2]
                sound
                ['1.0.0', [{'address': '10.22.0.2/32', 'gateway': '10.22.0.1', 'interface': 1}], [False, False], 2]
                sound
                ['1.1.0', [{'address': '10.22.0.2/32', 'gateway': '10.22.0.1', 'interface': 1}], [False, True], 2]
                sound
                hello from web1 to 192.0.2.2
                default via 10.22.0.1 dev eth0 proto static
                10.22.0.0/24 via 10.22.0.1 dev eth0 proto static
                10.22.0.1 dev eth0 proto static scope link
                wrong
                egret-cni: 7 subnets: “10.22.0.0/33” is no block of addresses
                egret-cni: 7 subnets is to be a list of strings
                egret-cni: 7 the gateway 10.23.0.1 is in none of the subnets
                egret-cni: 7 mode is macvlan, and can be bridge or routed
                egret-cni: 7 isolated is to be true or false
                egret-cni: 2 egret-cni has no field vlan
                egret-cni: 7 there is a prevResult
                egret-cni: 7 ipam has no type, which is to be the name of a plugin
                egret-cni: 7 ipam: there is no plugin nowhere
                egret-cni: 101 127.0.0.0/24 cannot be a network's addresses
                egret-cni: 101 there is no network pods0
                egret-cni: 7 egressRate is not between 8kbit and 10Tbit
                egret-cni: 7 bandwidth has egressBurst and no egressRate
                egret-cni: 101 10.23.0.5 is not in the network
                egret-cni: 101 10.22.0.1 is the network's gateway
                egret-cni: 7 mac: “01:00:00:00:00:01” cannot be an interface's hardware address
                egret-cni: 7 portMappings: hostPort 80 has no containerPort
                egret-cni: 7 “a b=” is no label
                egret-cni: 101 /run/netns/none is no network namespace: cannot open /run/netns/none: ENOENT (No such file or directory)
                egret-cni: 7 cni.dev/valid-attachments is to be a list
                1
                0
                otherwise by now
                1
                0
                1
                0
                1
                1
                0
                1
                0
                egret-cni: 1 version 1.0.0 has no GC, which came with 1.1.0
                egret-cni: 1 version 1.0.0 has no STATUS, which came with 1.1.0
                egret-cni: 1 version 0.3.1 has no CHECK, which came with 0.4.0
                """)
    }

    @Test("without an agent the policies are those of a file, and whoever is killed leaves nothing that stays")
    func alone() throws {
        try expect(
            "cnialone",
            #"""
            policy job '{ matchLabels: { app: job } }' 203.0.113.10/32 >job.yaml
            pods '"subnets": ["10.22.0.0/24"], "policy": "'$PWD'/job.yaml"'
            for n in a b c d; do ip netns add $n; done
            cni STATUS pods - - && echo available
            cni ADD pods a a; reach a 203.0.113.10; reach a 203.0.113.11
            echo what needs an agent
            mv job.yaml kept; sed 's|ports|&|; s|to: \[|when: { days: [mon], hours: ["09:00-17:00"] }, &|' kept >job.yaml
            cni ADD pods b b | cut -c1-60; echo broken >job.yaml; cni ADD pods b b | grep -c 'there is a mistake'; mv kept job.yaml
            cni CHECK pods a a && echo sound
            begin; cni ADD pods b b; kill $agent; wait $agent 2>/dev/null; reach a 203.0.113.11; egret network connect pods0 d | cut -d' ' -f1
            echo killed anywhere; killed 7 60 0.4
            for n in b c; do cni DEL pods $n $n; cni ADD pods $n $n; result pods-$n 'd["ips"][0]["address"]'; done
            reach b 203.0.113.10; reach b 203.0.113.11; reach a 203.0.113.11; rows; ip -o link | grep -c ': egn'
            for i in 1 2 3 4; do ip netns add s$i; cni ADD pods s$i s$i & done; wait
            for i in 1 2 3 4; do result pods-s$i 'd["ips"][0]["address"]'; done | sort -u | wc -l
            ip netns exec a sleep 0; ip netns del a; cni DEL pods a a; egret network disconnect pods0 d
            for n in b c s1 s2 s3 s4; do cni DEL pods $n $n; ip netns del $n; done; rows
            gone; nft list tables | grep egret; ip netns del d
            """#,
            prints: """
                available
                a reaches 203.0.113.10
                a does not reach 203.0.113.11
                what needs an agent
                egret-cni: 100 times of job need an agent, which looks after
                1
                sound
                egret-cni: 100 the endpoint's policies cannot be put in force: an agent runs here, which holds endpoints to policies of its own
                a does not reach 203.0.113.11
                d
                killed anywhere
                10.22.0.4/24
                10.22.0.5/24
                b reaches 203.0.113.10
                b does not reach 203.0.113.11
                a does not reach 203.0.113.11
                4
                4
                4
                0
                """)
    }

    @Test("addresses by host-local, containers of containerd, and Podman's CNI back end")
    func runtimes() throws {
        try expect(
            "cniruntime",
            #"""
            ipam='"ipam": { "type": "host-local", "dataDir": "'$PWD'/ipam", "ranges": [[{ "subnet": "10.22.0.0/24", "rangeStart": "10.22.0.50" }]], "routes": [{ "dst": "0.0.0.0/0" }] }'
            pods "$ipam"; ip netns add a; begin
            policy job '{ matchLabels: { app: job } }' 203.0.113.10/32 | egret apply -f - >/dev/null
            cni ADD pods a a; result pods-a 'd["ips"]'; reach a 203.0.113.10; reach a 203.0.113.11
            cni CHECK pods a a && echo sound; cni STATUS pods - - && echo available
            cni GC pods - - '{"cni.dev/valid-attachments":[{"containerID":"a","ifname":"eth0"}]}'; ls ipam/pods | grep -v l
            kill $agent; wait $agent 2>/dev/null; ip netns add b; cni ADD pods b b; begin; ls ipam/pods | grep -v l
            cni DEL pods a a; cni DEL pods a a; ls ipam/pods | grep -v l; rows
            pods "${ipam/0.0.0.0\/0/10.9.0.0\/16}"; cni ADD pods b b; ls ipam/pods | grep -v l
            ip netns del a; ip netns del b; egret network rm pods0
            echo containerd
            mkdir -p image/bin w list; cp /bin/busybox image/bin; for a in sh nc grep sleep; do ln -s busybox image/bin/$a; done
            pods '"subnets": ["10.22.0.0/24"]' 1.0.0; mv net.d/pods.json list/10-pods.conflist
            printf 'version = 2\nroot = "%s"\nstate = "%s"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "%s"\n' \
                $PWD/w/root $PWD/w/state $PWD/w/sock >c.toml
            containerd -c c.toml >>w/log 2>&1 & containerd=$!
            for i in {1..100}; do ctr -a w/sock version >/dev/null 2>&1 && break; sleep 0.05; done
            # Others who mount something there wait.
            exec 8</opt; flock 8
            unshare -m --propagation private bash -c "
                mkdir -p /etc/cni/net.d /opt/cni/bin; mount --bind list /etc/cni/net.d; mount --bind bin /opt/cni/bin
                ctr -a w/sock run --rm --cni --rootfs $PWD/image t1 /bin/sh -c '
                    for a in 203.0.113.11 203.0.113.10; do $page \$a 80 | grep -q hello && echo t1 reaches \$a; done' 2>&1" | grep -v '^nc\|^egret'
            kill $containerd; wait $containerd 2>/dev/null
            rmdir /etc/cni/net.d /etc/cni /opt/cni/bin /opt/cni 2>/dev/null; flock -u 8; exec 8<&-; rows
            echo podman
            # What podman starts when a container ends has not got the variables of whoever started the container.
            printf '#!/bin/sh\nexport EGRET_STATE_DIRECTORY=%s PATH=%s LD_LIBRARY_PATH=%s\nexec egret-cni\n' \
                "$EGRET_STATE_DIRECTORY" "$PATH" "$LD_LIBRARY_PATH" >plugin; chmod +x plugin; ln -sf ../plugin bin/egret-cni
            podman_with cni; cp list/10-pods.conflist $W/net/pods.conflist
            try() { p exec $1 /bin/sh -c "$page $2 80" 2>/dev/null | grep -q hello && echo "$1 reaches $2" || echo "$1 does not reach $2"; }
            p run -d --network pods --name one -p 8081:80 --rootfs $PWD/image /bin/sh -c \
                'while :; do echo -e "HTTP/1.0 200 OK\r\n\r\nhello" | nc -l -p 80; done' >/dev/null
            endpoints; try one 203.0.113.10; try one 203.0.113.11; curl -sm2 http://127.0.0.1:8081/
            kill $agent; wait $agent 2>/dev/null
            p run -d --network pods --name two --rootfs $PWD/image /bin/sleep 9 2>&1 | grep -o 'the agent does not run' | head -1
            p rm -f -t0 -a 2>&1 >/dev/null | cat >&2; begin; rows; gone; finish; rm -rf $W
            """#,
            prints: """
                [{'address': '10.22.0.50/24', 'gateway': '10.22.0.1', 'interface': 2}]
                a reaches 203.0.113.10
                a does not reach 203.0.113.11
                sound
                available
                10.22.0.50
                egret-cni: 11 the agent does not run: nobody listens at /run/egret/agent.sock
                10.22.0.50
                0
                egret-cni: 2 host-local gives a route to 10.9.0.0/16
                containerd
                t1 reaches 203.0.113.10
                0
                podman
                pods/one pods0 policed
                one reaches 203.0.113.10
                one does not reach 203.0.113.11
                hello
                the agent does not run
                0
                """, within: .seconds(180))
    }
}
