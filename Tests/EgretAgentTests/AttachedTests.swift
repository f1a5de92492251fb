// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAgentAPI
import EgretNetworks
import EgretTesting
import Foundation
import Testing

@testable import EgretAgent

@Suite("endpoints that others connect")
struct AttachedTests {
    @Test(
        "a unit is found in whichever slice it is, and what is in a unit is none",
        arguments: [
            ("backup.service", "/system.slice/backup.service"),
            ("getty@tty1.service", "/system.slice/system-getty.slice/getty@tty1.service"),
            ("session-3.scope", "/user.slice/user-1000.slice/session-3.scope"),
            ("job.service", "/batch.slice/job.service"), ("batch.slice", "/batch.slice"), ("init.scope", "/init.scope"),
            ("own.service", nil), ("none.service", nil),
        ] as [(String, String?)])
    func units(_ name: String, _ expected: String?) throws {
        let root = try TemporaryDirectory()
        let present = [
            "/init.scope", "/batch.slice/job.service", "/system.slice/backup.service",
            "/system.slice/system-getty.slice/getty@tty1.service", "/user.slice/user-1000.slice/session-3.scope",
            "/user.slice/user-1000.slice/user@1000.service/app.slice/own.service",
        ]
        for path in present {
            try FileManager.default.createDirectory(atPath: root.path + path, withIntermediateDirectories: true)
        }
        #expect(ControlGroup.place(ofUnit: name, below: root.path) == expected)
        withExtendedLifetime(root) {}
    }

