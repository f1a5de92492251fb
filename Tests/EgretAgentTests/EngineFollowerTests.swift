// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretTesting
import Foundation
import Synchronization
import Testing

@testable import EgretAgent

@Suite("following a container engine")
struct EngineFollowerTests {
    private let engine = ScriptedEngine()

    /// Follows the engine for as long as the body takes.
    private func following(
        _ keeper: NotedKeeper, refused: Set<ContainerBypass> = [], exceptions: [ContainerException] = [],
        interval: Duration = .seconds(2),
        hasCaughtUp: @escaping @Sendable () -> Void = {}, _ body: () async throws -> Void
    ) async throws {
        let follower = EngineFollower(
            EngineFollower.Engine(name: "docker", socketPath: ""), at: engine, agent: keeper,
            refusals: ContainerRefusals(refused, exceptions: exceptions), interval: interval, log: { _ in })
        let task = Task { await follower.run(hasCaughtUp) }
        defer { task.cancel() }
        try await body()
    }

    /// Waits until something is so, at most a minute, which a busy machine may need.
    private func eventually(_ what: Comment, _ isSo: () -> Bool) async throws {
        for _ in 0..<6000 where !isSo() { try await Task.sleep(for: .milliseconds(10)) }
        let hasCome = isSo()
        #expect(hasCome, what)
    }

    @Test("a container that has what none may have is killed; one that has what is only reported is not")
    func kill() async throws {
        let keeper = NotedKeeper([
            "a": [.hostNetwork: "it uses the host's network"], "b": [.privileged: "it has a capability"],
        ])
        try await following(keeper, refused: [.hostNetwork]) {
            for id in ["a", "b", "c"] { engine.start(id) }
            try await eventually("the first is gone") { keeper.attached == ["b", "c"] }
            #expect(engine.posts == ["/containers/a/kill?signal=KILL"])
            #expect(keeper.killed == ["docker/a: it uses the host's network"])
        }
    }

    @Test("a container that runs when the agent starts is killed as well")
    func killAtStart() async throws {
        let keeper = NotedKeeper(["a": [.privileged: "it has a capability"]])
        for id in ["a", "b"] { engine.start(id, isTold: false) }
        try await following(keeper, refused: [.privileged]) {
            try await eventually("the first is gone") { keeper.attached == ["b"] }
            #expect(keeper.killed == ["docker/a: it has a capability"])
        }
    }

