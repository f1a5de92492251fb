// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Testing

/// Ways round that lead through namespaces, descriptors, devices, addresses and clocks, rather than through packets. The rows'
/// names are those of the catalogue of bypasses.
extension ContainerBypassTests {
    /// `say.py NAME WAY` sends to the denied server and, as `WAY_allowed`, to the allowed one.
    private static let say = #"""
        cat >/run/w/image/say.py <<'X'
        import socket, sys, time
        # A neighbour that does not answer at once is asked again after a second.
        times, pause = (int(sys.argv[3]), 0.05) if len(sys.argv) > 3 else (3, 0.5)
        for _ in range(times):
            for address, more in ("203.0.113.11", ""), ("203.0.113.10", "_allowed"):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                    try: s.sendto(("EGRET %s %s%s." % (sys.argv[1], sys.argv[2], more)).encode(), (address, 9))
                    except OSError as error: print(sys.argv[1:], error, file=sys.stderr)
            time.sleep(pause)
        X

        """#

    // MARK: - C6, E12

    /// What a container sends for a namespace below its own, and for an interface of its own making.
    private static let below = #"""
        cat >/run/w/image/below.sh <<'X'
        who=$1 mine=$(ip -o -4 addr show eth0 | grep -o '[0-9.]*/[0-9]*' | head -n1) gateway=$(ip route show default | cut -d' ' -f3)
        # A namespace whose first process waits for a link, and does something with it. Its number is in `below`.
        below() {
            unshare -Urn bash -c 'until ip link set '$1' up 2>/dev/null; do sleep 0.05; done; '"$2" & below=$!
            until [ -n "$(readlink /proc/$below/ns/net)" ] && [ "$(readlink /proc/$below/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do
                kill -0 $below || return; sleep 0.05
            done
        }
        # The container sends for others as if it were itself.
        nft 'table ip t { chain c { type nat hook postrouting priority 100; oifname "eth0" masquerade; }; }'
        below out "ip addr add 10.66.0.2/24 dev out; ip route add default via 10.66.0.1
            for i in {1..50}; do ping -c1 -W1 10.66.0.1 >/dev/null 2>&1 && break; sleep 0.1; done; python3 /say.py $who routed"
        ip link add in type veth peer name out; ip link set out netns $below; ip addr add 10.66.0.1/24 dev in; ip link set in up; wait $below
        python3 /tun.py $who
        # Its link itself goes there, and stays there while the agent is started anew.
        below eth0 "ip addr add $mine dev eth0; ip route add default via $gateway; python3 /say.py $who moved
            touch /tmp/moved; until [ -e /tmp/go ]; do sleep 0.05; done; python3 /say.py $who restarted"
        ip link set eth0 netns $below; wait $below
        X
        cat >/run/w/image/tun.py <<'X'
        import fcntl, os, socket, struct, subprocess, sys, time
        def sum16(b):
            s = sum(struct.unpack("!%dH" % (len(b) // 2), b))
            while s >> 16: s = (s >> 16) + (s & 0xffff)
            return ~s & 0xffff
        tun = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(tun, 0x400454ca, struct.pack("16sH22x", b"tun0", 0x1001))
        for words in "addr add 10.67.0.1/24 dev tun0", "link set tun0 up": subprocess.run(["ip"] + words.split(), check=True)
        for _ in range(3):
            for address, more in ("203.0.113.11", ""), ("203.0.113.10", "_allowed"):
                payload = ("EGRET %s tun%s." % (sys.argv[1], more)).encode()
                head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 7, 0, 64, 17, 0, socket.inet_aton("10.67.0.2"), socket.inet_aton(address))
                os.write(tun, head[:10] + struct.pack("!H", sum16(head)) + head[12:] + struct.pack("!HHHH", 9, 9, 8 + len(payload), 0) + payload)
            time.sleep(0.1)
        X

        """#

    @Test(
        "a namespace below the container's, an interface of its own making and its link in other hands are under its policies (C6, E12)"
    )
    func namespacesBelow() throws {
        try expect(
            "cbelow",
            ContainerBypassTests.say + ContainerBypassTests.below + #"""
                equip; up; begin $quarantine
                policy web '{ matchLabels: { egret.policy: web } }' 203.0.113.10/32 | egret apply -f - >/dev/null
                # Docker's own filter of system calls refuses namespaces; without it they can be made.
                open="--security-opt seccomp=unconfined"
                far="$open --cap-add NET_ADMIN --sysctl net.ipv4.ip_forward=1 --device /dev/net/tun"; policed="--label egret.policy=web"
                capture all 'udp or icmp'
                c free $open; c web $open $policed; c side $open --network container:web; c farfree $far; c farweb $far $policed; settle 5
                user() { d exec $1 /usr/bin/unshare $2 /usr/bin/python3 /battery.py $1_$3 $(address free) $(hardware free) $(hardware free) "" 2>>log; }
                for n in free web side; do user $n -Ur user; user $n -Urn own; done
                for n in farfree farweb; do d exec $n /usr/bin/timeout 90 /usr/bin/bash /below.sh $n >/dev/null 2>>log & pids="$pids $!"; done
                for n in farfree farweb; do d exec $n /usr/bin/timeout 60 /usr/bin/bash -c 'until [ -e /tmp/moved ]; do sleep 0.1; done'; done
                kill -9 $agent; wait $agent 2>/dev/null; begin $quarantine; settle 5
                for n in farfree farweb; do d exec $n /usr/bin/touch /tmp/go; done; wait $pids
                captured all free_user free_own web_user web_own side_user side_own farfree farweb
                d rm -f $(d ps -aq) >/dev/null; settle 0; finish; cleared
                """#,
            prints: """
                free_user got out by: plain
                free_own got out by: nothing
                web_user got out by: nothing
                web_own got out by: nothing
                side_user got out by: nothing
                side_own got out by: nothing
                farfree got out by: moved moved_allowed restarted restarted_allowed routed routed_allowed tun tun_allowed
                farweb got out by: moved_allowed restarted_allowed routed_allowed tun_allowed
                """)
    }

    // MARK: - C9, C10, E10, E12

    /// What a container does with rings, with descriptors of others, and with families and devices that are no network's.
    private static let doors = #"""
        cat >/run/w/image/ring.py <<'X'
        import ctypes, mmap, os, socket, struct, sys, time
        libc = ctypes.CDLL(None, use_errno=True)
        class Ring:
            def __init__(self):
                told = ctypes.create_string_buffer(120)
                self.number = libc.syscall(425, 8, told)
                if self.number < 0: raise OSError(ctypes.get_errno(), "io_uring_setup")
                self.at = struct.unpack("30I", told.raw); entries, answers = self.at[0], self.at[1]
                self.asked = mmap.mmap(self.number, self.at[16] + 4 * entries)
                self.answered = mmap.mmap(self.number, self.at[25] + 16 * answers, offset=0x8000000)
                self.entries = mmap.mmap(self.number, 64 * entries, offset=0x10000000)
            def get(self, ring, offset): return struct.unpack_from("I", ring, offset)[0]
            def do(self, operation, descriptor, other=0, address=0, length=0, waits=True):
                self.entries[0:64] = struct.pack("BBHiQQIIQ24x", operation, 0, 0, descriptor, other, address, length, 0, 0)
                tail = self.get(self.asked, self.at[11])
                struct.pack_into("I", self.asked, self.at[16] + 4 * (tail & self.get(self.asked, self.at[12])), 0)
                struct.pack_into("I", self.asked, self.at[11], tail + 1)
                if libc.syscall(426, self.number, 1, 1 if waits else 0, 1, None, 0) < 0: raise OSError(ctypes.get_errno(), "io_uring_enter")
                if not waits: return 0
                head = self.get(self.answered, self.at[20])
                result = struct.unpack_from("i", self.answered, self.at[25] + 16 * (head & self.get(self.answered, self.at[22])) + 8)[0]
                struct.pack_into("I", self.answered, self.at[20], head + 1)
                if result < 0: raise OSError(-result, os.strerror(-result))
                return result
            # IORING_OP_SOCKET and IORING_OP_CONNECT: no system call of the family of socket is made.
            def connect(self, kind, address, port, waits=True):
                s = self.do(45, 2, kind); place = ctypes.create_string_buffer(struct.pack("=H", 2) + struct.pack("!H4s8x", port, socket.inet_aton(address)), 16)
                self.kept = place; self.do(16, s, 16, ctypes.addressof(place), 0, waits); return s
            def send(self, s, data):
                data = ctypes.create_string_buffer(data, len(data)); self.do(26, s, 0, ctypes.addressof(data), len(data))
            def receive(self, s):
                data = ctypes.create_string_buffer(4096); count = self.do(27, s, 0, ctypes.addressof(data), 4096); return data.raw[:count]
        ring, who = Ring(), sys.argv[1]
        s = ring.connect(1, "203.0.113.10", 80); ring.send(s, b"GET / HTTP/1.0\r\n\r\n"); page = b""
        while b"hello" not in page:
            more = ring.receive(s)
            if not more: break
            page += more
        print(who, "has the page" if b"hello" in page else "has nothing")
        for _ in range(3):
            for address, more in ("203.0.113.11", ""), ("203.0.113.10", "_allowed"):
                ring.send(ring.connect(2, address, 9), ("EGRET %s ring%s." % (who, more)).encode())
        ring.connect(1, "203.0.113.11", 443, waits=False); time.sleep(1)
        X
        cat >/run/w/image/give.py <<'X'
        import os, socket
        if os.path.exists("/shared/door"): os.remove("/shared/door")
        l = socket.socket(socket.AF_UNIX); l.bind("/shared/new"); l.listen(); os.rename("/shared/new", "/shared/door"); c = l.accept()[0]
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); socket.send_fds(c, [b"x"], [s.fileno()]); c.recv(1); os.remove("/shared/door")
        X
        cat >/run/w/image/take.py <<'X'
        import socket, sys, time
        for _ in range(200):
            c = socket.socket(socket.AF_UNIX)
            if c.connect_ex("/shared/door") == 0: break
            time.sleep(0.05)
        s = socket.socket(fileno=socket.recv_fds(c, 1, 1)[1][0])
        for _ in range(3):
            for address, more in ("203.0.113.11", ""), ("203.0.113.10", "_allowed"):
                s.sendto(("EGRET %s of_%s%s." % (*sys.argv[1:3], more)).encode(), (address, 19))
        X
        cat >/run/w/image/doors.py <<'X'
        import errno, os, socket, stat, sys
        def attempt(name, body):
            try: body(); refused = False
            except OSError as error: refused = error.errno in (errno.EPERM, errno.EACCES)
            print(sys.argv[1], name, "refused" if refused else "not refused")
        attempt("vsock", lambda: socket.socket(40, socket.SOCK_STREAM).close())
        for name, major, minor in ("null", 1, 3), ("uverbs0", 231, 192), ("vhost-vsock", 10, 241):
            os.mknod("/tmp/" + name, 0o600 | stat.S_IFCHR, os.makedev(major, minor))
            attempt(name, lambda: os.close(os.open("/tmp/" + name, os.O_RDWR)))
        X
        cat >families.json <<'X'
        { "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [ { "names": ["socket"], "action": "SCMP_ACT_ERRNO",
          "args": [{ "index": 0, "value": 40, "op": "SCMP_CMP_EQ" }] } ] }
        X

