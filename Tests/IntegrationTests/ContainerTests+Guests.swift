// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Testing

/// Who shares a container's network, and sends on when the container has ended.
extension ContainerTests {
    /// `shared START END` starts a container `web` by one command and ends it by another, thrice, while somebody in its network
    /// sends to a server that its policy allows and to one that it denies.
    private static let sharing = #"""
        policy web '{ names: [docker/web, podman/web] }' 203.0.113.10/32 >p.yaml
        flood() {
            nsenter -t $1 -n timeout 60 python3 -c '
        import socket
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        while True:
            for server in ("203.0.113.10", "203.0.113.11"):
                try: s.sendto(b"x", (server, 53))
                except OSError: pass' & flood=$!
        }
        shared() {
            egret apply -f p.yaml >/dev/null
            uplink=$(ip -o route get 203.0.113.11 | grep -o 'dev [^ ]*' | cut -d' ' -f2)
            for server in 10 11; do
                tcpdump -i $uplink --immediate-mode -U -nn -s 64 -w $server.pcap udp and dst host 203.0.113.$server 2>/dev/null &
                captures="$captures $!"
            done
            sleep 0.5
            for round in 1 2 3; do
                $1; for i in {1..100}; do endpoints | grep -q 'web.*policed' && break; sleep 0.05; done; flood $(number); sleep 0.5
                $2 >/dev/null 2>&1; settle 0; sleep 0.2; kill $flood; wait $flood 2>/dev/null
            done
            kill $captures; wait $captures 2>/dev/null
            [ $(tcpdump -nn -r 10.pcap 2>/dev/null | wc -l) -gt 300 ] && echo many packets of allowed flows
            echo $(tcpdump -nn -r 11.pcap 2>/dev/null | wc -l) packets of denied flows
        }

        """#
    private static let shown = """
        many packets of allowed flows
        0 packets of denied flows
        """

    @Test(
        "who shares the network of Docker's container is held to its policies when it ends",
        arguments: Engines.allCases)
    func dockerGuests(engines: Engines) throws {
        try expect(
            "ctguest", with: engines,
            Self.sharing + #"""
                up; begin --runtime docker=/run/w/docker.sock
                begun() { d run -d --name web box sleep 1000 >/dev/null; }
                number() { d inspect -f '{{.State.Pid}}' web; }
                shared begun 'd rm -f web'; finish; cleared
                """#, prints: Self.shown)
    }

    @Test(
        "who shares the network of Podman's container is held to its policies when it ends",
        arguments: Engines.allCases)
    func podmanGuests(engines: Engines) throws {
        try expect(
            "ctpguest", with: engines,
            PodmanScript.helpers + Self.sharing + #"""
                podman_with netavark
                mkdir -p image/bin; cp /bin/busybox image/bin; ln -s busybox image/bin/sleep
                p system service --time=0 unix://$W/podman.sock 2>>$W/log & service=$!
                for i in {1..100}; do [ -S $W/podman.sock ] && break; sleep 0.05; done
                begin --runtime podman=$W/podman.sock
                begun() { p run -d --name web --rootfs $PWD/image /bin/sleep 1000 >/dev/null; }
                number() { p inspect -f '{{.State.Pid}}' web; }
                ended() { p restart -t0 web; sleep 0.3; p kill web; p rm -f -t0 web; }
                shared begun ended; kill $service; wait $service 2>/dev/null
                finish; ip link del podman0; nft flush ruleset; left; rm -rf $W
                """#, prints: Self.shown)
    }
}
