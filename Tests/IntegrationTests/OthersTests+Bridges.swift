// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Testing

/// Podman and libvirt on the same host, the real ones, with bridges of their own that Egret may use.
extension OthersTests {
    @Test("Podman: its containers and ours work, its reload opens nothing, and its bridge can be used")
    func podman() throws {
        try expect(
            "othpodman",
            PodmanScript.helpers + #"""
                podman_with netavark
                mkdir -p image/bin; cp /bin/busybox image/bin; for a in sh nc sleep; do ln -s busybox image/bin/$a; done
                container() {
                    p exec one /bin/sh -c 'printf "GET / HTTP/1.0\r\n\r\n" | nc -w2 203.0.113.10 80' | tail -n1 |
                        sed 's/^hello/container: hello/'
                }
                state() { ip -d link show podman0 | grep -oE 'stp_state [0-9]*|mtu [0-9]*|ether [^ ]*'; ip -o addr show podman0
                    cat /proc/sys/net/ipv4/conf/podman0/{route_localnet,rp_filter} /proc/sys/net/ipv6/conf/podman0/accept_ra; }
                p run -d --name one -p 9090:80 --rootfs $PWD/image /bin/sleep 1000 >/dev/null
                container; theirs >before
                egret network create br0 --subnet 10.9.0.0/24 2>&1; egret network connect br0 a --create 2>&1; page a; container
                egret publish 8080:80 a 2>&1; theirs >after; same before after untouched
                # Podman makes its bridge anew: what a run knows of the host's interfaces does not follow.
                lasting() { ours | grep -v 'elements = { "eth0"'; }
                cell; begin; lasting >before; theirs | sort >rules
                p network reload --all >/dev/null
                lasting >after; same before after ours are as before; theirs | sort | same - rules and theirs
                look; page a; container
                egret network rm br0 cell --force; theirs >rules; state >before
                egret network create podman0 --adopt 2>&1; egret network connect podman0 b --create 2>&1; page b; container
                inside b ping -c1 -W2 10.88.0.2 >/dev/null && echo b reaches the container
                theirs >after; same rules after used and untouched
                egret network rm podman0 --force; state | same before - and its bridge; container
                p rm -f -t0 -a >/dev/null 2>&1; finish; ip link del podman0 2>/dev/null; nft flush ruleset; rm -rf $W
                """#,
            prints: """
                container: hello from web1 to 192.0.2.2
                a has 10.9.0.2
                hello from web1 to 192.0.2.2
                container: hello from web1 to 192.0.2.2
                untouched
                z has 10.7.0.2
                ours are as before
                and theirs
                run: hello from web1 to 192.0.2.2
                no answer
                hello from web1 to 192.0.2.2
                container: hello from web1 to 192.0.2.2
                b has 10.88.0.3
                hello from web1 to 192.0.2.2
                container: hello from web1 to 192.0.2.2
                b reaches the container
                used and untouched
                and its bridge
                container: hello from web1 to 192.0.2.2
                """)
    }

    @Test("libvirt: its machines and ours work, its reload opens nothing, its bridge can be used, its refusal is said")
    func libvirt() throws {
        try expect(
            "othlibvirt",
            #"""
            mkdir -p drivers; cp /usr/lib/*/libvirt/connection-driver/libvirt_driver_network.so drivers
            printf 'auth_unix_rw = "none"\nauth_unix_ro = "none"\nunix_sock_dir = "%s"\n' $PWD >libvirtd.conf
            cat >net.xml <<X
            <network><name>default</name><bridge name='virbr0'/><forward/><ip address='192.168.122.1' netmask='255.255.255.0'>
            <dhcp><range start='192.168.122.100' end='192.168.122.254'/></dhcp></ip></network>
            X
            v() { virsh -q -c "network+unix:///system?socket=$PWD/libvirt-sock" "$@"; }
            # The driver of networks alone, and its state where nobody else sees it.
            unshare --mount --propagation private sh -c 'mkdir -p /etc/libvirt /var/lib/libvirt /run/libvirt
                for d in /etc/libvirt /var/lib/libvirt /run/libvirt; do mount -t tmpfs tmpfs $d; done
                mount --bind drivers /usr/lib/*/libvirt/connection-driver; mkdir -p /etc/libvirt/qemu/networks/autostart
                exec libvirtd -f libvirtd.conf -p libvirtd.pid' >log 2>&1 & daemon=$!
            for i in {1..100}; do v uri >/dev/null 2>&1 && break; sleep 0.05; done
            v net-define net.xml >/dev/null; v net-start default >/dev/null || cat log >&2
            ip netns add vm; ip link add tap0 type veth peer name eth0 netns vm; ip link set tap0 master virbr0 up
            ip -n vm addr add 192.168.122.2/24 dev eth0; ip -n vm link set eth0 up; ip -n vm route add default via 192.168.122.1
            machine() { page vm "$@" | sed 's/^hello/machine: hello/'; }
            state() { ip -d link show virbr0 | grep -oE 'stp_state [0-9]*|mtu [0-9]*|ether [^ ]*'; ip -o addr show virbr0
                cat /proc/sys/net/ipv4/conf/virbr0/{route_localnet,rp_filter} /proc/sys/net/ipv6/conf/virbr0/accept_ra; }
            for i in {1..100}; do machine 1 | grep -q hello && break; sleep 0.1; done
            machine; theirs >before
            egret network create br0 --subnet 10.9.0.0/24 2>&1; egret network connect br0 a --create 2>&1; page a; machine
            inside a ping -c1 -W1 192.168.122.2 >/dev/null || echo libvirt keeps its machine from others
            theirs >after; same before after untouched
            cell; begin; ours >before; theirs | sort >rules
            iptables -F LIBVIRT_INP; kill -HUP $daemon
            for i in {1..100}; do sleep 0.05; iptables -S LIBVIRT_INP | grep -q ACCEPT && break; done; sleep 0.5
            ours >after; same before after ours are as before; theirs | sort | same - rules and theirs
            look; page a; machine
            egret network rm br0 cell --force; theirs >rules; state >before
            egret network create virbr0 --adopt 2>&1; egret network connect virbr0 b --create 2>&1
            # The bridge learns for a while before it lets a new port in: it speaks the spanning tree protocol.
            for i in {1..100}; do page b 1 | grep -q hello && break; sleep 0.1; done; page b; machine
            inside b ping -c1 -W2 192.168.122.2 >/dev/null && echo b reaches the machine
            egret publish 8080:80 b 2>&1 | warnings
            theirs >after; same rules after used and untouched
            egret network rm virbr0 --force; state | same before - and its bridge; machine
            v net-destroy default >/dev/null; kill $daemon; wait $daemon; finish; ip netns del vm; nft flush ruleset
            """#,
            prints: """
                machine: hello from web1 to 192.0.2.2
                a has 10.9.0.2
                hello from web1 to 192.0.2.2
                machine: hello from web1 to 192.0.2.2
                libvirt keeps its machine from others
                untouched
                z has 10.7.0.2
                ours are as before
                and theirs
                run: hello from web1 to 192.0.2.2
                no answer
                hello from web1 to 192.0.2.2
                machine: hello from web1 to 192.0.2.2
                b has 192.168.122.3
                hello from web1 to 192.0.2.2
                machine: hello from web1 to 192.0.2.2
                b reaches the machine
                libvirt drops what comes for published ports of virbr0 (ip filter FORWARD); let it pass with: iptables -I FORWARD -i virbr0 -j ACCEPT; iptables -I FORWARD -o virbr0 -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT
                used and untouched
                and its bridge
                machine: hello from web1 to 192.0.2.2
                """)
    }
}
