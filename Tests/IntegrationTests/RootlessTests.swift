// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Testing

/// Containers that a user without privileges has begun, whose packets leave as that user's own.
@Suite("rootless containers", .serialized, .requiresRoot)
struct RootlessTests {
    /// What the user's programs see of devices, before an engine's root is entered.
    private static let devices = #"""
        mount -t tmpfs -o mode=755 tmpfs /mnt; mknod -m 666 /mnt/tun c 10 200; mount --bind /mnt/tun /dev/net/tun

        """#

    /// `ada` runs a command as a user of the test's own, in a control group of hers as systemd has one for each user; `p` is
    /// her Podman.
    private static let helpers = #"""
        root=$(awk '$0 ~ / - cgroup2 / { print $5 }' /proc/self/mountinfo | tail -1); G=$root/egretrootless; mkdir -p $G/ada
        within() { if [ "${inside-}" ]; then nsenter --mount=/proc/$inside/ns/mnt --wdns="$PWD" "$@"; else "$@"; fi; }
        if [ -z "${inside-}" ]; then
            for f in passwd group subuid subgid; do cp /etc/$f .; mount --bind $f /etc/$f; done
            mount -t tmpfs -o mode=1777 tmpfs /dev/shm
        fi
        within sh -euc 'echo "ada:x:4000:4000::$PWD/home:/bin/sh" >>/etc/passwd; echo ada:x:4000: >>/etc/group
            for f in subuid subgid; do echo ada:100000:65536 >/etc/$f; done; chmod 1777 /dev/shm'
        mkdir -p home/image/bin run; cp /bin/busybox home/image/bin; for a in sh nc sleep grep; do ln -s busybox home/image/bin/$a; done
        cat >home/conf <<X
        [containers]
        default_ulimits=["nofile=20000:20000"]
        [engine]
        cgroup_manager="cgroupfs"
        events_logger="file"
        runtime="runc"
        X
        chmod 755 .; chown -R 4000:4000 home run; chmod 700 run
        ada() { within bash -c 'echo $$ >$0/cgroup.procs && exec setpriv --reuid 4000 --regid 4000 --clear-groups env -i \
            PATH=/usr/sbin:/usr/bin HOME=$PWD/home XDG_RUNTIME_DIR=$PWD/run CONTAINERS_CONF=$PWD/home/conf \
            PODMAN_IGNORE_CGROUPSV1_WARNING=1 "$@"' $G/ada "$@"; }
        p() { ada podman --storage-driver vfs "$@" 2>>rootless.log; }
        start() { p run -d --rootfs "$@" $PWD/home/image /bin/sleep 1000 >/dev/null; }
        try() { p exec $1 /bin/sh -c "$page $2 80" | grep -q hello && echo "$1 reaches $2" || echo "$1 does not reach $2"; }
        both() { try $1 203.0.113.10; try $1 203.0.113.11; }

        """#

    @Test(
        "what a rootless container sends is held to the policies of its user's control group",
        arguments: [(Engines.present, "slirp4netns"), (.newer, "pasta")])
    func podman(engines: Engines, carrier: String) throws {
        try AgentScript.expect(
            "rootless",
            ContainerTests.helpers + RootlessTests.devices + engines.helpers + RootlessTests.helpers + #"""
                begin; policy ada '{ matchLabels: { egret.policy: ada } }' 203.0.113.10/32 | egret apply -f - >/dev/null
                start --name job --network \#(carrier); both job
                echo its network has no link of the host
                egret attach pid:$(p inspect -f '{{.State.Pid}}' job) --name ada/job --policy ada 2>&1 |
                    grep -o 'a process of the host.s carries out'
                p exec -d job /bin/sh -c '{ until [ -e /go ]; do sleep 0.1; done; printf "GET / HTTP/1.0\r\n\r\n"; sleep 2; >/ended; } |
                    nc 203.0.113.11 80 >/open' >/dev/null
                for i in {1..50}; do ss -tnH dst 203.0.113.11 | grep -q ESTAB && break; sleep 0.1; done
                echo the control group of its user
                egret attach cgroup:/egretrootless/ada --policy ada | tail -1 | awk '{ print $1 }'; both job
                for n in \#(carrier) bridge host; do start --name $n --network $n; both $n; done
                echo a connection that was open; >home/image/go; until [ -e home/image/ended ]; do sleep 0.1; done
                grep -c hello home/image/open; 
                curl -sm2 http://203.0.113.11/ | grep -q hello && echo others reach it
                p rm -f -t0 -a >/dev/null; pkill -u 4000; egret detach cgroup/ada
                for i in {1..50}; do rmdir $G/ada $G 2>/dev/null && break; sleep 0.1; done
                finish; left
                """#,
            prints: """
                job reaches 203.0.113.10
                job reaches 203.0.113.11
                its network has no link of the host
                a process of the host's carries out
                the control group of its user
                cgroup/ada
                job reaches 203.0.113.10
                job does not reach 203.0.113.11
                \(carrier) reaches 203.0.113.10
                \(carrier) does not reach 203.0.113.11
                bridge reaches 203.0.113.10
                bridge does not reach 203.0.113.11
                host reaches 203.0.113.10
                host does not reach 203.0.113.11
                a connection that was open
                0
                others reach it
                cgroup/ada detached
                """, within: .seconds(120), location: #_sourceLocation)
    }
}