    @Test(
        "a container's name in a list is its own, and none that another one has given it",
        arguments: [
            (#"["/web/db","/db"]"#, "db"), (#"["/db","/web/db"]"#, "db"), (#"["db"]"#, "db"), (#"["/web/db"]"#, nil),
            ("[]", nil), ("null", nil),
        ] as [(String, String?)])
    func listedName(_ names: String, _ expected: String?) throws {
        let item = try JSONDecoder().decode(EngineListItem.self, from: Data(#"{"Id":"c","Names":\#(names)}"#.utf8))
        #expect(item.name == expected)
    }

    @Test("a tunnel leads out where it is the only way, as what carries a rootless container's packets is")
    func carried() {
        func link(_ name: String, _ kind: String, to hostIndex: UInt32? = nil) -> NamespaceLink {
            NamespaceLink(
                name: name, hardwareAddress: MACAddress(rawValue: 0x02_00_00_00_00_01), addresses: [], kind: kind,
                hostIndex: hostIndex, leadsOut: hostIndex != nil)
        }
        let carried = "what goes by tap0 a process of the host's carries out, as slirp4netns and pasta do"
        let (tap, pair) = (link("tap0", "tun"), link("eth0", "veth", to: 7))
        #expect(AttachedEndpoints.waysOut(of: [tap], isConnected: false) == [carried])
        #expect(AttachedEndpoints.waysOut(of: [pair, tap], isConnected: false).isEmpty, "its own goes by its link")
        #expect(AttachedEndpoints.waysOut(of: [tap], isConnected: true).isEmpty, "wherever it has put that")
        #expect(AttachedEndpoints.waysOut(of: [link("any", "dummy")], isConnected: false).isEmpty)
    }

    @Test("a container whose name is another endpoint's is listed beside it, until it is gone")
    func nameOfAnother() throws {
        func target(_ identifier: String) -> AttachedTarget {
            AttachedTarget(
                group: "docker", name: "web", kind: "Container", labels: [:], origin: "docker", identifier: identifier,
                path: "/proc/0/ns/net")
        }
        let folder = try TemporaryDirectory()
        let record = AttachedRecord(target: target("first"), cookie: 1, links: [])
        try JSONEncoder().encode(record).write(to: URL(fileURLWithPath: folder.path + "/docker%2Fweb.json"))
        let attached = try AttachedEndpoints(directory: folder.path)
        #expect(attached.all == [record])
        #expect(attached.refuse(target("second"), "docker/web is another endpoint"))
        #expect(attached.unattached.map { $0.target.identifier } == ["second"])
        attached.forgetRefused { $0.identifier == "second" }
        #expect(attached.refuse(target("first"), "it is not told of"))
        #expect(attached.unattached.isEmpty)
        withExtendedLifetime(folder) {}
    }

    @Test("a container that runs and that no event has told of is asked about")
    func untold() {
        #expect(EngineFollower.untold(["c", "a", "b"], known: ["a", "gone"]) == ["c", "b"])
        #expect(EngineFollower.untold(["a"], known: ["a"]).isEmpty)
    }

    @Test("an engine is asked for paused containers as well, and tells of those that it restores")
    func questions() {
        #expect(
            EngineFollower.running.removingPercentEncoding
                == #"/containers/json?filters={"status":["running","paused"]}"#)
        let events = EngineFollower.events.removingPercentEncoding
        for action in ["start", "die", "rename", "connect", "disconnect", "restart", "restore", "unpause"] {
            #expect(events?.contains("\"\(action)\"") ?? false)
        }
    }

    @Test(
        "a container that is paused is an endpoint, and one that has ended is not",
        arguments: [
            (#""Running":true,"Pid":7"#, true), (#""Running":true,"Paused":true,"Pid":7"#, true),
            (#""Running":false,"Paused":true,"Pid":7"#, true), (#""Running":false,"Paused":false,"Pid":7"#, false),
            (#""Running":true,"Restarting":true,"Pid":0"#, false),
        ] as [(String, Bool)])
    func states(_ state: String, _ isEndpoint: Bool) throws {
        let text = #"{"Id":"c0ffee","Name":"/web","State":{\#(state)},"Config":{},"NetworkSettings":{}}"#
        let container = try JSONDecoder().decode(EngineContainer.self, from: Data(text.utf8))
        #expect((container.target(of: "podman") != nil) == isEndpoint)
    }

    @Test("a namespace is the network of the container that made it, and not of its guests")
    func owner() throws {
        func record(_ name: String, _ cookie: UInt64, isGuest: Bool) -> AttachedRecord {
            AttachedRecord(
                target: AttachedTarget(
                    group: "podman", name: name, kind: "Container", labels: [:], origin: "podman", identifier: name,
                    path: "/proc/0/ns/net", isGuest: isGuest),
                cookie: cookie, links: [])
        }
        let folder = try TemporaryDirectory()
        for kept in [record("guest", 7, isGuest: true), record("pod", 7, isGuest: false)] {
            let file = URL(fileURLWithPath: folder.path + "/podman%2F\(kept.target.name).json")
            try JSONEncoder().encode(kept).write(to: file)
        }
        let attached = try AttachedEndpoints(directory: folder.path)
        #expect(attached.owner(of: 7)?.target.name == "pod")
        #expect(attached.owner(of: 8) == nil)
        withExtendedLifetime(folder) {}
    }

    @Test(
        "capabilities that lead to the host are told of, each for what it is; those that engines give to all are not",
        arguments: [
            ("NET_ADMIN", "can connect itself to the host's network anew"),
            ("SYS_ADMIN", "can enter the host's network"),
            ("SYS_MODULE", "can put code into the host's kernel"),
            ("SYS_RAWIO", "can have devices write to the host's memory"),
            ("SYS_BOOT", "can have the host begin another kernel"), ("DAC_READ_SEARCH", "can open files of the host's"),
        ])
    func waysToHost(_ name: String, _ deed: String) throws {
        let capability = try #require(HostCapability.allCases.first { $0.name == name })
        // Docker's own, `00000000a80425fb`.
        let usual: UInt64 = 0xa804_25fb
        let way = HostCapability.wayToHost(usual | capability.bit, seesHostProcesses: false)
        #expect(way == "it has the capability \(name) in the host's user namespace, and \(deed)")
        #expect(HostCapability.wayToHost(usual, seesHostProcesses: true) == nil)
    }

    @Test("to trace processes leads to the host from among its processes, and to set the clock leads nowhere")
    func otherWays() {
        let trace = HostCapability.sysPtrace.bit
        #expect(HostCapability.wayToHost(trace, seesHostProcesses: true)?.contains("SYS_PTRACE") == true)
        #expect(HostCapability.wayToHost(trace, seesHostProcesses: false) == nil)
        #expect(HostCapability.wayToHost(HostCapability.sysTime.bit, seesHostProcesses: true) == nil)
        #expect(HostCapability.wayToClock(HostCapability.sysTime.bit)?.contains("SYS_TIME") == true)
        #expect(HostCapability.wayToClock(trace) == nil)
    }

    /// What is to be attached of a container whose first process shows nothing.
    private func target(_ name: String, _ grant: String, _ users: ContainerUsers?) throws -> AttachedTarget {
        let text = """
            {"Id":"\(name)-number","Name":"/\(name)","State":{"Running":true,"Pid":99999999},"Config":{},
            "NetworkSettings":{},"HostConfig":\(grant)}
            """
        let container = try JSONDecoder().decode(EngineContainer.self, from: Data(text.utf8))
        return try #require(container.target(of: "docker", users: users))
    }

    @Test(
        "what a container was given counts, whatever its first process has, if it was given it among the host's users",
        arguments: [
            (#""Privileged":true"#, .host, "NET_ADMIN"), (#""CapAdd":["CAP_SYS_ADMIN"]"#, .host, "SYS_ADMIN"),
            (#""CapAdd":["sys_module"]"#, .host, "SYS_MODULE"),
            (#""CapAdd":["ALL"],"CapDrop":["NET_ADMIN","CAP_SYS_ADMIN"]"#, .host, "SYS_MODULE"),
            (#""CapAdd":["NET_ADMIN"],"CapDrop":["ALL"]"#, .host, "NET_ADMIN"),
            (#""CapAdd":["NET_ADMIN"]"#, .remapped, nil), (#""CapAdd":["NET_ADMIN"]"#, nil, nil),
            (#""CapAdd":["NET_ADMIN"],"UsernsMode":"host""#, .remapped, "NET_ADMIN"),
            (#""CapAdd":["NET_ADMIN"],"UsernsMode":"host""#, .rootless, nil),
            (#""CapAdd":["NET_ADMIN"],"UsernsMode":"host""#, nil, nil),
            (#""CapAdd":["NET_ADMIN"],"UsernsMode":"private""#, .host, nil),
            (#""CapAdd":["SYS_PTRACE"]"#, .host, nil),
            (#""CapAdd":["SYS_PTRACE"],"PidMode":"host""#, .host, "SYS_PTRACE"),
            (#""CapAdd":null,"CapDrop":null,"Privileged":false,"UsernsMode":"""#, .host, nil),
        ] as [(String, ContainerUsers?, String?)])
    func given(_ grant: String, _ users: ContainerUsers?, _ name: String?) throws {
        let way = try target("web", "{\(grant)}", users).wayToHost
        #expect((way != nil) == (name != nil))
        if let name { #expect(way?.contains(name) == true) }
    }

    @Test(
        "whose users a container has that has those of another one, or of a file, the engine does not say",
        arguments: [
            ("container:web", .host, nil), ("ns:/proc/1/ns/user", .host, nil), ("container:web", .remapped, nil),
            ("ns:/proc/1/ns/user", .rootless, false), ("private", .host, false), ("keep-id", .host, false),
            ("", .host, true), ("host", .remapped, true), ("", .remapped, false),
        ] as [(String, ContainerUsers, Bool?)])
    func usersOfOthers(_ mode: String, _ users: ContainerUsers, _ areHosts: Bool?) {
        #expect(ContainerUsers.areHosts(mode, of: users) == areHosts)
    }

    @Test(
        "an engine says whose users its containers have",
        arguments: [
            (#"{"SecurityOptions":["name=apparmor","name=seccomp,profile=default"]}"#, .host), ("{}", .host),
            (#"{"SecurityOptions":null}"#, .host),
            (#"{"SecurityOptions":["name=seccomp,profile=default","name=userns"]}"#, .remapped),
            (#"{"SecurityOptions":["name=rootless","name=userns"]}"#, .rootless),
        ] as [(String, ContainerUsers)])
    func users(_ text: String, _ users: ContainerUsers) throws {
        let information = try JSONDecoder().decode(EngineInformation.self, from: Data(text.utf8))
        #expect(information.users == users)
    }

    @Test("a container that was started in the host's network is taken to be there, and its guests, whoever has left")
    func leftHostNetwork() throws {
        let folder = try TemporaryDirectory()
        var targets: [AttachedTarget] = []
        for (name, mode) in [
            ("left", "host"), ("guest", "container:left-number"), ("named", "container:left"), ("own", "bridge"),
            ("other", "container:own-number"), ("short", "container:left-n"), ("elsewhere", "container:own"),
        ] {
            let target = try target(name, #"{"NetworkMode":"\#(mode)"}"#, .host)
            targets.append(target)
            let record = AttachedRecord(target: target, cookie: 1, links: [])
            try JSONEncoder().encode(record).write(to: URL(fileURLWithPath: folder.path + "/docker%2F\(name).json"))
        }
        let attached = try AttachedEndpoints(directory: folder.path)
        #expect(Set(attached.all.map(\.target)) == Set(targets))
        let there = attached.all.filter { attached.bypasses(of: $0)[.hostNetwork] != nil }
        #expect(there.map(\.target.name) == ["guest", "left", "named", "short"])
        withExtendedLifetime(folder) {}
    }

    @Test(
        "where there is no namespace, it is said where to look for one",
        arguments: [
            ("/run/netns/no-such-namespace", "ip netns list shows"), ("/proc/2147483647/ns/net", "ps -e shows"),
            ("/no/such/file", "as those in /run/netns"),
        ])
    func absentNamespace(_ path: String, _ advice: String) throws {
        let folder = try TemporaryDirectory()
        var absent = try target("web", "{}", .host)
        absent.path = path
        let attached = try AttachedEndpoints(directory: folder.path)
        let error = #expect(throws: APIError.self) { try attached.attach(absent) }
        #expect(error?.code == "notFound" && error?.message.hasPrefix("\(path) is no network namespace") == true)
        #expect(error?.advice?.contains(advice) == true, "\(error?.advice ?? "")")
        withExtendedLifetime(folder) {}
    }

    @Test("what could not be attached is judged as what is, and is noted if it remains; of another's name nothing is")
    func unattached() throws {
        let folder = try TemporaryDirectory()
        let first = AttachedRecord(target: try target("web", "{}", .host), cookie: 1, links: [])
        try JSONEncoder().encode(first).write(to: URL(fileURLWithPath: folder.path + "/docker%2Fweb.json"))
        let attached = try AttachedEndpoints(directory: folder.path)
        var second = try target("web", #"{"NetworkMode":"host","CapAdd":["SYS_ADMIN"]}"#, .host)
        second.identifier = "second"
        let guest = try target("guest", #"{"NetworkMode":"container:second"}"#, .host)
        for target in [second, guest] { #expect(attached.refuse(target, "it cannot be attached")) }
        let judged = attached.judged(of: "docker")
        #expect(judged.map { $0.target.identifier }.sorted() == ["guest-number", "second", "web-number"])
        let ways = Dictionary(uniqueKeysWithValues: judged.map { ($0.target.identifier, Set($0.bypasses.keys)) })
        #expect(ways == ["web-number": [], "second": [.hostNetwork, .privileged], "guest-number": [.hostNetwork]])
        #expect(attached.judged(of: "podman").isEmpty)
        #expect(attached.noteRemaining(second, "the engine does not kill it"))
        #expect(!attached.noteRemaining(second, "the engine does not kill it"))
        // It is tried again, and cannot be attached again.
        #expect(!attached.refuse(second, "it cannot be attached"))
        let problems = attached.unattached.map { $0.problem }
        #expect(problems == ["it cannot be attached", "it cannot be attached; the engine does not kill it"])
        #expect(attached.problem(of: first) == nil)
        withExtendedLifetime(folder) {}
    }

    @Test("a container that could not be attached has nothing of another one that had its name, and does not hide it")
    func sameName() throws {
        let folder = try TemporaryDirectory()
        let attached = try AttachedEndpoints(directory: folder.path)
        let first = try target("web", #"{"NetworkMode":"host"}"#, .host)
        var second = try target("web", "{}", .host)
        second.identifier = "second"
        #expect(attached.refuse(first, "it cannot be attached"))
        #expect(attached.noteRemaining(first, "the engine does not kill it"))
        #expect(attached.refuse(second, "it cannot be attached"), "that is said of each of them")
        #expect(!attached.refuse(second, "it cannot be attached"))
        // The first is still there, and is to be judged.
        let judged = attached.judged(of: "docker").map { "\($0.target.identifier) \($0.bypasses.count)" }
        #expect(judged == ["second 0", "web-number 1"])
        let problems = attached.unattached.map { $0.problem }
        #expect(problems == ["it cannot be attached", "it cannot be attached; the engine does not kill it"])
        attached.forgetRefused { $0.identifier == first.identifier }
        #expect(attached.unattached.map { $0.target.identifier } == ["second"])
        withExtendedLifetime(folder) {}
    }

    @Test("what is not in force for one of an endpoint's links is not in force for it")
    func areEnforced() {
        func endpoint(_ conditions: [Condition]) -> EndpointInfo {
            EndpointInfo(
                name: "podman/pod", network: "podman0", namespace: "/proc/0/ns/net", addresses: [], labels: [:],
                egress: [], ingress: [], generations: [], conditions: conditions)
        }
        let sound = endpoint([Condition(.namesResolved, false), Condition(.enforced, true)])
        #expect(EndpointInfo.areEnforced([sound]))
        #expect(!EndpointInfo.areEnforced([sound, endpoint([Condition(.enforced, false, reason: "macvlan")])]))
        #expect(!EndpointInfo.areEnforced([endpoint([])]) && !EndpointInfo.areEnforced([]))
    }
}
