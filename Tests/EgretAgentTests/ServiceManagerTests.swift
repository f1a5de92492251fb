// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgent
import EgretLinux
import EgretTesting
import Foundation
import Testing

@Suite("What the service manager is told")
struct ServiceManagerTests {
    /// Receives datagrams at an address and prints them, one a line, until one says STOPPING.
    private func receiver(_ address: String) throws -> RunningProgram {
        try RunningProgram([
            "/usr/bin/python3", "-u", "-c",
            """
            import socket, sys
            address = sys.argv[1]
            server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            server.bind("\\0" + address[1:] if address.startswith("@") else address)
            print("bound")
            while True:
                text = server.recv(65536).decode()
                print(repr(text))
                if "STOPPING" in text: break
            """, address,
        ])
    }

    private func manager(_ variables: [String: String]) -> ServiceManager {
        var environment = Environment()
        for (name, value) in variables { environment[name] = value }
        return ServiceManager(environment: environment, process: 4711)
    }

    @Test("states and statuses arrive, at a path and at an abstract name", arguments: [true, false])
    func states(_ isAbstract: Bool) async throws {
        let folder = try TemporaryDirectory()
        let address = isAbstract ? "@egret-test-\(CurrentProcess.identifier)" : folder.path + "/notify"
        let receiver = try receiver(address)
        while !receiver.outputSoFar.contains("bound") { try await Task.sleep(for: .milliseconds(5)) }
        let manager = manager(["NOTIFY_SOCKET": address])
        #expect(manager.isPresent)
        manager.ready("7 policies\nfor 3 endpoints")
        manager.status("repairing")
        manager.alive()
        manager.stopping()
        let output = receiver.wait()
        #expect(output.succeeded)
        #expect(
            output.standardOutput == """
                bound
                'READY=1\\nSTATUS=7 policies for 3 endpoints'
                'STATUS=repairing'
                'WATCHDOG=1'
                'STOPPING=1'

                """)
    }

    @Test("without a manager, or with an address that is nobody's, nothing happens")
    func absent() {
        #expect(!manager([:]).isPresent)
        #expect(!manager(["NOTIFY_SOCKET": "vsock:2:1234"]).isPresent)
        #expect(!manager(["NOTIFY_SOCKET": ""]).isPresent)
        manager(["NOTIFY_SOCKET": "/nowhere/notify"]).ready("well")
        manager([:]).ready("well")
    }

    @Test("the watchdog's interval is this process's own or none")
    func interval() {
        let socket = ["NOTIFY_SOCKET": "/run/x"]
        func interval(_ more: [String: String]) -> Duration? {
            manager(socket.merging(more) { $1 }).watchdogInterval
        }
        #expect(interval(["WATCHDOG_USEC": "30000000"]) == .seconds(30))
        #expect(interval(["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "4711"]) == .seconds(30))
        #expect(interval(["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"]) == nil)
        #expect(interval(["WATCHDOG_USEC": "0"]) == nil)
        #expect(interval(["WATCHDOG_USEC": "x"]) == nil)
        #expect(manager(["WATCHDOG_USEC": "30000000"]).watchdogInterval == nil)
    }

    @Test("the manager hears that the agent is alive only while it is well")
    func keepingAlive() async throws {
        let folder = try TemporaryDirectory()
        let address = folder.path + "/notify"
        let receiver = try receiver(address)
        while !receiver.outputSoFar.contains("bound") { try await Task.sleep(for: .milliseconds(5)) }
        let manager = manager(["NOTIFY_SOCKET": address, "WATCHDOG_USEC": "40000"])
        let sick = Task { await manager.keepAlive { false } }
        try await Task.sleep(for: .milliseconds(150))
        sick.cancel()
        await sick.value
        #expect(!receiver.outputSoFar.contains("WATCHDOG"))
        let well = Task { await manager.keepAlive { true } }
        while receiver.outputSoFar.components(separatedBy: "WATCHDOG=1").count < 4 {
            try await Task.sleep(for: .milliseconds(5))
        }
        well.cancel()
        await well.value
        manager.stopping()
        #expect(receiver.wait().succeeded)
    }
}
