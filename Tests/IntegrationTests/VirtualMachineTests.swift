// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretTesting
import Foundation
import Testing

/// Egret under Debian's own kernel, in the virtual machine of `scripts/vm`: the kernel that most users have, built of modules, with
/// control groups of the second version alone, and a machine that boots.
@Suite("Debian's kernel, in a virtual machine", .serialized, .requiresRoot)
struct VirtualMachineTests {
    private static let package = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

    /// Runs a script of bash in a virtual machine.
    ///
    /// - Parameters:
    ///   - script: The script; `egret` is on its path.
    ///   - files: A directory that is /vm/files there.
    ///   - boots: Whether systemd starts everything before.
    /// - Returns: What it printed, and how it ended.
    /// - Throws: An error if the virtual machine cannot be started.
    private func virtualMachine(
        _ script: String, files: TemporaryDirectory, boots: Bool = false
    ) throws -> ProgramOutput {
        let path = files.path + "/script"
        try Data("PATH=\(Egret.searchPath)\n\(script)\n".utf8).write(to: URL(fileURLWithPath: path))
        return try runProgram(
            [VirtualMachineTests.package + "/scripts/vm"] + (boots ? ["--boot"] : []) + ["bash", "/vm/files/script"],
            environment: ["PATH": Egret.searchPath, "EGRET_VM_FILES": files.path, "CI": "true", "NO_COLOR": "1"],
            timeout: .seconds(1_500))
    }

    @Test("a machine boots with its networks, namespaces, ports and policies, and the policies come first")
    func boot() throws {
        let files = try TemporaryDirectory()
        let prepared = try virtualMachine(
            #"""
            set -e; mkdir -p /run/egret
            egret agent 2>/dev/null & until [ -S /run/egret/agent.sock ]; do sleep 0.2; done
            egret network create br0 --subnet 10.9.0.0/24 --subnet fd00:9::/64
            for n in a b; do egret network connect br0 $n --create --label app=$n; done
            egret publish 8080:80 a
            cat >policy.yaml <<X
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: one }
            spec:
              selects: { matchLabels: { app: a } }
              egress: [{ action: allow, to: [{ cidr: 10.9.0.1/32 }, { cidr: fd00:9::/64 }] }]
              limits: [{ name: total, rate: 20Mbit, per: endpoint }]
            X
            egret apply -f policy.yaml >/dev/null 2>&1; egret get endpoints | grep -c Enforced
            mkdir -p /vm/files/root/var/lib /vm/files/root/usr/local/bin /vm/files/root/etc/systemd/system
            kill %1; wait
            cp -a /var/lib/egret /vm/files/root/var/lib/; cp $(which egret) /vm/files/root/usr/local/bin/
            cp packaging/systemd/*.service /vm/files/root/etc/systemd/system/
            """#, files: files)
        #expect(
            prepared.standardOutput == """
                egret: this kernel forwards IPv6 for all interfaces or for none: it is on until the last run or network ends; \
                what comes in by others' interfaces is dropped as before
                a has 10.9.0.2 and fd00:9::2
                b has 10.9.0.3 and fd00:9::3
                2

                """, "\(prepared.standardError)")
        let booted = try virtualMachine(
            #"""
            for unit in egret-agent egret-networks egret-networks-late; do echo $unit $(systemctl is-active $unit); done
            systemctl --failed --no-legend
            reached() { systemctl show -P ActiveEnterTimestampMonotonic $1; }
            [ $(reached egret-agent) -le $(reached network-pre.target) ] && echo the agent comes first
            ip netns list | cut -d' ' -f1 | sort | xargs
            reaches() { ip netns exec $1 ping -c1 -W4 $2 >/dev/null && echo $1 reaches $2 || echo $1 does not reach $2; }
            reaches a 10.9.0.1; reaches a 10.9.0.3; reaches a fd00:9::3; reaches b fd00:9::2
            ip netns exec a python3 -c 'import socket
            s = socket.create_server(("", 80)); s.accept()[0].sendall(b"published\n")' &
            for i in {1..40}; do timeout 4 bash -c 'exec 3<>/dev/tcp/10.9.0.1/8080 && cat <&3' 2>/dev/null && break; sleep 0.5; done
            egret get endpoints -o json | grep -c '"app" : '
            tc qdisc show | grep -o 'rate 20Mbit' | sort | uniq -c | tr -s ' '
            egret get status | grep problem
            systemctl restart egret-agent; reaches a 10.9.0.3; reaches a fd00:9::3
            journalctl -u egret-agent -o cat | grep -v '^egret agent: \|^Start\|^Stop\|^egret-agent.service: '; true
            """#, files: files, boots: true)
        #expect(
            booted.standardOutput == """
                egret-agent active
                egret-networks active
                egret-networks-late active
                the agent comes first
                a b
                a reaches 10.9.0.1
                a does not reach 10.9.0.3
                a reaches fd00:9::3
                b reaches fd00:9::2
                published
                2
                 2 rate 20Mbit
                problem    none
                a does not reach 10.9.0.3
                a reaches fd00:9::3

                """, "\(booted.standardError)")
    }

    @Test("tests of every part pass under that kernel, and those of what only it can")
    func parts() throws {
        let files = try TemporaryDirectory()
        let tests = try virtualMachine(
            """
            modprobe nf_conntrack; mkdir -p /var/lib/egret
            export EGRET_TEST_MACHINE=$(mktemp -d); cp -L /etc/resolv.conf $EGRET_TEST_MACHINE/
            \(Egret.directory)/egretPackageTests.xctest --testing-library swift-testing --no-parallel \\
                --filter '\(VirtualMachineTests.parts.joined(separator: "|"))' 2>&1
            """, files: files)
        let lines = tests.standardOutput.split(separator: "\n")
        let ending = lines.last { $0.contains("Test run with") } ?? "no end"
        let isWhole = tests.succeeded && ending.contains(" passed ") && !lines.contains { $0.contains(" skipped") }
        let failures = lines.filter { $0.hasPrefix("✘") } + lines.suffix(3)
        #expect(isWhole, "\(failures.joined(separator: "\n"))\n\(tests.standardError)")
    }

    /// The tests that go in the virtual machine, as filters.
    private static let parts = [
        "DebianKernelTests", "FairQueueKernelTests", "NamedLimitTests", "LinkLookupTests",
    ]
}
