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

    @Test("a descriptor arrives with its name, and is taken back by it")
    func store() async throws {
        let folder = try TemporaryDirectory()
        let address = folder.path + "/notify"
        let receiver = try RunningProgram([
            "/usr/bin/python3", "-u", "-c",
            """
            import os, socket, sys
            server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            server.bind(sys.argv[1])
            print("bound")
            for _ in range(3):
                text, descriptors, _, _ = socket.recv_fds(server, 65536, 8)
                print(repr(text.decode()), [os.read(one, 100).decode() for one in descriptors])
            """, address,
        ])
        while !receiver.outputSoFar.contains("bound") { try await Task.sleep(for: .milliseconds(5)) }
        let manager = manager(["NOTIFY_SOCKET": address])
        let (read, write) = try Descriptor.pipe()
        try write.write("through the descriptor")
        manager.store(read, "questions-udp4")
        manager.removeStored("questions-udp4")
        manager.ready("in force")
        let output = receiver.wait()
        #expect(
            output.standardOutput == """
                bound
                'FDSTORE=1\\nFDNAME=questions-udp4\\nFDPOLL=0' ['through the descriptor']
                'FDSTOREREMOVE=1\\nFDNAME=questions-udp4' []
                'READY=1\\nSTATUS=in force' []

                """, "\(output.standardError)")
    }

    @Test("what is handed over has its names, and is this process's own or nobody's")
    func handed() {
        func names(_ variables: [String: String]) -> [String] {
            var environment = Environment()
            for (name, value) in variables { environment[name] = value }
            return HandedDescriptor.names(in: environment, of: 4711)
        }
        let own = ["LISTEN_PID": "4711", "LISTEN_FDS": "2"]
        #expect(names(own.merging(["LISTEN_FDNAMES": "a:b"]) { $1 }) == ["a", "b"])
        #expect(names(own.merging(["LISTEN_FDNAMES": ":"]) { $1 }) == ["", ""])
        for odd in ["", "a", "a:b:c"] {
            #expect(names(own.merging(["LISTEN_FDNAMES": odd]) { $1 }) == ["unknown", "unknown"])
        }
        #expect(names(own) == ["unknown", "unknown"])
        #expect(names(["LISTEN_PID": "4712", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b"]).isEmpty)
        #expect(names(["LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b"]).isEmpty)
        for odd in ["0", "-1", "x", "", "99999999999999999999", "100000"] {
            #expect(names(["LISTEN_PID": "4711", "LISTEN_FDS": odd]).isEmpty)
        }
    }

    @Test("what is handed over is taken at its number, and closes on exec")
    func taking() throws {
        let (read, write) = try Descriptor.pipe()
        let number = try read.numberToGiveAway()
        // Closed on exec it would be no use to the process that it is for.
        #expect(fcntl(number, F_SETFD, 0) == 0)
        var environment = Environment()
        environment["LISTEN_PID"] = "4711"
        environment["LISTEN_FDS"] = "1"
        environment["LISTEN_FDNAMES"] = "a"
        let handed = HandedDescriptor.takeAll(environment: environment, process: 4711, first: number)
        #expect(handed.map(\.name) == ["a"] && handed.map(\.descriptor.number) == [number])
        #expect(fcntl(number, F_GETFD) == FD_CLOEXEC)
        try write.write("x")
        #expect(try handed.first?.descriptor.read(upTo: 10) == [UInt8(ascii: "x")])
    }

    @Test("what is promised and was not handed over is told, and nothing that this process has opened is taken")
    func promised() throws {
        let (read, write) = try Descriptor.pipe()
        func take(_ count: String, first: Int32) -> (names: [String], told: [String]) {
            var environment = Environment()
            environment["LISTEN_PID"] = "4711"
            environment["LISTEN_FDS"] = count
            environment["LISTEN_FDNAMES"] = "a"
            var told: [String] = []
            let handed = HandedDescriptor.takeAll(environment: environment, process: 4711, first: first) {
                told.append($0)
            }
            return (handed.map(\.name), told)
        }
        let own = take("1", first: read.number)
        #expect(own.names.isEmpty)
        #expect(
            own.told == [
                "descriptor \(read.number) is not what the service manager says, a: this process has opened it itself"
            ])
        // It is open still, and what it was.
        try write.write("x")
        #expect(try read.read(upTo: 10) == [UInt8(ascii: "x")])
        let nothing = take("1", first: 1_000_000_000)
        #expect(nothing.names.isEmpty)
        #expect(
            nothing.told == [
                "descriptor 1000000000 is not what the service manager says, a: nothing is open there"
            ])
        for odd in ["x", "-1", "100000"] {
            #expect(
                take(odd, first: 3).told == [
                    "nothing is taken from the service manager: LISTEN_FDS=\(odd) is no number of descriptors"
                ])
        }
        #expect(take("0", first: 3).told.isEmpty)
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
