// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Testing

/// The agent beside container engines, the real ones, and namespaces that somebody else has connected.
@Suite("containers", .serialized, .requiresRoot)
struct ContainerTests {
    /// Engines, the agent, and what a container reaches.
    static let helpers =
        AgentScript.begin + """
            export DOCKER_HOST=unix:///run/w/docker.sock
            docker() { /usr/bin/docker "$@"; }
            d() { docker "$@"; }
            up() {
                mkdir -p /run/w/root /run/w/image/bin; echo ${settings:-"{}"} >/run/w/daemon.json
                mountpoint -q /run/w/root || mount -t tmpfs tmpfs /run/w/root
                dockerd --config-file /run/w/daemon.json --data-root /run/w/root --exec-root /run/w/exec \\
                    --pidfile /run/w/pid -H $DOCKER_HOST >>/run/w/log 2>&1 & daemon=$!
                for i in {1..200}; do d version >/dev/null 2>&1 && break; sleep 0.05; done
                cp /bin/busybox /run/w/image/bin; for a in sh nc sleep; do ln -sf busybox /run/w/image/bin/$a; done
                d image inspect box >/dev/null 2>&1 || tar -C /run/w/image -c . | d import - box >/dev/null
            }
            down() { kill $daemon; wait $daemon; }
            page='printf "GET / HTTP/1.0\\r\\n\\r\\n" | nc -w2'
            # Whether a container gets the page of a server.
            reaches() { d exec $1 sh -c "$page $2 80" 2>/dev/null | grep -q hello && echo "$1 reaches $2" || echo "$1 does not reach $2"; }
            policy() { cat <<X
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: $1 }
            spec: { selects: $2, egress: [{ action: allow, to: [{ cidr: $3 }] }] }
            X
            }
            endpoints() { egret get endpoints -o wide | tail -n +2 | awk '{ print $1, $2, $4 == "-" ? "free" : "policed" }' | sort; }
            # Waits until the endpoints are so many.
            settle() { for i in {1..100}; do [ $(egret get endpoints -o json | grep -c '"name"') = $1 ] && return; sleep 0.05; done; endpoints; }
            finish() {
                kill $agent 2>/dev/null; wait $agent 2>/dev/null; begin
                egret delete $(egret get policies -o json | grep -o '"object" : "[^"]*"' | cut -d'"' -f4) >/dev/null
                kill $agent; wait $agent 2>/dev/null; rm -rf /run/egret/endpoints-*; nft list tables | grep egret
            }
            # What belongs to an engine of another root.
            left() { :; }
            cleared() { down; umount /run/w/root; ip link del docker0; nft flush ruleset; left; }

            """

    func expect(
        _ name: String, with engines: Engines = .present, _ script: String, prints expected: String,
        within timeout: Duration = .seconds(400), location: SourceLocation = #_sourceLocation
    ) throws {
        try AgentScript.expect(
            name, ContainerTests.helpers + engines.helpers + script, prints: expected, within: timeout,
            location: location)
    }

