// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Testing

/// Containers that no policy holds, or not reliably.
extension ContainerTests {
    @Test(
        "containers in the host's network, with macvlan, or able to get there are killed if the agent is told to, else listed"
    )
    func refusals() throws {
        try expect(
            "ctrefuse",
            #"""
            up; ip link add par type veth peer name rap; ip link set par up; ip link set rap up
            d network create -d macvlan --subnet 172.31.0.0/24 -o parent=par far >/dev/null
            c() { d run -d --name $1 "${@:2}" box sleep 1000 >/dev/null; }
            # Waits until containers have ended.
            ended() { for n in "$@"; do for i in {1..100}; do [ $(d inspect -f '{{.State.Running}}' $n) = false ] && break; sleep 0.1; done; done; }
            state() { for n in "$@"; do echo $n $(d inspect -f '{{.State.Status}}' $n); done; }
            told() { grep -o 'docker/[a-z]* is killed: .*' log | sort -u; }
            c early --cap-add NET_ADMIN
            # Its first process has left before anybody looks.
            d run -d --name left --network host --cap-add SYS_ADMIN box busybox unshare -n sleep 1000 >/dev/null
            d tag box keep; c watch --network host; d run -d --name kept --cap-add NET_ADMIN keep sleep 1000 >/dev/null
            begin --runtime docker=/run/w/docker.sock --host-network kill --privileged kill --except docker/watch --except image:keep
            ended early left
            c all --network host --restart always; c root --cap-add SYS_ADMIN; c far --network far; c plain
            c side --network container:plain --cap-add NET_ADMIN
            ended all root side; settle 4; state early left all root side far plain watch kept; endpoints; told
            for n in far watch kept; do egret get endpoints docker/$n -o json | grep -o '"reason" : ".*"' | cut -d'"' -f4; done
            curl -s --unix-socket /run/egret/agent.sock http://localhost/metrics | grep ^egret_agent_killed
            d rm -f watch kept >/dev/null; settle 2; echo otherwise
            kill $agent; wait $agent 2>/dev/null; rm log
            # Its first process has left the network that the engine has made, and that is policed.
            d run -d --name gone --cap-add SYS_ADMIN box busybox unshare -n sleep 1000 >/dev/null
            begin --runtime docker=/run/w/docker.sock --other-links kill
            ended far; settle 2; d start early >/dev/null; settle 3; state early far; endpoints; told
            # A link that comes later.
            d network connect far early; ended early; settle 2; told
            d rm -f $(d ps -aq) >/dev/null; settle 0; d network rm far >/dev/null; ip link del par; finish; cleared
            """#,
            prints: """
                early exited
                left exited
                all exited
                root exited
                side exited
                far running
                plain running
                watch running
                kept running
                docker/far - free
                docker/kept docker0 free
                docker/plain docker0 free
                docker/watch - free
                docker/all is killed: it uses the host's network, which no policy for endpoints is about
                docker/early is killed: it has the capability NET_ADMIN in the host's user namespace, and can connect itself to the host's network anew
                docker/left is killed: it uses the host's network, which no policy for endpoints is about; it has the capability SYS_ADMIN in the host's user namespace, and can enter the host's network
                docker/root is killed: it has the capability SYS_ADMIN in the host's user namespace, and can enter the host's network
                docker/side is killed: it has the capability NET_ADMIN in the host's user namespace, and can connect itself to the host's network anew
                eth0 is a macvlan, whose packets pass the host by
                it uses the host's network, which no policy for endpoints is about
                it has the capability NET_ADMIN in the host's user namespace, and can connect itself to the host's network anew
                egret_agent_killed_containers_total 5
                otherwise
                early running
                far exited
                docker/early docker0 free
                docker/gone docker0 free
                docker/plain docker0 free
                docker/far is killed: eth0 is a macvlan, whose packets pass the host by
                docker/early is killed: eth1 is a macvlan, whose packets pass the host by
                docker/far is killed: eth0 is a macvlan, whose packets pass the host by
                """)
    }
}