    @Test("a container is told of with what it was given, and whose users the engine's containers have")
    func grants() async throws {
        let keeper = NotedKeeper()
        engine.grant("a", #"{"CapAdd":["CAP_SYS_ADMIN"]}"#)
        engine.grant("b", #"{"NetworkMode":"host"}"#)
        engine.inform(#"{"SecurityOptions":["name=seccomp,profile=default","name=userns"]}"#)
        engine.start("a", isTold: false)
        try await following(keeper) {
            engine.start("b")
            try await eventually("both are attached") { Set(keeper.attached) == ["a", "b"] }
            let admin = ContainerGrant(capabilities: HostCapability.sysAdmin.bit, hasHostUsers: false)
            #expect(keeper.grant(of: "a") == admin)
            #expect(keeper.grant(of: "b") == ContainerGrant(usesHostNetwork: true, hasHostUsers: false))
        }
    }

    @Test("while an engine does not tell whose users its containers have nothing is said of that, and then it is")
    func unknownUsers() async throws {
        let keeper = NotedKeeper()
        engine.start("a", isTold: false)
        try await following(keeper, interval: .milliseconds(10)) {
            try await eventually("it is attached") { keeper.attached == ["a"] }
            #expect(keeper.grant(of: "a") == ContainerGrant())
            engine.inform("{}")
            try await eventually("it is looked at again") { keeper.grant(of: "a")?.hasHostUsers == true }
        }
    }

    @Test("without a rule that says so nothing is killed")
    func report() async throws {
        let keeper = NotedKeeper(["a": [.hostNetwork: "it uses the host's network"]])
        try await following(keeper) {
            for id in ["a", "b"] { engine.start(id) }
            try await eventually("both are attached") { keeper.attached == ["a", "b"] }
            #expect(engine.posts.isEmpty)
        }
    }

    @Test("what an engine does not kill is told of, and tried again")
    func refusedKill() async throws {
        let keeper = NotedKeeper(["a": [.otherLinks: "eth0 is a macvlan"]])
        engine.refuse(EngineError("/containers/a/kill was answered 500: no", status: 500))
        try await following(keeper, refused: [.otherLinks]) {
            engine.start("a")
            try await eventually("it remains") { keeper.remaining == ["a": "/containers/a/kill was answered 500: no"] }
            #expect(keeper.killed.isEmpty)
            engine.refuse(nil)
            try await eventually("it is gone") { keeper.attached.isEmpty }
            #expect(keeper.killed == ["docker/a: eth0 is a macvlan"] && keeper.remaining.isEmpty)
        }
    }

    @Test("a container whose process became another one while it was looked at is not killed for what was seen")
    func otherProcess() async throws {
        let keeper = NotedKeeper(["a": [.privileged: "it has a capability"]])
        engine.unsettle("a")
        try await following(keeper, refused: [.privileged]) {
            for id in ["a", "b"] { engine.start(id) }
            try await eventually("both are attached") { keeper.attached == ["a", "b"] }
            #expect(engine.posts.isEmpty && keeper.killed.isEmpty)
        }
    }

    @Test("a container that is not to run is killed also while policies cannot be put in force")
    func killDespiteErrors() async throws {
        let keeper = NotedKeeper(["a": [.hostNetwork: "it uses the host's network"]])
        keeper.fail()
        try await following(keeper, refused: [.hostNetwork]) {
            engine.start("a")
            try await eventually("it is gone") { keeper.attached.isEmpty && !keeper.killed.isEmpty }
            #expect(engine.posts == ["/containers/a/kill?signal=KILL"])
        }
    }

    @Test("a container that is not to run is killed also if it cannot be attached")
    func killUnattached() async throws {
        let keeper = NotedKeeper([
            "a": [.hostNetwork: "it uses the host's network"], "b": [.privileged: "it has a capability"],
        ])
        for id in ["a", "b"] { keeper.reject(id) }
        try await following(keeper, refused: [.hostNetwork]) {
            for id in ["a", "b", "c"] { engine.start(id) }
            try await eventually("one is killed") { !keeper.killed.isEmpty }
            try await eventually("the last is attached") { keeper.attached == ["c"] }
            #expect(engine.posts == ["/containers/a/kill?signal=KILL"])
            #expect(keeper.killed == ["docker/a: it uses the host's network"])
        }
    }

    @Test("a container whose name another one has is looked at again at once when that one goes meanwhile")
    func nameOfOneThatGoes() async throws {
        let keeper = NotedKeeper()
        keeper.rival(of: "b", is: "a")
        // Nothing is asked about again of itself.
        try await following(keeper, interval: .seconds(3_600)) {
            engine.start("a")
            try await eventually("the first is attached") { keeper.attached == ["a"] }
            engine.start("b")
            try await eventually("the other is looked at") { engine.isAsked("b") }
            engine.end("a")
            try await eventually("the other is attached") { keeper.attached == ["b"] }
        }
    }

    @Test("a container that came in a turn of its own is not let go of by a list that is older")
    func olderList() async throws {
        let keeper = NotedKeeper()
        try await following(keeper) {
            engine.start("a")
            try await eventually("the first is attached") { keeper.attached == ["a"] }
            for id in ["b", "c"] { engine.hold(id) }
            engine.start("b")
            engine.omit("b")
            engine.start("c", isTold: false)
            engine.interrupt()
            try await eventually("the engine is asked about all that the list has") { engine.isAsked("c") }
            engine.release("b")
            try await eventually("the second is attached") { keeper.attached == ["a", "b"] }
            engine.release()
            try await eventually("the list is told of") { keeper.catchUps == 2 }
            #expect(Set(keeper.attached).isSuperset(of: ["a", "b"]))
            // On a busy machine the engine's answer may come too late for the list.
            try await eventually("so is the third") { Set(keeper.attached) == ["a", "b", "c"] }
        }
    }

    @Test("a container that the engine does not tell of keeps no other waiting")
    func slow() async throws {
        let keeper = NotedKeeper()
        try await following(keeper) {
            engine.hold("a")
            for id in ["a", "b", "c"] { engine.start(id) }
            try await eventually("the others are attached") { keeper.attached == ["b", "c"] }
            engine.end("b")
            try await eventually("one has ended") { keeper.attached == ["c"] }
            engine.release()
            try await eventually("so is it") { keeper.attached == ["c", "a"] }
            #expect(keeper.catchUps == 1)
        }
    }

    @Test("a container that the engine does not tell of at the start keeps no other waiting, but whoever asks for all")
    func slowAtStart() async throws {
        let keeper = NotedKeeper()
        let isReady = Mutex(false)
        for id in ["a", "b", "c"] { engine.start(id, isTold: false) }
        engine.hold("b")
        try await following(keeper, hasCaughtUp: { isReady.withLock { $0 = true } }) {
            try await eventually("the others are attached") { keeper.attached == ["a", "c"] }
            let isEarly = isReady.withLock { $0 }
            #expect(!isEarly)
            engine.release()
            try await eventually("so is it") { keeper.attached == ["a", "c", "b"] }
            try await eventually("and the agent is ready") { isReady.withLock { $0 } }
        }
    }

    @Test("of a container one look comes after the other, and one that is to come stands for all until then")
    func turns() {
        func turn(_ container: String, _ networks: String...) -> ContainerTurn {
            ContainerTurn(container: container, networks: networks)
        }
        var order = TurnOrder()
        let begun = [turn("a", "n"), turn("b")].map { order.ask(for: $0) }
        #expect(begun == [turn("a", "n"), turn("b")])
        let later = [turn("a"), turn("a", "m"), turn("a", "m", "o")].map { order.ask(for: $0) }
        #expect(later == [nil, nil, nil])
        #expect(order.isPending("a") && order.isPending("b") && !order.isPending("c"))
        let ends = ["b", "a"].map { order.end(of: $0) }
        #expect(ends == [[], [turn("a", "m", "o")]])
        #expect(order.isPending("a") && !order.isPending("b"))
        let last = order.end(of: "a")
        #expect(last.isEmpty && !order.isPending("a"))
    }

    @Test("not more containers are looked at at the same time than the engine is to be asked about")
    func limit() {
        var order = TurnOrder()
        let names = (0...TurnOrder.limit).map { "c\($0)" }
        let begun = names.compactMap { order.ask(for: ContainerTurn(container: $0)) }
        #expect(begun.map(\.container) == Array(names.dropLast()))
        // One that is looked at already does not take the place of the one that waits.
        let again = order.ask(for: ContainerTurn(container: "c0"))
        #expect(again == nil)
        let ends = ["c1", "c0"].map { order.end(of: $0).map(\.container) }
        #expect(ends == [["c\(TurnOrder.limit)"], ["c0"]])
    }

    @Test(
        "what a container is refused for is what it has of what none may have",
        arguments: [
            ([], nil), ([.privileged], "p"), ([.otherLinks], nil), ([.privileged, .hostNetwork], "h; p"),
            ([.hostNetwork, .otherLinks, .privileged], "h; p"),
        ] as [(Set<ContainerBypass>, String?)])
    func refusal(_ refused: Set<ContainerBypass>, _ reason: String?) {
        let target = container("a", nil)
        let refusals = ContainerRefusals(refused)
        #expect(refusals.reason(against: target, [.privileged: "p", .hostNetwork: "h"]) == reason)
        #expect(refusals.reason(against: target, [:]) == nil)
    }

    /// A container of Docker's, with labels that say what an exception would.
    private func container(_ name: String, _ image: ImageReference?) -> AttachedTarget {
        AttachedTarget(
            group: "docker", name: name, kind: "Container", labels: ["egret.dev/image": "monitor", "name": "monitor"],
            origin: "docker", identifier: "\(name)-number", path: "/proc/0/ns/net", image: image)
    }

    @Test(
        "an exception is read, and written as it can be read again",
        arguments: [
            ("docker/monitor", "docker/monitor"), ("image:monitor", "image:monitor"),
            ("image:registry.example:5000/team/monitor:2", "image:registry.example:5000/team/monitor:2"),
            ("image:0123456789ab", "image:sha256:0123456789ab"),
            ("image:sha256:0123456789abcdef", "image:sha256:0123456789abcdef"),
            ("image:0123456789a", "image:0123456789a"), ("image:sha256:0123456789a", nil), ("image:sha256:", nil),
            ("image:sha256:0123456789AB", nil), ("monitor", nil), ("docker/", nil), ("/monitor", nil), ("", nil),
            ("docker/a/b", nil), ("image:", nil), ("image:a b", nil), ("docker/*", nil),
        ] as [(String, String?)])
    func exceptions(_ text: String, _ written: String?) {
        let exception = ContainerException(text)
        #expect(exception?.description == written)
        if let written { #expect(ContainerException(written) == exception) }
    }

    @Test(
        "what is excepted by its name or its image may run; labels that a container brings along except nothing",
        arguments: [
            ("docker/monitor", ["named"]), ("podman/monitor", []), ("docker/other", []),
            ("image:registry.example/monitor:2", ["made"]), ("image:monitor:2", []), ("image:monitor", []),
            ("image:sha256:0123456789abcdef", ["made"]), ("image:0123456789ab", ["made"]),
            ("image:sha256:123456789abcdef", []), ("image:0123456789abcd0", []),
        ] as [(String, [String])])
    func excepted(_ text: String, _ expected: [String]) throws {
        let number = "sha256:0123456789abcdef" + String(repeating: "0", count: 48)
        let image = ImageReference(text: "registry.example/monitor:2", identifier: number)
        let containers = ["named": container("monitor", nil), "made": container("made", image)]
        let refusals = ContainerRefusals([.privileged], exceptions: [try #require(ContainerException(text))])
        let spared = containers.filter { refusals.reason(against: $0.value, [.privileged: "p"]) == nil }
        #expect(spared.keys.sorted() == expected)
    }

    @Test(
        "an exception is for all rules, or for those in front of it, and is written as it can be read again",
        arguments: [
            ("docker/a", "docker/a", nil), ("privileged=docker/a", "privileged=docker/a", "h"),
            ("host-network=docker/a", "host-network=docker/a", "p"),
            ("other-links=docker/a", "other-links=docker/a", "h; p"),
            ("privileged,host-network=docker/a", "host-network,privileged=docker/a", nil),
            ("privileged=docker/b", "privileged=docker/b", "h; p"),
            ("privileged=image:a=b", "privileged=image:a=b", "h; p"),
            ("image:privileged=b", "image:privileged=b", "h; p"), ("privilege=docker/a", nil, "h; p"),
            ("privileged=", nil, "h; p"), ("=docker/a", nil, "h; p"), ("privileged,=docker/a", nil, "h; p"),
        ] as [(String, String?, String?)])
    func exemptions(_ text: String, _ written: String?, _ reason: String?) {
        let exemption = ContainerExemption(text)
        #expect(exemption?.description == written)
        if let written { #expect(ContainerExemption(written) == exemption) }
        let refusals = ContainerRefusals([.hostNetwork, .privileged], exemptions: exemption.map { [$0] } ?? [])
        let found: [ContainerBypass: String] = [.hostNetwork: "h", .otherLinks: "o", .privileged: "p"]
        #expect(refusals.reason(against: container("a", nil), found) == reason)
    }

    @Test("a container that is excepted is not killed, neither at once nor when it is asked about again")
    func spared() async throws {
        let way: [ContainerBypass: String] = [.privileged: "it has a capability"]
        let keeper = NotedKeeper(["a": way, "b": way])
        let exception = try #require(ContainerException("docker/a"))
        try await following(
            keeper, refused: [.privileged], exceptions: [exception], interval: .milliseconds(10)
        ) {
            for id in ["a", "b"] { engine.start(id) }
            try await eventually("the other is gone") { keeper.killed.count == 1 && keeper.attached == ["a"] }
            try await Task.sleep(for: .milliseconds(100))
            #expect(engine.posts == ["/containers/b/kill?signal=KILL"])
        }
    }

    @Test("the host's network and a way there are told apart")
    func bypasses() throws {
        func record(_ name: String, _ cookie: UInt64, _ wayToHost: String?) -> AttachedRecord {
            AttachedRecord(
                target: AttachedTarget(
                    group: "docker", name: name, kind: "Container", labels: [:], origin: "docker", identifier: name,
                    path: "/proc/0/ns/net"),
                cookie: cookie, links: [], wayToHost: wayToHost)
        }
        let folder = try TemporaryDirectory()
        let attached = try AttachedEndpoints(directory: folder.path)
        let own = try NetworkNamespace.currentCookie()
        let reason = "it uses the host's network, which no policy for endpoints is about"
        #expect(attached.bypasses(of: record("a", own, nil)) == [.hostNetwork: reason])
        #expect(attached.bypasses(of: record("b", own, "way")) == [.hostNetwork: reason, .privileged: "way"])
        #expect(attached.bypasses(of: record("c", own + 1, "way")) == [.privileged: "way"])
        #expect(attached.bypasses(of: record("d", own + 1, nil)).isEmpty)
        withExtendedLifetime(folder) {}
    }

    @Test("what a container could is not taken over by another one of its name in the same network", .requiresRoot)
    func wayOfAnother() throws {
        // Of a namespace nobody asks what its processes can.
        func target(_ identifier: String) -> AttachedTarget {
            AttachedTarget(
                group: "docker", name: "a", kind: "Namespace", labels: [:], origin: "docker", identifier: identifier,
                path: "/proc/self/ns/net")
        }
        let folder = try TemporaryDirectory()
        let record = AttachedRecord(
            target: target("first"), cookie: try NetworkNamespace.currentCookie(), links: [], wayToHost: "way")
        try JSONEncoder().encode(record).write(to: URL(fileURLWithPath: folder.path + "/docker%2Fa.json"))
        let attached = try AttachedEndpoints(directory: folder.path)
        let ways = try ["first", "second"].map { try attached.attach(target($0)).wayToHost }
        #expect(ways == ["way", nil])
        withExtendedLifetime(folder) {}
    }

    @Test("the container that the agent runs in is the one that has begun it, not one that shares its namespaces")
    func ownContainer() throws {
        func target(_ path: String, _ kind: String = "Container") -> AttachedTarget {
            AttachedTarget(
                group: "docker", name: "a", kind: kind, labels: [:], origin: "docker", identifier: "a", path: path)
        }
        #expect(target("/proc/self/ns/net").isAgents)
        #expect(!target("/proc/self/ns/net", "Namespace").isAgents)
        #expect(!target("/proc/0/ns/net").isAgents)
        let parent = getppid()
        if parent > 0 { #expect(target("/proc/\(parent)/ns/net").isAgents) }
        let other = try RunningProgram(["sleep", "60"])
        defer {
            other.send(signal: 9)
            _ = other.wait()
        }
        #expect(!target("/proc/\(other.processIdentifier)/ns/net").isAgents)
    }
}
