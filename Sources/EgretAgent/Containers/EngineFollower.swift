// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetworks
import NIOCore

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Who holds an engine's containers to policies.
protocol ContainerKeeper: Sendable {
    /// Notes all containers that an engine runs, and returns the numbers of those that could not be attached.
    func containers(
        of runtime: String, are targets: [AttachedTarget], besides unknown: [String]
    ) async throws -> [String]
    /// The numbers of an engine's containers that are attached.
    func attachedContainers(of runtime: String) async -> Swift.Set<String>
    /// Notes a container that an engine runs, and returns whether it is attached.
    func container(_ target: AttachedTarget) async throws -> Bool
    /// Notes a container that an engine is about to start.
    func expectContainer(_ target: AttachedTarget, bridge: String) async throws
    /// Forgets a container that runs no longer.
    func containerIsGone(_ identifier: String, of runtime: String) async throws
    /// Why a container is not to run; `nil` if it may.
    func refusal(of identifier: String, of runtime: String, by refusals: ContainerRefusals) async -> String?
    /// The numbers of an engine's containers that are not to run and are still there.
    func refusedContainers(of runtime: String, by refusals: ContainerRefusals) async -> [String]
    /// Notes that a container is dead because it was not to run.
    func containerIsKilled(_ target: AttachedTarget, because reason: String) async
    /// Notes that a container which is not to run could not be killed.
    func containerRemains(_ target: AttachedTarget, _ problem: String) async
}

extension Agent: ContainerKeeper {}

/// Follows a container engine: what it runs is held to policies, from before the agent's start until it is gone.
struct EngineFollower: Sendable {
    /// A container engine.
    struct Engine: Hashable, Sendable {
        /// What it is called, and its containers' group: `docker`.
        var name: String
        /// The path of its socket.
        var socketPath: String
    }

    let engine: Engine
    let connection: any ContainerEngine
    let agent: any ContainerKeeper
    /// Which containers are not to run.
    let refusals: ContainerRefusals
    let log: @Sendable (String) -> Void
    /// How long it is until those are asked about again that the engine has not told about.
    let interval: Duration
    private let owed = OwedContainers()
    private let turns = ContainerTurns()
    private let users = KnownUsers()

    init(
        _ engine: Engine, agent: any ContainerKeeper, refusals: ContainerRefusals, group: any EventLoopGroup,
        log: @escaping @Sendable (String) -> Void
    ) {
        self.init(
            engine, at: EngineConnection(socketPath: engine.socketPath, group: group), agent: agent, refusals: refusals,
            log: log)
    }

    init(
        _ engine: Engine, at connection: any ContainerEngine, agent: any ContainerKeeper,
        refusals: ContainerRefusals = ContainerRefusals(), interval: Duration = .seconds(2),
        log: @escaping @Sendable (String) -> Void
    ) {
        self.engine = engine
        self.connection = connection
        self.agent = agent
        self.refusals = refusals
        self.interval = interval
        self.log = log
    }

    /// Follows until the task is cancelled. An engine that is away is asked for again, at least twice a second.
    ///
    /// - Parameter hasCaughtUp: Called when everything that the engine runs has its policies, or the engine is away, or does
    ///   not answer for 20 s; perhaps several times.
    func run(_ hasCaughtUp: @escaping @Sendable () -> Void) async {
        await withDiscardingTaskGroup { group in
            let patience = Task {
                try await Task.sleep(for: .seconds(20))
                log("\(engine.name) has not told yet what it runs: the agent does not wait any longer")
                hasCaughtUp()
            }
            group.addTask {
                await follow {
                    patience.cancel()
                    hasCaughtUp()
                }
            }
            group.addTask { await askAgain() }
            for await turn in turns.begun { group.addTask { await perform(turn) } }
        }
    }

