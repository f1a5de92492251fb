// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The container engines that a test begins: which releases, and where from.
enum Engines: CaseIterable {
    /// Docker 20.10 and Podman 4.3, of this Debian.
    case present
    /// Docker 26 and Podman 5, out of the root file system that `scripts/newer-engines` has made; others of it with
    /// `EGRET_ENGINES`.
    case newer

    /// What a script starts with, after ``ContainerTests/helpers``, so that the engines that it begins are these.
    var helpers: String {
        self == .newer ? "ROOT='\(Engines.root)'\n" + Engines.entering : ""
    }

    private static let root =
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/../../.build/engines/"
        + (ProcessInfo.processInfo.environment["EGRET_ENGINES"] ?? "trixie")

    /// The engines see their own programs and libraries, and all else as the test does: its directory, its network,
    /// `/run` with what is mounted there on either side, and `egret` with what it is linked with, for hooks. What they
    /// write elsewhere goes to a layer of the test's own. The root is changed for good: from one that only `chroot` has
    /// changed engines cannot unpack images.
    private static let entering = #"""
        [ -e "$ROOT/packages" ] || echo scripts/newer-engines has not been run
        mount --make-shared /run
        unshare --mount --propagation unchanged bash -euc '
            mount --make-private /; mount -t tmpfs -o mode=755 tmpfs /mnt; mkdir /mnt/upper /mnt/work /mnt/root
            mount -t overlay -o "lowerdir=$0,upperdir=/mnt/upper,workdir=/mnt/work" overlay /mnt/root; cd /mnt/root
            for d in /proc /sys /dev /run "$@"; do mkdir -p ".$d"; mount --rbind "$d" ".$d"; done
            mount -t tmpfs tmpfs dev/shm; mkdir old; pivot_root . old; umount -l /old
            >/run/entered; exec sleep infinity' "$ROOT" "$PWD" "$(dirname "$(command -v egret)")" \
            $(ldd "$(command -v egret)" | awk '$3 ~ /swift/ { print $3 }' | xargs -r dirname | sort -u) & inside=$!
        for i in {1..100}; do [ -e /run/entered ] && break; sleep 0.05; done
        unset -f docker; mkdir engines; PATH=$PWD/engines:$PATH
        for program in /usr/sbin/dockerd /usr/bin/docker /usr/bin/podman; do
            printf '#!/bin/sh\nexec nsenter --mount=/proc/%d/ns/mnt --wdns="$PWD" %s "$@"\n' $inside $program >engines/${program##*/}
        done
        chmod +x engines/*
        export PODMAN_IGNORE_CGROUPSV1_WARNING=1
        left() { kill $inside; wait $inside 2>/dev/null; rm /run/entered; }

        """#
}
