// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAgentAPI
import EgretLinux
import EgretPolicy
import EgretTesting
import Foundation
import Testing

@testable import EgretAgent

/// Containers whose first process is in another network than the one that its engine has made.
@Suite("first processes that have gone elsewhere", .serialized)
struct TargetNamespaceTests {
    private func run(_ command: String) throws {
        let output = try runProgram(["sh", "-euc", command])
        #expect(output.succeeded, "\(command): \(output.standardError)")
    }

    /// A process in a network namespace of its own.
    private func processElsewhere() throws -> RunningProgram {
        let program = try RunningProgram(["unshare", "-n", "sleep", "240"])
        let own = try NetworkNamespace.currentCookie()
        var cookie = own
        for attempt in 0..<1000 where attempt == 0 || cookie == own {
            if attempt > 0 { Thread.sleep(forTimeInterval: 0.01) }
            cookie = try TargetNamespaces.Place(path: network(of: program)).cookie
        }
        #expect(cookie != own)
        return program
    }

    private func network(of program: RunningProgram) -> String { "/proc/\(program.processIdentifier)/ns/net" }

    private func end(_ program: RunningProgram) {
        program.send(signal: 9)
        _ = program.wait()
    }

    @Test(
        "the file of a container's network is what its engine says, if it says one",
        arguments: [
            (#"{"SandboxKey":"/var/run/docker/netns/0123456789ab"}"#, "/var/run/docker/netns/0123456789ab"),
            (#"{"SandboxKey":"/run/netns/netns-1"}"#, "/run/netns/netns-1"), (#"{"SandboxKey":""}"#, nil),
            (#"{"SandboxKey":"netns"}"#, nil), ("{}", nil),
        ] as [(String, String?)])
    func sandboxes(_ settings: String, _ sandbox: String?) throws {
        let text = """
            {"Id":"c0ffee","Name":"/web","State":{"Running":true,"Pid":7},"Config":{},"NetworkSettings":\(settings)}
            """
        let container = try JSONDecoder().decode(EngineContainer.self, from: Data(text.utf8))
        let target = try #require(container.target(of: "docker"))
        #expect(target.sandbox == sandbox)
        #expect(target.path == "/proc/7/ns/net")
        // So egret attach names it, wherever its first process is.
        #expect(target.isFoundBy(target.path) && target.isFoundBy(sandbox ?? target.path))
        #expect(!target.isFoundBy("") && !target.isFoundBy("/proc/8/ns/net"))
        // A record of an earlier version has none.
        let record = AttachedRecord(target: target, cookie: 1, links: [])
        #expect(try JSONDecoder().decode(AttachedRecord.self, from: JSONEncoder().encode(record)) == record)
    }

    @Test(
        "a container is in the network that its engine made, and where its first process has gone is judged as well",
        .requiresRoot)
    func goneElsewhere() throws {
        let folder = try TemporaryDirectory()
        try OwnThread.run {
            try Namespace.unshare([.network])
            let (made, gone) = (try processElsewhere(), try processElsewhere())
            defer { for program in [made, gone] { end(program) } }
            try run(
                """
                ip link add h0 type veth peer name c0 address 02:00:00:00:00:05
                ip link set c0 netns \(made.processIdentifier) name eth0
                """)
            let address = try #require(IPAddress("10.9.0.5"))
            // Of a namespace nobody asks what its processes can.
            var target = AttachedTarget(
                group: "docker", name: "a", kind: "Namespace", labels: [:], origin: "docker", identifier: "first",
                path: network(of: gone), addresses: ["02:00:00:00:00:05": [address]], sandbox: network(of: made))
            let places = try TargetNamespaces(of: target)
            let other = try #require(places.process).cookie
            #expect(places.own.cookie != other)
            let attached = try AttachedEndpoints(directory: folder.path + "/records")
            var record = try attached.attach(target)
            #expect(record.cookie == places.own.cookie)
            #expect(record.links.map(\.addresses) == [[address]])
            #expect(record.elsewhere == AttachedRecord.Elsewhere(cookie: other, ways: []))
            #expect(record.problem == nil)
            #expect(attached.bypasses(of: record).isEmpty)
            #expect(try attached.endpoints().count == 1)

            // What leads out of where it has gone is no policy's.
            try run("ip link add h1 type veth peer name c1; ip link set c1 netns \(gone.processIdentifier)")
            record = try attached.attach(target)
            let way =
                "in the network that its first process has gone to, c1 leads to this host, where it has no policies"
            #expect(attached.bypasses(of: record) == [.otherLinks: way])
            #expect(record.problem == way)
            #expect(record.links.count == 1)

            // What could not be attached is judged alike.
            var second = target
            (second.name, second.identifier) = ("b", "second")
            #expect(attached.refuse(second, "it cannot be attached"))
            #expect(attached.judged(of: "docker").map { $0.bypasses } == [[.otherLinks: way], [.otherLinks: way]])

            // A number that is another process's now says nothing.
            let link = folder.path + "/process"
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: network(of: gone))
            target.path = link
            record = try attached.attach(target)
            try FileManager.default.removeItem(atPath: link)
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "/proc/thread-self/ns/net")
            try run("ip link add br0 type bridge; ip link set h0 master br0")
            #expect(try attached.endpoints().map(\.network) == ["br0"])
            #expect(attached.record("docker/a")?.elsewhere == record.elsewhere)

            // When its engine tells of it, it does: it is in the host's network.
            record = try attached.attach(target)
            let reason = "its first process has gone to the host's network, which no policy for endpoints is about"
            #expect(attached.bypasses(of: record) == [.hostNetwork: reason])
            #expect(record.problem == reason)
            #expect(record.links.count == 1)

            // Without the engine's file the process says which its network is.
            target.sandbox = folder.path + "/none"
            target.path = network(of: made)
            #expect(try TargetNamespaces(of: target).own.cookie == places.own.cookie)
        }
        withExtendedLifetime(folder) {}
    }

    @Test("a container that has ended is an endpoint until its links are gone: others may use them", .requiresRoot)
    func ended() throws {
        let folder = try TemporaryDirectory()
        try OwnThread.run {
            try Namespace.unshare([.network])
            let (made, next) = (try processElsewhere(), try processElsewhere())
            defer { for program in [made, next] { end(program) } }
            func connect(_ program: RunningProgram, _ number: Int) throws -> AttachedTarget {
                let hardware = "02:00:00:00:00:0\(number)"
                try run(
                    """
                    ip link add h\(number) type veth peer name c\(number) address \(hardware)
                    ip link set c\(number) netns \(program.processIdentifier) name eth0
                    """)
                return AttachedTarget(
                    group: "docker", name: "a", kind: "Namespace", labels: [:], origin: "docker",
                    identifier: "number \(number)", path: network(of: program),
                    addresses: [hardware: [try #require(IPAddress("10.9.0.\(number)"))]])
            }
            let target = try connect(made, 1)
            let attached = try AttachedEndpoints(directory: folder.path + "/records", followed: ["docker"])
            let record = try attached.attach(target)
            try attached.end(record)
            let present = try attached.endpoints()
            #expect(present.map(\.interface.rawValue) == ["h1"] && present.first?.workload.id.name == "a")
            #expect(attached.record("docker/a")?.isRun == false)
            #expect(attached.judged(of: "docker").isEmpty, "nothing is left to be killed")
            #expect(attached.all.flatMap { attached.conditions(of: $0) }.map(\.type) == ["Running"])
            // So it is for the next agent.
            let again = try AttachedEndpoints(directory: folder.path + "/records", followed: ["docker"])
            #expect(try again.endpoints().map(\.interface.rawValue) == ["h1"])
            // Whoever begins in its network again, as podman restart does, is the same endpoint.
            _ = try again.attach(target)
            #expect(again.record("docker/a")?.isRun == true)
            // The next of its name need not wait.
            try attached.end(record)
            _ = try attached.attach(connect(next, 2))
            #expect(try attached.endpoints().map(\.interface.rawValue) == ["h2"])
            // Without links it is gone.
            try again.end(try #require(again.record("docker/a")))
            try run("ip link del h1")
            #expect(try again.endpoints().isEmpty && again.all.isEmpty)
            let last = try #require(attached.record("docker/a"))
            try run("ip link del h2")
            try attached.end(last)
            #expect(attached.all.isEmpty)
        }
        withExtendedLifetime(folder) {}
    }

    @Test(
        "without room for records containers are held all the same, as far as their engine tells of them again",
        .requiresRoot)
    func noRoom() throws {
        let folder = try TemporaryDirectory()
        let records = folder.path + "/records"
        try OwnThread.run {
            try Namespace.unshare([.network])
            let made = try processElsewhere()
            defer { end(made) }
            let far = made.processIdentifier
            try run("ip link add h1 type veth peer name eth0 netns \(far)")
            let attached = try AttachedEndpoints(directory: records, followed: ["docker"])
            func target(of origin: String) -> AttachedTarget {
                AttachedTarget(
                    group: origin, name: "a", kind: "Namespace", labels: [:], origin: origin, identifier: "number",
                    path: network(of: made))
            }
            func held() throws -> [String] { try attached.endpoints().map(\.interface.rawValue).sorted() }
            // There is no directory, and none can be made.
            try run("touch '\(records)'")
            #expect(throws: (any Error).self) { try attached.attach(target(of: "attach")) }
            #expect(try attached.all.isEmpty && held().isEmpty, "nothing is changed")
            let record = try attached.attach(target(of: "docker"))
            #expect(try record.problem == nil && held() == ["h1"])
            #expect(attached.conditions(of: record).map(\.type) == ["Recorded"] && attached.problem(of: record) == nil)
            try run("ip link add h2 type veth peer name eth1 netns \(far)")
            #expect(try held() == ["h1", "h2"])
            // It is written when it can be.
            try run("rm '\(records)'")
            #expect(try held() == ["h1", "h2"] && attached.conditions(of: record).isEmpty)
            let again = try AttachedEndpoints(directory: records, followed: ["docker"])
            #expect(again.all == attached.all && again.all.first?.links.count == 2)
            // One that has ended without room is gone with its links.
            try run("mv '\(records)' '\(records).full'; touch '\(records)'")
            try attached.end(try #require(attached.record("docker/a")))
            #expect(try attached.record("docker/a")?.isRun == false && held() == ["h1", "h2"])
        }
        withExtendedLifetime(folder) {}
    }

    @Test(
        "a file that is no namespace is not opened, whatever an engine says: the process tells which its network is",
        .requiresRoot, .timeLimit(.minutes(1)))
    func noNamespaces() throws {
        let folder = try TemporaryDirectory()
        try run("mkfifo '\(folder.path)/pipe'; : >'\(folder.path)/empty'")
        let own = try NetworkNamespace.currentCookie()
        let files = ["pipe", "empty", "none"].map { "\(folder.path)/\($0)" }
        for file in files + ["/dev/tty", "/proc/self/ns/mnt"] {
            let target = AttachedTarget(
                group: "docker", name: "a", kind: "Namespace", labels: [:], origin: "docker", identifier: "first",
                path: "/proc/thread-self/ns/net", sandbox: file)
            let places = try TargetNamespaces(of: target)
            #expect(places.own.cookie == own && places.process?.cookie == own, "\(file)")
        }
        // Nor is it waited for whoever may write to a pipe.
        #expect(throws: (any Error).self) { try TargetNamespaces.Place(path: files[0]) }
        withExtendedLifetime(folder) {}
    }
}