    private func follow(_ hasCaughtUp: @escaping @Sendable () -> Void) async {
        var pause = Duration.milliseconds(100)
        var problem: String?
        while !Task.isCancelled {
            let beginning = ContinuousClock.now
            do {
                try await connection.follow(
                    EngineFollower.events,
                    begin: {
                        let late = try await catchUp()
                        await turns.when(late, hasCaughtUp)
                    },
                    take: { line in await take(line) })
                problem = nil
            } catch {
                if problem != "\(error)", !Task.isCancelled {
                    log("\(engine.name) cannot be followed at \(engine.socketPath): \(error)")
                }
                problem = "\(error)"
            }
            hasCaughtUp()
            if beginning.duration(to: .now) > .seconds(2) { pause = .milliseconds(100) }
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, .milliseconds(500))
        }
    }

    /// The events that change which endpoints there are, or what they are called; Podman asks for `died` and says `die`,
    /// and a container that it restores from a checkpoint does not `start`.
    ///
    /// Paths have no version in front, and are of the engine's own: from release 29 on Docker refuses versions before 1.44,
    /// which release 20.10 does not know. What is read has been there in all of them.
    static let events =
        "/events?filters="
        + encoded(
            #"{"type":["container","network"],"event":["start","die","died","rename","connect","disconnect","restart","#
                + #""restore","unpause"]}"#)

    /// The containers that run, and those that are paused, which have their links: unless it is asked for them, Podman
    /// leaves them out.
    static let running = "/containers/json?filters=" + encoded(#"{"status":["running","paused"]}"#)

    /// At its start an engine has so long for each container, before the others are held to their policies without it.
    private static let patience = Duration.seconds(2)

    /// Has everything that the engine runs be held to its policies, but for what it is slow to tell of.
    ///
    /// - Returns: The containers that it is asked about again at once.
    private func catchUp() async throws -> [String] {
        let before = await agent.attachedContainers(of: engine.name)
        // It may have been started anew, and otherwise.
        await learnUsers()
        let items: [EngineListItem] = try await connection.get(EngineFollower.running)
        let told = await answers(about: items.map(\.identifier))
        var targets: [AttachedTarget] = []
        var unknown: [String] = []
        for item in items {
            switch told[item.identifier] {
            case .success(let target)?:
                if let target { targets.append(target) }
            case .failure(let problem)?:
                // Of one that the engine cannot tell about the others are none the worse.
                log("\(engine.name) does not tell of its container \(item.identifier), and is asked again: \(problem)")
                unknown.append(item.identifier)
            case nil: break
            }
        }
        await owed.replace(with: unknown)
        // What has come in a turn of its own meanwhile may be newer than the list.
        let newer = await agent.attachedContainers(of: engine.name).subtracting(before)
        for id in try await agent.containers(of: engine.name, are: targets, besides: unknown + newer) {
            await owed.add(id)
        }
        log("\(engine.name) runs \(targets.count) container\(targets.count == 1 ? "" : "s")")
        for id in await refusedContainers() { await owed.add(id) }
        for id in await owed.identifiers { await turns.askAgain(about: id) }
        return unknown
    }

    /// Asks about several containers at the same time.
    private func answers(about containers: [String]) async -> [String: Result<AttachedTarget?, EngineError>] {
        await withTaskGroup(of: (String, Result<AttachedTarget?, EngineError>).self) { group in
            for id in containers.prefix(TurnOrder.limit) { group.addTask { (id, await ask(about: id)) } }
            var rest = containers.dropFirst(TurnOrder.limit)
            var found: [String: Result<AttachedTarget?, EngineError>] = [:]
            while let (id, answer) = await group.next() {
                found[id] = answer
                if let next = rest.popFirst() { group.addTask { (next, await ask(about: next)) } }
            }
            return found
        }
    }

    private func ask(about id: String) async -> Result<AttachedTarget?, EngineError> {
        do {
            return .success(try await target(id, within: EngineFollower.patience))
        } catch {
            return .failure(EngineError("\(error)"))
        }
    }

    private func take(_ line: [UInt8]) async {
        guard let event = try? JSONDecoder().decode(EngineEvent.self, from: Data(line)), let id = event.container else {
            return
        }
        if let network = event.awaitedNetwork {
            // The engine answers when the container has started; the next one's link may be there before that.
            await turns.ask(for: ContainerTurn(container: id, networks: [network]))
        } else {
            await turns.take(ContainerTurn(container: id))
        }
    }

    /// Looks at a container. What cannot be done is tried again.
    private func perform(_ turn: ContainerTurn) async {
        let id = turn.container
        do {
            for network in turn.networks { try await expect(id, on: network) }
            try await look(at: id)
        } catch {
            let isNew = await owed.add(id)
            if isNew, !Task.isCancelled {
                log("\(engine.name)'s container \(id) cannot be looked at, and is looked at again: \(error)")
            }
        }
        await turns.end(of: id)
    }

    private func look(at id: String) async throws {
        let ends = await owed.ends
        if let target = try await target(id) {
            guard try await isHeld(target) else {
                await owed.add(id)
                // What it waits for may have gone before it was known to wait.
                if await owed.ends != ends { await turns.ask(for: ContainerTurn(container: id)) }
                return
            }
            await owed.remove(id)
        } else {
            try await agent.containerIsGone(id, of: engine.name)
            await owed.remove(id)
            // Its name may be what another one waits for, also one that is looked at just now.
            for other in await owed.noteEnd() { await turns.ask(for: ContainerTurn(container: other)) }
        }
    }

    /// Has a container be held to its policies, or be killed if it is not to run.
    ///
    /// - Returns: Whether there is nothing left to do about it.
    private func isHeld(_ target: AttachedTarget) async throws -> Bool {
        let isAttached: Bool
        do {
            isAttached = try await agent.container(target)
        } catch {
            // One that is not to run is killed also while the kernel does not take policies.
            _ = try? await isSettled(target)
            throw error
        }
        // What cannot be attached is not to run either if it has what none may have.
        let mayStay = try await isSettled(target)
        return isAttached && mayStay
    }

    /// Has the engine kill a container that is not to run.
    ///
    /// - Returns: Whether there is nothing left to do about it.
    private func isSettled(_ target: AttachedTarget) async throws -> Bool {
        if refusals.ways.isEmpty { return true }
        let id = target.identifier
        guard let reason = await agent.refusal(of: id, of: engine.name, by: refusals) else { return true }
        // What was looked at was found by the number of its process, which may have become another's meanwhile.
        guard try await self.target(id)?.path == target.path else { return false }
        do {
            try await connection.post("/containers/\(id)/kill?signal=KILL")
            await agent.containerIsKilled(target, because: reason)
        } catch {
            // One that has ended by itself need not be killed.
            if await runs(id) { await agent.containerRemains(target, "\(error)") }
        }
        // Until it is seen to be gone.
        return false
    }

    /// Whether a container runs, as far as the engine tells.
    private func runs(_ id: String) async -> Bool {
        do { return try await target(id) != nil } catch { return true }
    }

    private func refusedContainers() async -> [String] {
        refusals.ways.isEmpty ? [] : await agent.refusedContainers(of: engine.name, by: refusals)
    }

    /// Asks about those containers again that the engine has not told about.
    private func askAgain() async {
        var rounds = 0
        while !Task.isCancelled {
            try? await Task.sleep(for: interval)
            rounds += 1
            if rounds.isMultiple(of: EngineFollower.roundsBetweenLists) { try? await compare() }
            // A link may have come that no event told of.
            for id in await refusedContainers() { await owed.add(id) }
            for id in await owed.identifiers { await turns.askAgain(about: id) }
        }
    }

    /// How often it is asked again about containers between two looks at the list of all.
    private static let roundsBetweenLists = 15

    /// Looks whether a container has begun that no event told of: engines drop events for whoever takes them late
    /// (Docker after 100 ms with 1,024 of them waiting), and do not say so.
    private func compare() async throws {
        let items: [EngineListItem] = try await connection.get(EngineFollower.running)
        let known = await agent.attachedContainers(of: engine.name)
        for id in EngineFollower.untold(items.map(\.identifier), known: known) { await owed.add(id) }
        // What was looked at while it was not known whose users containers have may be seen otherwise now.
        if await users.known == nil, await learnUsers() { for id in known { await owed.add(id) } }
    }

    /// Asks the engine whose users its containers have.
    ///
    /// - Returns: Whether it has told.
    @discardableResult
    private func learnUsers() async -> Bool {
        guard
            let information: EngineInformation = try? await connection.get("/info", within: EngineFollower.patience)
        else {
            await users.note(nil)
            return false
        }
        await users.note(information.users)
        return true
    }

    /// The containers that run and are not known. Of those that are gone their links tell.
    static func untold(_ running: [String], known: Swift.Set<String>) -> [String] {
        running.filter { !known.contains($0) }
    }

    /// Tells the agent of a container that is being started: its link is there, its first process is not. The engine does not
    /// answer questions about the container itself until it has started.
    private func expect(_ id: String, on network: String) async throws {
        let filter = EngineFollower.encoded(#"{"id":["\#(id)"]}"#)
        guard
            let network: EngineNetwork = try? await connection.get("/networks/\(network)"),
            let member = network.members?[id],
            let items: [EngineListItem] = try? await connection.get("/containers/json?all=1&filters=\(filter)"),
            let item = items.first, let name = item.name,
            let hardware = member.hardware.flatMap({ MACAddress(text: $0) })
        else { return }
        try await agent.expectContainer(
            AttachedTarget(
                group: engine.name, name: name, kind: "Container", labels: item.labels ?? [:], origin: engine.name,
                identifier: id, path: "",
                addresses: [hardware.description: member.addresses],
                image: item.image.map { ImageReference(text: $0, identifier: item.imageIdentifier) }),
            bridge: network.bridge)
    }

    /// A parameter's value, every byte of it escaped.
    private static func encoded(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF")
        return text.utf8.map { "%\(digits[Int($0 >> 4)])\(digits[Int($0 & 15)])" }.joined()
    }

    /// What is to be attached of a container; `nil` if it does not run.
    private func target(
        _ id: String, within limit: Duration = EngineConnection.patience
    ) async throws -> AttachedTarget? {
        let container = try await container(id, within: limit)
        let known = await users.known
        return container?.target(of: engine.name, users: known)
    }

    /// What the engine tells of a container; `nil` if there is none any more.
    private func container(
        _ id: String, within limit: Duration
    ) async throws -> EngineContainer? {
        do {
            return try await connection.get("/containers/\(id)/json", within: limit)
        } catch {
            if let error = error as? EngineError, error.status == 404 { return nil }
            throw error
        }
    }
}

/// Whose users an engine's containers have, as far as it has told.
private actor KnownUsers {
    private(set) var known: ContainerUsers?

    func note(_ users: ContainerUsers?) { known = users }
}

/// The containers that an engine has still to tell about.
private actor OwedContainers {
    private(set) var identifiers: [String] = []
    /// How many containers were seen to have ended.
    private(set) var ends = 0

    /// Notes that a container has ended, and returns those that are owed, of which one may have waited for that.
    func noteEnd() -> [String] {
        ends += 1
        return identifiers
    }

    func replace(with identifiers: [String]) { self.identifiers = identifiers }

    /// Returns whether that is new.
    @discardableResult
    func add(_ identifier: String) -> Bool {
        if identifiers.contains(identifier) { return false }
        identifiers.append(identifier)
        return true
    }

    func remove(_ identifier: String) { identifiers.removeAll { $0 == identifier } }
}
