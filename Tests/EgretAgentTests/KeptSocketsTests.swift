// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretNames
import EgretNetlink
import EgretTesting
import Synchronization
import Testing

@testable import EgretAgent

/// The proxies' sockets over the end of an agent: what the service manager is told, and what is used of what it hands over.
@Suite("sockets that are kept", .serialized, .requiresRoot)
struct KeptSocketsTests {
    private static let names = [
        "questions-udp4", "questions-udp6", "questions-tcp4", "questions-tcp6", "checks-tcp4", "checks-tcp6",
    ]

    /// What a service manager hears, a line for each message.
    private final class Manager {
        let folder: TemporaryDirectory
        private let receiver: RunningProgram
        private let address: String

        init() throws {
            folder = try TemporaryDirectory()
            address = folder.path + "/notify"
            receiver = try RunningProgram([
                "/usr/bin/python3", "-u", "-c",
                """
                import os, socket, sys
                server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                server.bind(sys.argv[1])
                print("bound")
                while True:
                    text, descriptors, _, _ = socket.recv_fds(server, 65536, 8)
                    for one in descriptors: os.close(one)
                    lines = text.decode().split("\\n")
                    if "STOPPING=1" in lines: break
                    print(lines[0].split("=")[0], lines[1].split("=")[1], len(descriptors))
                """, address,
            ])
            try hear(0)
        }

        deinit {
            receiver.send(signal: 9)
            _ = receiver.wait()
        }

        var service: ServiceManager {
            var environment = Environment()
            environment["NOTIFY_SOCKET"] = address
            return ServiceManager(environment: environment)
        }

        /// Waits until it has heard so much: until then what was sent to it holds the sockets open.
        func hear(_ count: Int) throws {
            for _ in 0..<2_000 {
                if receiver.outputSoFar.split(separator: "\n").count > count { return }
                _ = try runProgram(["sleep", "0.005"])
            }
            throw LabError("waiting for \(count) messages", reason: receiver.outputSoFar)
        }

        /// What it has heard in all.
        func end() -> [String] {
            service.stopping()
            return receiver.wait().standardOutput.split(separator: "\n").dropFirst().map(String.init)
        }
    }