    @Test(
        "Docker's containers are held to policies by name, label and network, from start to end",
        arguments: Engines.allCases)
    func docker(engines: Engines) throws {
        try expect(
            "ctdocker", with: engines,
            """
            up; begin --runtime docker=/run/w/docker.sock
            policy web '{ names: [docker/web] }' 203.0.113.10/32 >p.yaml
            policy build '{ matchLabels: { egret.policy: build } }' 203.0.113.11/32 | { echo ---; cat; } >>p.yaml
            egret apply -f p.yaml >/dev/null
            for n in web "build --label egret.policy=build" other "side --network container:web" "all --network host"; do
                d run -d --name $n box sleep 1000 >/dev/null
            done
            settle 5; endpoints
            for n in web build other side; do reaches $n 203.0.113.10; reaches $n 203.0.113.11; done
            egret get endpoints docker/side docker/all -o json | grep -o '"reason" : ".*"' | cut -d'"' -f4
            echo connected to a second network
            d network create --subnet 172.30.0.0/24 -o com.docker.network.bridge.name=br-two two >/dev/null
            d network connect two web; settle 6; d network disconnect bridge web; settle 5; endpoints | grep web
            reaches web 203.0.113.10; reaches web 203.0.113.11
            echo renamed; 
            called() { for i in {1..100}; do egret get endpoints docker/$1 >/dev/null 2>&1 && return; sleep 0.05; done; }
            d rename web site; called site; reaches site 203.0.113.11; d rename site web; called web
            echo the agent is killed, and the engine ends
            kill -9 $agent; wait $agent 2>/dev/null; reaches web 203.0.113.11; reaches web 203.0.113.10
            begin --runtime docker=/run/w/docker.sock; reaches web 203.0.113.11; reaches web 203.0.113.10
            d rm -f build other >/dev/null; settle 3; endpoints
            d rm -f web side all >/dev/null; d network rm two >/dev/null; settle 0
            finish; cleared
            """,
            prints: """
                docker/all - free
                docker/build docker0 policed
                docker/other docker0 free
                docker/side - free
                docker/web docker0 policed
                web reaches 203.0.113.10
                web does not reach 203.0.113.11
                build does not reach 203.0.113.10
                build reaches 203.0.113.11
                other reaches 203.0.113.10
                other reaches 203.0.113.11
                side reaches 203.0.113.10
                side does not reach 203.0.113.11
                it uses the host's network, which no policy for endpoints is about
                it shares the network of docker/web, whose policies hold for both
                connected to a second network
                docker/web br-two policed
                web reaches 203.0.113.10
                web does not reach 203.0.113.11
                renamed
                site reaches 203.0.113.11
                the agent is killed, and the engine ends
                web does not reach 203.0.113.11
                web reaches 203.0.113.10
                web does not reach 203.0.113.11
                web reaches 203.0.113.10
                docker/all - free
                docker/side - free
                docker/web br-two policed
                """)
    }

    @Test(
        "on a quarantined bridge no packet of a denied flow leaves, whether the agent runs, is killed or begins",
        arguments: [(.present, 10), (.newer, 1)] as [(Engines, Int)])
    func quarantine(engines: Engines, rounds: Int) throws {
        try expect(
            "ctquarant", with: engines,
            """
            rounds=\(rounds)
            up; begin --runtime docker=/run/w/docker.sock --quarantine docker0
            policy build '{ matchLabels: { egret.policy: build } }' 203.0.113.10/32 | egret apply -f - >/dev/null
            for i in 1 2 3; do
                d run --rm --label egret.policy=build --name first box sh -c "$page 203.0.113.10 80" | tail -n1; settle 0
            done
            nft list counter inet egret-policy quarantined | grep -q 'packets 0 ' && echo none had to wait
            uplink=$(ip -o route get 203.0.113.11 | grep -o 'dev [^ ]*' | cut -d' ' -f2)
            tcpdump -i $uplink -nn -w denied.pcap host 203.0.113.11 2>/dev/null & denied=$!
            tcpdump -i $uplink -nn -w allowed.pcap tcp and dst host 203.0.113.10 2>/dev/null & allowed=$!
            sleep 0.5
            # A hundred containers, or fewer, in tens. The first thing that each does is to ask the denied server.
            batch() { tries=; for n in {0..9}; do $1 $2 >>$1 & tries="$tries $!"; done; sleep 0.3; }
            # Then it asks the allowed one until that answers.
            try() {
                d run --rm --label egret.policy=build box sh -c 'nc -w1 203.0.113.11 80 & nc -w1 203.0.113.11 443 &
                    for i in 1 2 3 4; do '"$page"' 203.0.113.10 80 | grep -q hello && echo reached && break; done; wait' 2>/dev/null
            }
            knock() { d run --rm --label egret.policy=build box nc -w1 203.0.113.11 80 2>/dev/null; }
            echo the agent runs
            for round in $(seq $rounds); do batch try; wait $tries; done; grep -c reached try
            echo it restarts; rm try
            for round in $(seq $rounds); do
                batch try; kill -$([ $((round % 2)) = 1 ] && echo 9 || echo 15) $agent; wait $agent 2>/dev/null
                begin --runtime docker=/run/w/docker.sock --quarantine docker0; wait $tries
            done
            grep -c reached try
            echo it is killed
            for round in $(seq $rounds); do
                batch knock; [ $round = 1 ] && kill -9 $agent && wait $agent 2>/dev/null; wait $tries
            done
            begin --runtime docker=/run/w/docker.sock --quarantine docker0
            sleep 0.5; kill $denied $allowed; wait $denied $allowed 2>/dev/null
            echo $(tcpdump -nn -r denied.pcap 2>/dev/null | wc -l) packets of denied flows
            [ $(tcpdump -nn -r allowed.pcap 2>/dev/null | wc -l) -gt $((30 * rounds)) ] && echo and many of allowed ones
            settle 0; ls /run/egret/endpoints-* | wc -l
            # Nobody knows who comes while no agent runs.
            kill $agent; wait $agent 2>/dev/null
            d run -d --name late --label egret.policy=build box sleep 1000 >/dev/null
            reaches late 203.0.113.10; reaches late 203.0.113.11
            nft list counter inet egret-policy quarantined | grep -q 'packets [1-9]' && echo held back
            begin --runtime docker=/run/w/docker.sock --quarantine docker0; reaches late 203.0.113.10; reaches late 203.0.113.11
            d rm -f late >/dev/null; settle 0
            finish; cleared
            """,
            prints: """
                hello from web1 to 192.0.2.2
                hello from web1 to 192.0.2.2
                hello from web1 to 192.0.2.2
                none had to wait
                the agent runs
                \(10 * rounds)
                it restarts
                \(10 * rounds)
                it is killed
                0 packets of denied flows
                and many of allowed ones
                0
                late does not reach 203.0.113.10
                late does not reach 203.0.113.11
                held back
                late reaches 203.0.113.10
                late does not reach 203.0.113.11
                """, within: .seconds(800))
    }

