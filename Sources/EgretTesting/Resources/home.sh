# Copyright the Egret authors.
# SPDX-License-Identifier: Apache-2.0
#
# Makes the view of files that `home` has, and leaves a process behind that keeps it: a /run of its own, and an
# /etc/resolv.conf that names the lab's resolver. Runs in a private mount namespace and in home's network namespace.
# $1 is the lab's directory.
set -eu
state=$1
run=$state/run
mkdir -p "$run"
mount -n -t tmpfs -o mode=755,size=64m tmpfs "$run"
mkdir -p "$run/lock"
resolver=$(readlink -f /etc/resolv.conf)
case $resolver in
/run/*)
    mkdir -p "$run$(dirname "${resolver#/run}")"
    : >"$run${resolver#/run}"
    ;;
esac
mount -n --move "$run" /run
mount -n --bind "$state/resolv.conf" "$resolver"
setsid sleep infinity </dev/null >/dev/null 2>&1 &
echo $! >"$state/home.pid"