    private final class Log: Sendable {
        let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }
    }

    private func service(_ manager: Manager, _ handed: [HandedDescriptor] = [], log: Log = Log()) throws -> NameService
    {
        let kept = KeptSockets(manager.service, handed: handed) { line in log.lines.withLock { $0.append(line) } }
        return NameService(
            NameService.Setting(
                path: "\(manager.folder.path)/names", bootID: "one", servers: { [] }, kept: kept, now: { 0 }),
            by: Dataplane(try NetlinkConnection.netfilter()).batchSender,
            book: NameBook(traffic: TrafficBook(), now: { 0 }, log: { _ in }))
    }

    /// Copies of a service's sockets, as the next agent gets them.
    private func copies(_ service: NameService) throws -> [HandedDescriptor] {
        let running = service.proxies.withLock { $0 }
        var handed: [HandedDescriptor] = []
        for owner in [KeptSockets.Owner.questions, .checks] {
            let sockets = owner == .questions ? running?.questions.sockets : running?.connections.sockets
            for place in ListeningPlace.allCases {
                guard let socket = sockets?[place] else { continue }
                handed.append(HandedDescriptor(name: owner.name(place), descriptor: try socket.duplicated()))
            }
        }
        return handed
    }

    @Test("the manager keeps the sockets for the next agent, which uses them at the same ports and puts in no others")
    func kept() throws {
        let manager = try Manager()
        let first = try service(manager)
        try first.start()
        let ports = first.ports
        let handed = try copies(first)
        #expect(handed.map(\.name) == KeptSocketsTests.names)
        first.finish(within: .seconds(1))
        first.stop()
        let log = Log()
        let second = try service(manager, handed, log: log)
        try second.start()
        #expect(second.ports == ports && ports != nil)
        let running = second.proxies.withLock { $0 }
        #expect(running?.questions.sockets[.datagrams4] === handed.first?.descriptor)
        #expect(running?.connections.sockets[.stream6] === handed.last?.descriptor)
        second.settle()
        #expect(log.all == ["names: goes on with 6 sockets of a former agent"])
        // Nobody has rules about names any more.
        second.end()
        let stored = KeptSocketsTests.names.map { "FDSTORE \($0) 1" }
        let removed = KeptSocketsTests.names.sorted().map { "FDSTOREREMOVE \($0) 0" }
        #expect(manager.end() == stored + removed)
    }

    @Test("what does not fit is told, and taken from the manager; another socket takes its place")
    func misfits() throws {
        let manager = try Manager()
        let first = try service(manager)
        try first.start()
        let ports = try #require(first.ports)
        var handed = try copies(first)
        first.finish(within: .seconds(1))
        first.stop()
        try manager.hear(handed.count)
        // UDP where TCP should be, and something that nobody knows.
        handed.removeAll { $0.name == "questions-tcp4" || $0.name == "checks-tcp6" }
        let datagrams = try #require(handed.first { $0.name == "questions-udp4" }?.descriptor)
        handed.append(HandedDescriptor(name: "questions-tcp4", descriptor: try datagrams.duplicated()))
        handed.append(HandedDescriptor(name: "other", descriptor: try Descriptor.open("/dev/null")))
        let log = Log()
        let second = try service(manager, handed, log: log)
        try second.start()
        #expect(second.ports == ports)
        let sockets = second.proxies.withLock { $0?.questions.sockets }
        #expect(sockets?[.datagrams4] === datagrams)
        #expect(sockets?[.stream4] !== handed[handed.count - 2].descriptor && sockets?[.stream4] != nil)
        #expect(
            log.all == [
                "names: the socket questions-tcp4 of a former agent is not used: it is not of TCP",
                "names: what the service manager has kept as other is not needed any more",
                "names: goes on with 4 sockets of a former agent",
            ])
        second.stop()
        let later = manager.end().dropFirst(KeptSocketsTests.names.count)
        #expect(
            Array(later) == [
                "FDSTOREREMOVE other 0", "FDSTOREREMOVE questions-tcp4 0", "FDSTORE questions-tcp4 1",
                "FDSTORE checks-tcp6 1",
            ])
    }

    @Test("what is no socket at all is told and given up, under whatever name it comes")
    func noSockets() throws {
        let manager = try Manager()
        let first = try service(manager)
        try first.start()
        let ports = try #require(first.ports)
        first.finish(within: .seconds(1))
        first.stop()
        try manager.hear(KeptSocketsTests.names.count)
        let handed = [
            HandedDescriptor(name: "questions-udp4", descriptor: try Descriptor.open("/dev/null")),
            HandedDescriptor(name: "checks-tcp4", descriptor: try Descriptor.pipe().read),
            HandedDescriptor(name: "questions-tcp6", descriptor: try UnixSocket.bind("\(manager.folder.path)/other")),
        ]
        let log = Log()
        let second = try service(manager, handed, log: log)
        try second.start()
        #expect(second.ports == ports)
        #expect(log.all.count == 3 && log.all.allSatisfy { $0.contains(" of a former agent is not used: ") })
        let sockets = second.proxies.withLock { $0?.questions.sockets }
        #expect(sockets?.count == 4 && sockets?[.datagrams4] !== handed[0].descriptor)
        second.stop()
        let later = manager.end().dropFirst(KeptSocketsTests.names.count)
        #expect(
            Array(later) == handed.map(\.name).sorted().map { "FDSTOREREMOVE \($0) 0" }
                + KeptSocketsTests.names.map { "FDSTORE \($0) 1" })
    }

    @Test("where the proxies could not both be started, the next attempt has the sockets that were kept")
    func failedStart() throws {
        // In a network namespace of its own, where nobody else needs ports.
        let found = try OwnThread.run {
            try Namespace.unshare(.network)
            let manager = try Manager()
            let first = try service(manager)
            try first.start()
            let ports = first.ports
            let handed = try copies(first).filter { $0.name.hasPrefix("questions-") }
            first.finish(within: .seconds(1))
            first.stop()
            try manager.hear(KeptSocketsTests.names.count)
            let log = Log()
            let second = try service(manager, handed, log: log)
            var hasFailed = false
            do {
                // The second proxy finds its port taken, and no other to be had.
                let port = ports?.checks ?? 0
                let other = try InternetSocket.listener(at: SocketAddress(ipv4: 0, port: port))
                let range = "/proc/sys/net/ipv4/ip_local_port_range"
                let before = try File.read(range)
                try File.write(range, Array("\(port) \(port)\n".utf8))
                do {
                    try second.start()
                } catch {
                    hasFailed = !second.isRunning && second.ports == nil
                }
                try File.write(range, before)
                withExtendedLifetime(other) {}
            }
            try second.start()
            let sockets = second.proxies.withLock { $0?.questions.sockets }
            let isSame = handed.count == 4 && sockets?[.datagrams4] === handed[0].descriptor
            let hasPorts = second.ports == ports && ports != nil
            second.stop()
            return (hasFailed: hasFailed, isSame: isSame, hasPorts: hasPorts, told: manager.end(), log: log.all)
        }
        #expect(found.hasFailed && found.isSame && found.hasPorts)
        #expect(
            found.told.dropFirst(KeptSocketsTests.names.count) == ["FDSTORE checks-tcp4 1", "FDSTORE checks-tcp6 1"])
        #expect(found.log == ["names: goes on with 4 sockets of a former agent"])
    }

    @Test("what is kept and not needed goes: without rules about names, and without a note of the ports")
    func unneeded() throws {
        let manager = try Manager()
        let first = try service(manager)
        try first.start()
        let handed = try copies(first)
        first.finish(within: .seconds(1))
        first.stop()
        let idle = try service(manager, handed)
        idle.settle()
        try File.remove("\(manager.folder.path)/names.ports")
        let log = Log()
        let second = try service(manager, handed, log: log)
        try second.start()
        let sockets = second.proxies.withLock { $0?.questions.sockets }
        #expect(sockets?[.datagrams4] !== handed.first?.descriptor)
        #expect(log.all.count == 6 && log.all.allSatisfy { $0.hasSuffix("is not used: no port is noted") })
        second.stop()
        let stored = KeptSocketsTests.names.map { "FDSTORE \($0) 1" }
        let removed = KeptSocketsTests.names.sorted().map { "FDSTOREREMOVE \($0) 0" }
        #expect(manager.end() == stored + removed + removed + stored)
    }
}