    @Test(
        "an engine that takes no early version, and cannot tell about one of its containers, is followed for the others"
    )
    func engine() throws {
        try expect(
            "ctengine",
            #"""
            ip link add lan type bridge; ip addr add 10.8.0.1/24 dev lan; ip link set lan up
            for n in 2 3; do
                ip netns add n$n; ip link add v$n type veth peer name eth0 address 02:00:00:00:00:0$n netns n$n; ip link set v$n master lan up
                ip -n n$n addr add 10.8.0.$n/24 dev eth0; ip -n n$n link set eth0 up
            done
            ip netns exec n2 sleep 1000 & two=$!; ip netns exec n3 sleep 1000 & three=$!; sleep 0.3
            cat >engine.py <<'X'
            import json, os, socketserver, sys, time, http.server
            name = "x" * 300
            class Handler(http.server.BaseHTTPRequestHandler):
                protocol_version = "HTTP/1.1"
                def log_message(self, *a): pass
                def address_string(self): return "-"
                def do_GET(self):
                    path = self.path.split("?")[0]
                    if path == "/events":
                        # Nothing is said before there is something to tell.
                        self.send_response(200); self.send_header("Transfer-Encoding", "chunked")
                        while not os.path.exists("events"): time.sleep(0.1)
                        self.end_headers()
                        while True:
                            time.sleep(0.1)
                            if os.path.exists("events"):
                                line = open("events").read().encode(); os.remove("events")
                                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line)); self.wfile.flush()
                    def container(id, name, pid, mac):
                        return dict(Id=id, Name="/" + name, State=dict(Running=True, Pid=int(pid)), Config=dict(Labels={"big": "y" * 100}),
                            NetworkSettings=dict(Networks=dict(lan=dict(IPAddress="10.8.0.2", GlobalIPv6Address="", MacAddress=mac))))
                    if path == "/containers/stuck/json":
                        while os.path.exists("stuck"): time.sleep(0.1)
                        status, body = 404, {}
                    elif path == "/containers/json": status, body = 200, [dict(Id=i) for i in ("stuck", "a", "b") if i != "a" or not os.path.exists("gone")]
                    elif path == "/containers/a/json" and not os.path.exists("gone"): status, body = 200, container("a", "one", sys.argv[1], "02:00:00:00:00:02")
                    elif path == "/containers/b/json": status, body = 200, container("b", name, sys.argv[2], "02:00:00:00:00:03")
                    elif path.startswith("/v"): status, body = 400, dict(message="client version 1.24 is too old. Minimum supported API version is 1.44")
                    else: status, body = 404, {}
                    data = json.dumps(body).encode()
                    self.send_response(status); self.send_header("Content-Length", str(len(data))); self.end_headers(); self.wfile.write(data)
            class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer): daemon_threads = True
            Server("/run/engine.sock", Handler).serve_forever()
            X
            touch stuck; python3 engine.py $two $three & engine=$!; sleep 0.5
            begin --runtime docker=/run/engine.sock >/dev/null
            for i in {1..200}; do egret get status >/dev/null 2>&1 && break; sleep 0.1; done
            settle 2; endpoints | sed 's/xx*/x/'; grep -o 'does not tell of its container stuck' log
            # The two have the same address: it is the first one's until that is gone.
            egret get endpoints docker/one -o json | grep -c 10.8.0.2; egret get endpoints docker/$(printf x%.0s {1..300}) -o json | grep -o '"reason".*' | cut -d'"' -f4 | sort -u
            echo attached besides
            egret attach pid:$two --name docker/one | tail -1 | awk '{ print $1, $2, $3 }'
            egret attach pid:$two --name docker/one --label a=b 2>&1 | head -1; egret attach netns:n2 --name docker/other 2>&1 | head -1
            endpoints | grep one
            touch gone; kill $two; ip netns del n2; echo '{"Type":"container","Actor":{"ID":"a"}}' >events; settle 1
            for i in {1..50}; do egret get endpoints -o json | grep -q 10.8.0.2 && echo and then of the other && break; sleep 0.1; done
            echo a record is damaged
            kill $agent; wait $agent 2>/dev/null; file=$(ls /run/egret/endpoints-*/*); echo '{' >$file
            egret agent --state $PWD/agent 2>&1 | grep -o 'cannot be read as the record of an endpoint' | head -1
            rm $file; kill $engine $three; ip netns del n3; ip link del lan; finish
            """#,
            prints: """
                docker/one lan free
                docker/x lan free
                does not tell of its container stuck
                1
                it has the capability NET_ADMIN in the host's user namespace, and can connect itself to the host's network anew; it has the capability SYS_TIME in the host's user namespace, and can set the clock that rules with times go by; eth0 has an address of docker/one's
                attached besides
                docker/one lan 10.8.0.2
                egret: docker/one is a container of docker's, whose labels come from there
                egret: docker/other cannot be attached: it shares the network of docker/one, whose policies hold for both
                docker/one lan free
                and then of the other
                a record is damaged
                cannot be read as the record of an endpoint
                """)
    }

    @Test(
        "links that lead out otherwise are told, and a quarantined bridge's strangers take nothing that is an endpoint's"
    )
    func strangers() throws {
        try expect(
            "ctstrange",
            #"""
            ip link add lan address 02:00:00:00:00:01 type bridge; ip addr add 10.8.0.1/24 dev lan; ip addr add fd00:8::1/64 dev lan nodad
            ip link set lan up; sysctl -qw net.ipv4.ip_forward=1
            for n in 2 3; do
                ip netns add n$n; ip link add v$n type veth peer name eth0 address 02:00:00:00:00:0$n netns n$n; ip link set v$n master lan up
                ip -n n$n addr add 10.8.0.$n/24 dev eth0; ip -n n$n addr add fd00:8::$n/64 dev eth0 nodad
                ip -n n$n link set eth0 up; ip -n n$n route add default via 10.8.0.1
            done
            nft 'table ip t { chain c { type nat hook postrouting priority 100; ip saddr 10.0.0.0/8 ip daddr 203.0.113.0/24 masquerade; }; }'
            begin --quarantine lan; egret attach netns:n2 >/dev/null
            policy two '{ names: [netns/n2] }' 203.0.113.10/32 | egret apply -f - >/dev/null
            uplink=$(ip -o route get 203.0.113.11 | grep -o 'dev [^ ]*' | cut -d' ' -f2)
            tcpdump -i $uplink --immediate-mode -U -nn -w out.pcap udp dst port 9999 and dst host 203.0.113.10 2>/dev/null & capture=$!; sleep 0.5
            cat >send.py <<'X'
            import socket, struct, sys
            host, mac, source = bytes.fromhex("020000000001"), bytes.fromhex(sys.argv[1]), sys.argv[2]
            def sum16(b): s = sum(struct.unpack("!%dH" % (len(b) // 2), b)); s = (s >> 16) + (s & 0xffff); return ~(s + (s >> 16)) & 0xffff
            udp = struct.pack("!HHHH", 9999, 9999, 8, 0)
            ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28, 1, 0, 64, 17, 0, socket.inet_aton(source), socket.inet_aton("203.0.113.10"))
            ip = ip[:10] + struct.pack("!H", sum16(ip)) + ip[12:]
            tags = bytes.fromhex("81000000") * int(sys.argv[3])
            s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(("eth0", 0))
            for _ in range(5): s.send(host + mac + tags + b"\x08\x00" + ip + udp)
            X
            send() { ip netns exec $1 python3 send.py $2 $3 $4; sleep 0.3; }
            for tags in 0 1 2 3; do send n3 020000000003 10.8.0.2 $tags; send n3 020000000003 10.8.0.3 $tags; done
            send n3 020000000002 10.8.0.3 0
            [ "$(bridge fdb show br lan | grep '^02:00:00:00:00:02 dev v3')" ] && echo the address of the other is taken
            echo the neighbour is probed
            ip netns exec n2 ping -6 -c1 -W2 fd00:8::1 >/dev/null
            ip -n n2 neigh change fd00:8::1 dev eth0 nud probe; sleep 4; ip -n n2 neigh show fd00:8::1 | grep -o REACHABLE
            send n2 020000000002 10.8.0.2 0; sleep 1; kill $capture; wait $capture 2>/dev/null
            echo $(tcpdump -nn -r out.pcap 2>/dev/null | wc -l) packets, all of the endpoint
            echo other ways
            ip netns add far; ip -n n2 link add pair type veth peer name pair netns far
            ip link add direct link lan netns n3 type macvlan; egret attach netns:n3 -o json | grep -o '"reason".*' | cut -d'"' -f4 | sort -u
            egret attach netns:n2 -o json | grep -o '"reason".*' | cut -d'"' -f4 | sort -u
            for n in n2 n3 far; do ip netns del $n; done; settle 0; finish; ip link del lan; nft delete table ip t
            """#,
            prints: """
                the neighbour is probed
                REACHABLE
                5 packets, all of the endpoint
                other ways
                direct is a macvlan, whose packets pass the host by
                pair leads to another namespace than the host's
                """)
    }

    @Test("a namespace that somebody else has connected is attached and let go of")
    func attach() throws {
        try expect(
            "ctattach",
            """
            reach() { ip netns exec $1 curl -s -m2 http://$2/ >/dev/null && echo "$1 reaches $2" || echo "$1 does not reach $2"; }
            ip link add lan type bridge; ip addr add 10.8.0.1/24 dev lan; ip link set lan up; sysctl -qw net.ipv4.ip_forward=1
            for n in 2 3; do
                ip netns add n$n; ip link add v$n type veth peer name eth0 netns n$n; ip link set v$n master lan up
                ip -n n$n addr add 10.8.0.$n/24 dev eth0; ip -n n$n link set eth0 up; ip -n n$n route add default via 10.8.0.1
            done
            ip netns add n4; ip link add v4 type veth peer name eth0 netns n4; ip addr add 10.7.0.1/24 dev v4; ip link set v4 up
            ip -n n4 addr add 10.7.0.4/24 dev eth0; ip -n n4 link set eth0 up; ip -n n4 route add default via 10.7.0.1
            nft 'table ip t { chain c { type nat hook postrouting priority 100; ip saddr 10.0.0.0/8 ip daddr 203.0.113.0/24 masquerade; }; }'
            begin
            policy p '{ matchLabels: { app: job } }' 203.0.113.10/32 | egret apply -f - >/dev/null
            reach n2 203.0.113.11
            egret attach netns:n2 --label app=job | tail -1 | awk '{ print $1, $2, $3 }'
            ip netns exec n4 sleep 100 & sleep 0.2
            egret attach pid:$! --name jobs/four --label app=job | tail -1 | awk '{ print $1, $2, $3 }'
            for n in n2 n3 n4; do reach $n 203.0.113.10; reach $n 203.0.113.11; done
            echo an address of another, taken
            ip -n n3 addr add 10.8.0.2/24 dev eth0; ip -n n3 addr del 10.8.0.3/24 dev eth0
            egret attach netns:n3 -o json | grep -c '10.8.0.2'
            echo wrong; egret attach netns:none 2>&1; egret attach pid:$$ 2>&1 | sed "s,pid/$$,pid/4711,"
            egret attach netns:n2 --name jobs/four 2>&1 | head -1; egret detach nobody/there 2>&1 | head -1
            kill -9 $agent; wait $agent 2>/dev/null; begin; endpoints; reach n2 203.0.113.11
            egret detach netns/n2; reach n2 203.0.113.11
            kill %2; ip netns del n4; ip netns del n3; settle 0
            finish; ip netns del n2; ip link del lan; nft delete table ip t
            """,
            prints: """
                n2 reaches 203.0.113.11
                netns/n2 lan 10.8.0.2
                jobs/four v4 10.7.0.4
                n2 reaches 203.0.113.10
                n2 does not reach 203.0.113.11
                n3 reaches 203.0.113.10
                n3 reaches 203.0.113.11
                n4 reaches 203.0.113.10
                n4 does not reach 203.0.113.11
                an address of another, taken
                0
                wrong
                egret: /run/netns/none is no network namespace: cannot open /run/netns/none: ENOENT (No such file or directory)
                       ip netns list shows those there are; containers are docker:NAME, podman:NAME, processes pid:NUMBER
                egret: pid/4711 cannot be attached: it uses the host's network, which no policy for endpoints is about
                egret: jobs/four is another endpoint, which is still there
                egret: there is no attached endpoint nobody/there
                jobs/four v4 policed
                netns/n2 lan policed
                netns/n3 lan free
                n2 does not reach 203.0.113.11
                netns/n2 detached
                n2 reaches 203.0.113.11
                """)
    }

    @Test(
        "egret-cni, behind the reference plugins: ADD answers when the policy holds, and without an agent nobody comes")
    func cni() throws {
        try expect(
            "ctcni",
            #"""
            mkdir bin net.d; for p in /usr/lib/cni/*; do ln -s $p bin; done; ln -sf $(command -v egret-cni) bin
            cat >net.d/10-pods.conflist <<X
            { "cniVersion": "1.0.0", "name": "pods", "plugins": [
              { "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true,
                "ipam": { "type": "host-local", "dataDir": "$PWD/ipam", "routes": [{ "dst": "0.0.0.0/0" }],
                  "ranges": [[{ "subnet": "10.22.0.0/24" }]] } },
              { "type": "egret-cni", "labels": { "app": "job" } } ] }
            X
            cat >runtime.py <<'X'
            import json, os, subprocess, sys
            command, name, namespace = sys.argv[1:4]
            chain = json.load(open("net.d/10-pods.conflist"))
            result, plugins = None, chain["plugins"]
            state = f"result-{name}"
            if command != "ADD": result = json.load(open(state))
            for plugin in plugins if command != "DEL" else reversed(plugins):
                config = dict(plugin, cniVersion=chain["cniVersion"], name=chain["name"])
                if result: config["prevResult"] = result
                run = subprocess.run(["bin/" + plugin["type"]], input=json.dumps(config), capture_output=True, text=True,
                    env=dict(os.environ, CNI_COMMAND=command, CNI_CONTAINERID=name, CNI_NETNS="/run/netns/" + namespace,
                        CNI_IFNAME="eth0", CNI_PATH=os.getcwd() + "/bin", CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=" + name))
                if run.returncode:
                    error = json.loads(run.stdout); sys.exit(f"{plugin['type']}: {error['code']} {error['msg']}")
                if command == "ADD": result = json.loads(run.stdout); json.dump(result, open(state, "w"))
            X
            cni() { python3 runtime.py "$@" 2>&1; }
            reach() { ip netns exec $1 curl -s -m2 http://$2/ >/dev/null && echo "$1 reaches $2" || echo "$1 does not reach $2"; }
            begin --quarantine cni0; policy job '{ matchLabels: { app: job } }' 203.0.113.10/32 | egret apply -f - >/dev/null
            uplink=$(ip -o route get 203.0.113.11 | grep -o 'dev [^ ]*' | cut -d' ' -f2)
            tcpdump -i $uplink -nn -w denied.pcap host 203.0.113.11 2>/dev/null & denied=$!; sleep 0.3
            for n in a b c; do
                ip netns add $n
                # It tries from before its link is there.
                ip netns exec $n python3 -c '
            import socket, time
            for _ in range(1000):
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                try: s.sendto(b"x", ("203.0.113.11", 53))
                except OSError: pass
                time.sleep(0.002)' &
                cni ADD $n $n; cni CHECK $n $n; reach $n 203.0.113.10; reach $n 203.0.113.11
            done
            endpoints
            kill $denied; wait $denied 2>/dev/null; echo $(tcpdump -nn -r denied.pcap 2>/dev/null | wc -l) packets of denied flows
            for n in a b; do cni DEL $n $n; cni DEL $n $n; ip netns del $n; done; settle 1
            echo '{"cniVersion":"1.1.0"}' | CNI_COMMAND=CHECK CNI_CONTAINERID=e CNI_NETNS=/run/netns/c CNI_IFNAME=eth0 \
                CNI_ARGS='K8S_POD_NAMESPACE=shop;K8S_POD_NAME=e' egret-cni | grep -o '"code":100,.*"'
            # Two networks of one container at the same time: none of the labels is lost.
            for i in {0..9}; do
                pair=; for n in one two; do
                    echo '{"cniVersion":"1.1.0","name":"'$n'","labels":{"'$n-$i'":"yes"},"prevResult":{}}' | CNI_COMMAND=ADD \
                        CNI_CONTAINERID=c CNI_NETNS=/run/netns/c CNI_IFNAME=eth0 CNI_ARGS='K8S_POD_NAMESPACE=shop;K8S_POD_NAME=c' \
                        egret-cni >/dev/null & pair+=" $!"
                done; wait $pair
            done; egret get endpoints shop/c -o json | grep -oE '"(one|two)-[0-9]"' | sort -u | wc -l
            kill $agent; wait $agent 2>/dev/null; ip netns add d; cni ADD d d; ip netns del d; reach c 203.0.113.11
            echo '{"cniVersion":"1.1.0"}' | CNI_COMMAND=STATUS egret-cni | grep -o '"code":[0-9]*'; CNI_COMMAND=VERSION egret-cni </dev/null | grep cniVersion
            begin --quarantine cni0; echo '{"cniVersion":"1.1.0"}' | CNI_COMMAND=STATUS egret-cni && echo available
            cni DEL c c; ip netns del c; settle 0
            echo containerd
            mkdir -p image/bin w; cp /bin/busybox image/bin; for a in sh nc grep; do ln -s busybox image/bin/$a; done
            printf 'version = 2\nroot = "%s"\nstate = "%s"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "%s"\n' \
                $PWD/w/root $PWD/w/state $PWD/w/sock >c.toml
            containerd -c c.toml >>w/log 2>&1 & containerd=$!
            for i in {1..100}; do ctr -a w/sock version >/dev/null 2>&1 && break; sleep 0.05; done
            # Others who mount something there wait.
            exec 8</opt; flock 8
            unshare -m --propagation private bash -c "
                mkdir -p /etc/cni/net.d /opt/cni/bin; mount --bind net.d /etc/cni/net.d; mount --bind bin /opt/cni/bin
                ctr -a w/sock run --rm --cni --rootfs $PWD/image t1 /bin/sh -c '
                    for a in 203.0.113.11 203.0.113.10; do $page \$a 80 | grep -q hello && echo t1 reaches \$a; done' 2>&1" | grep -v ^nc
            kill $containerd; wait $containerd 2>/dev/null
            rmdir /etc/cni/net.d /etc/cni /opt/cni/bin /opt/cni 2>/dev/null; flock -u 8; exec 8<&-
            settle 0; finish; ip link del cni0; nft flush ruleset
            """#,
            prints: """
                a reaches 203.0.113.10
                a does not reach 203.0.113.11
                b reaches 203.0.113.10
                b does not reach 203.0.113.11
                c reaches 203.0.113.10
                c does not reach 203.0.113.11
                shop/a cni0 policed
                shop/b cni0 policed
                shop/c cni0 policed
                0 packets of denied flows
                "code":100,"msg":"shop/e is no endpoint"
                20
                egret-cni: 11 the agent does not run: nobody listens at /run/egret/agent.sock
                c does not reach 203.0.113.11
                "code":50
                  "cniVersion" : "1.1.0",
                available
                containerd
                t1 reaches 203.0.113.10
                """)
    }

    @Test(
        "Podman's containers are followed, and a hook lets none begin without its policies",
        arguments: Engines.allCases)
    func podman(engines: Engines) throws {
        try expect(
            "ctpodman", with: engines,
            PodmanScript.helpers + #"""
                podman_with netavark
                mkdir -p image/bin; cp /bin/busybox image/bin; for a in sh nc sleep grep; do ln -s busybox image/bin/$a; done
                start() { p run -d --rootfs "$@" $PWD/image /bin/sleep 1000 >/dev/null; }
                try() { p exec $1 /bin/sh -c "$page $2 80" 2>/dev/null | grep -q hello && echo "$1 reaches $2" || echo "$1 does not reach $2"; }
                p system service --time=0 unix://$W/podman.sock 2>>$W/log & service=$!
                for i in {1..100}; do [ -S $W/podman.sock ] && break; sleep 0.05; done
                begin --runtime podman=$W/podman.sock --quarantine podman0
                policy job '{ names: [podman/job] }' 203.0.113.10/32 >p.yaml
                policy web '{ matchLabels: { egret.policy: web } }' 203.0.113.11/32 | { echo ---; cat; } >>p.yaml
                egret apply -f p.yaml >/dev/null
                start --name job; start --name web --label egret.policy=web; settle 2; endpoints
                for n in job web; do try $n 203.0.113.10; try $n 203.0.113.11; done
                p rm -f -t0 job web >/dev/null 2>&1; settle 0
                echo by a hook
                cat >$W/hooks/egret.json <<X
                { "version": "1.0.0", "hook": { "path": "$(command -v egret)", "args": ["egret", "attach", "oci:-"],
                    "env": ["PATH=$PATH", "LD_LIBRARY_PATH=$LD_LIBRARY_PATH"] },
                  "when": { "always": true }, "stages": ["createRuntime"] }
                X
                p run --rm --annotation egret.policy=web --name one --rootfs $PWD/image /bin/sh -c "
                    for a in 203.0.113.10 203.0.113.11; do $page \$a 80 | grep -q hello && echo one reaches \$a; done" 2>/dev/null
                echo "a connection of the host's, handed over (C10)"; exec 3<>/dev/tcp/203.0.113.10/80
                p run --rm --preserve-fds 1 --annotation egret.policy=web --name given --rootfs $PWD/image /bin/sh -c '
                    printf "GET / HTTP/1.0\r\n\r\n" >&3; grep -m1 -o hello <&3' 2>/dev/null; exec 3>&-
                start --name two --annotation egret.policy=web
                for i in {1..100}; do egret get endpoints podman/two >/dev/null 2>&1 && break; sleep 0.05; done; endpoints
                p run --rm --network container:two --rootfs $PWD/image /bin/sh -c "
                    for a in 203.0.113.10 203.0.113.11; do $page \$a 80 | grep -q hello && echo the guest reaches \$a; done" 2>/dev/null
                kill $agent; wait $agent 2>/dev/null; start --name three 2>&1 | grep -o 'the agent does not run'
                p rm -f -t0 -a >/dev/null 2>&1; kill $service; wait $service 2>/dev/null
                begin; settle 0; finish; ip link del podman0; nft flush ruleset; left; rm -rf $W
                """#,
            prints: """
                podman/job podman0 policed
                podman/web podman0 policed
                job reaches 203.0.113.10
                job does not reach 203.0.113.11
                web does not reach 203.0.113.10
                web reaches 203.0.113.11
                by a hook
                one reaches 203.0.113.11
                a connection of the host's, handed over (C10)
                hello
                podman/two podman0 policed
                the guest reaches 203.0.113.11
                the agent does not run
                """)
    }
}