        """#

    @Test(
        "rings are policed and attributed, a socket is its maker's whoever has it, and other families are the engine's to refuse (C9, C10, E10, E12)"
    )
    func doors() throws {
        try expect(
            "cdoors",
            ContainerBypassTests.doors + #"""
                equip; mkdir -p /run/w/shared; up; begin $quarantine
                policy web '{ matchLabels: { egret.policy: web } }' 203.0.113.10/32 | egret apply -f - >/dev/null
                open="--security-opt seccomp=unconfined -v /run/w/shared:/shared"; policed="--label egret.policy=web"; capture all udp
                c free $open; c web $open $policed; c side $open --network container:web; c admin $open $policed --cap-add NET_ADMIN
                c shut --security-opt seccomp=families.json $policed; settle 5
                for n in free web side admin; do d exec $n /usr/bin/python3 /ring.py $n; done
                hand() { d exec -d $1 /usr/bin/python3 /give.py; d exec $2 /usr/bin/python3 /take.py $2 $1; sleep 0.5; }
                hand web free; hand free web; hand admin web; sleep 1
                captured all free web side admin
                egret flows --denied | tr -s ' ' | grep -o 'docker/[a-z]* egress deny 203.0.113.11 [0-9]*/[a-z]*' | sort -u
                echo beside all networks
                for n in web shut; do d exec $n /usr/bin/python3 /doors.py $n; done
                d rm -f $(d ps -aq) >/dev/null; settle 0; finish; cleared
                """#,
            prints: """
                free has the page
                web has the page
                side has the page
                admin has the page
                free got out by: of_web_allowed ring ring_allowed
                web got out by: of_admin_allowed of_free of_free_allowed ring_allowed
                side got out by: ring_allowed
                admin got out by: ring_allowed
                docker/admin egress deny 203.0.113.11 19/udp
                docker/admin egress deny 203.0.113.11 443/tcp
                docker/admin egress deny 203.0.113.11 9/udp
                docker/web egress deny 203.0.113.11 19/udp
                docker/web egress deny 203.0.113.11 443/tcp
                docker/web egress deny 203.0.113.11 9/udp
                beside all networks
                web vsock not refused
                web null not refused
                web uverbs0 refused
                web vhost-vsock refused
                shut vsock refused
                shut null not refused
                shut uverbs0 refused
                shut vhost-vsock refused
                """)
    }

    // MARK: - E2, F9, F12

    @Test(
        "services of clouds, rules with times, and a table of connections that is full, for containers (E2, F9, F12)")
    func places() throws {
        try expect(
            "cplaces",
            TimesScript.soon + ContainerBypassTests.say + #"""
                # What answers at the addresses of clouds' services is behind a link of the host's.
                ip netns add cloud; ip link add up2 type veth peer name eth0 netns cloud; ip link set up2 up
                ip addr add 10.7.0.2/24 dev up2; ip addr add fd00:7::2/64 dev up2 nodad
                n() { ip -n cloud "$@"; }; n link set lo up; n link set eth0 up; n addr add 10.7.0.1/24 dev eth0
                n addr add fd00:7::1/64 dev eth0 nodad; n route add fd00:32::/64 via fd00:7::2
                services="169.254.169.254 100.100.100.200 168.63.129.16 192.0.0.192 fd00:ec2::254"
                for a in $services; do
                    n addr add $a dev lo; case $a in *:*) ip route add $a via fd00:7::1;; *) ip route add $a via 10.7.0.1;; esac
                done
                mkdir cloud; echo hello from a cloud >cloud/index.html
                (cd cloud; exec ip netns exec cloud python3 -m http.server -b :: 80 >/dev/null 2>&1) & server=$!
                for i in {1..200}; do ip netns exec cloud ss -Hltn | grep -q :80 && break; sleep 0.05; done

                export TZDIR=$PWD; equip; up; begin $quarantine
                allow() { printf 'apiVersion: egret.dev/v1\nkind: EgressPolicy\nmetadata: { name: %s }\nspec: { selects: { names: [docker/%s] }, egress: [%s] }\n' $1 $1 "$2" | egret apply -f - >/dev/null; }
                allow all '{ action: allow, to: [{ group: internet }, { group: private }, { group: link-local }] }'
                allow named '{ action: allow, to: [{ group: metadata }] }'; allow block '{ action: allow, to: [{ cidr: 169.254.0.0/16 }] }'
                allow web '{ action: allow, to: [{ cidr: 203.0.113.10/32 }] }'
                d network create -o com.docker.network.bridge.name=br-six --ipv6 --subnet 172.32.0.0/24 --subnet fd00:32::/64 six >/dev/null
                for n in free all named block web timed; do c $n --network six; done; settle 6
                echo services of clouds
                for n in free all named block; do
                    echo $n: $(for a in 203.0.113.10 $services; do reaches $n $a | grep -q ' reaches ' && echo $a; done)
                done
                echo a full table
                capture all 'udp port 9'; max=$(cat /proc/sys/net/netfilter/nf_conntrack_max)
                full() { [ $(cat /proc/sys/net/netfilter/nf_conntrack_count) -ge $((max - max / 10)) ]; }
                # A connection that was there before, and is asked something after.
                d exec web sh -c '{ until [ -e /tmp/stop ]; do sleep 0.2; done; printf "GET / HTTP/1.0\r\n\r\n"; sleep 1; } | nc 203.0.113.10 80' >held & held=$!
                sleep 1; d exec -d web /usr/bin/python3 -c '
                import os, socket
                while not os.path.exists("/tmp/stop"):
                    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                        for port in range(1024, 65536):
                            try: s.sendto(b"", ("203.0.113.10", port))
                            except OSError: pass'
                for i in {1..600}; do full && break; sleep 0.2; done; full && echo it is full; sleep 2
                for n in free web; do d exec $n /usr/bin/python3 /say.py $n full 50; done
                full && echo it still is; d exec web /usr/bin/touch /tmp/stop; wait $held; grep -c hello held
                captured all free web
                conntrack -F >/dev/null 2>&1; reaches web 203.0.113.10; reaches web 203.0.113.11
                echo times go on without an agent
                soon 20
                allow timed "{ action: allow, to: [{ cidr: 203.0.113.10/32 }], when: { until: '$at', timezone: Soon } }, { action: allow, to: [{ cidr: 203.0.113.11/32 }], when: { from: '$at', timezone: Soon } }"
                reaches timed 203.0.113.10; reaches timed 203.0.113.11
                for when in '1 hour' '1 hour ago'; do d exec timed /usr/bin/date -s "$when" 2>&1 | grep -o 'Operation not permitted'; done
                kill -9 $agent; wait $agent 2>/dev/null; [ $(date +%s) -lt $end ] || echo too late
                until [ $(date +%s) -gt $end ]; do sleep 0.2; done
                reaches timed 203.0.113.10; reaches timed 203.0.113.11
                begin $quarantine; settle 6; reaches timed 203.0.113.10; reaches timed 203.0.113.11
                kill $server; d rm -f $(d ps -aq) >/dev/null; settle 0; d network rm six >/dev/null
                ip link del up2; ip netns del cloud; finish; cleared
                """#,
            prints: """
                services of clouds
                free: 203.0.113.10 169.254.169.254 100.100.100.200 168.63.129.16 192.0.0.192 fd00:ec2::254
                all: 203.0.113.10
                named: 169.254.169.254 100.100.100.200 168.63.129.16 192.0.0.192 fd00:ec2::254
                block: 169.254.169.254
                a full table
                it is full
                it still is
                1
                free got out by: full full_allowed
                web got out by: full_allowed
                web reaches 203.0.113.10
                web does not reach 203.0.113.11
                times go on without an agent
                timed reaches 203.0.113.10
                timed does not reach 203.0.113.11
                Operation not permitted
                Operation not permitted
                timed does not reach 203.0.113.10
                timed reaches 203.0.113.11
                timed does not reach 203.0.113.10
                timed reaches 203.0.113.11
                """)
    }
}
