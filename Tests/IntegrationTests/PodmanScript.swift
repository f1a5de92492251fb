// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Shell functions for tests with Podman.
enum PodmanScript {
    /// `podman_with BACKEND` prepares a Podman of the test's own under `W`, with plugins of `bin` and hooks of `$W/hooks`;
    /// `p` calls it. Of its log, which wants syslog, nothing is lost that a test needs.
    static let helpers = #"""
        W=/run/w
        podman_with() {
            # Podman's locks, which all of a machine's share.
            mount -t tmpfs tmpfs /dev/shm; mkdir -p $W/net $W/hooks bin; cat >conf <<X
        [containers]
        default_ulimits=["nofile=20000:20000","nproc=32768:32768"]
        [network]
        network_backend="$1"
        network_config_dir="$W/net"
        cni_plugin_dirs=["$PWD/bin"]
        [engine]
        cgroup_manager="cgroupfs"
        events_logger="file"
        runtime="runc"
        X
        }
        p() { CONTAINERS_CONF=$PWD/conf podman --storage-driver vfs --root $W/root --runroot $W/run --tmpdir $W/tmp \
            --hooks-dir $W/hooks "$@" 2> >(grep -v syslog >&2); }

        """#
}
