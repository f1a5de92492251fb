// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

@testable import EgretAgent

/// A container engine that tells what it is told to.
final class ScriptedEngine: ContainerEngine {
    private struct State {
        /// The numbers of the containers' first processes, by the containers' own.
        var processes: [String: Int] = [:]
        /// The containers about which no question is answered.
        var held: Set<String> = []
        /// The containers whose first process is another one at each question.
        var restless: Set<String> = []
        /// The containers that are missing in the list, which is older than they are.
        var omitted: Set<String> = []
        /// What the containers were given, as JSON; nothing if there is nothing here.
        var grants: [String: String] = [:]
        /// What it tells of itself, as JSON; it does not if there is nothing here.
        var information: String?
        /// The containers that were asked about.
        var asked: Set<String> = []
        var refusal: EngineError?
        var posts: [String] = []
    }

    private let state = Mutex(State())
    private let events: AsyncStream<String>
    private let event: AsyncStream<String>.Continuation

    init() {
        let (lines, line) = AsyncStream.makeStream(of: String.self)
        events = lines
        event = line
    }

    /// What it was asked to do.
    var posts: [String] { state.withLock { $0.posts } }

    /// Has a container run, and tells of it.
    func start(_ id: String, isTold: Bool = true) {
        state.withLock { $0.processes[id] = 1000 + $0.processes.count }
        if isTold { tell(of: id) }
    }

    /// Says what a container was given, as JSON.
    func grant(_ id: String, _ grant: String) { state.withLock { $0.grants[id] = grant } }
    /// Says what the engine tells of itself, as JSON.
    func inform(_ information: String) { state.withLock { $0.information = information } }

    /// Has a container end, and tells of it.
    func end(_ id: String) {
        _ = state.withLock { $0.processes.removeValue(forKey: id) }
        tell(of: id)
    }

    func tell(of id: String) { event.yield(#"{"Type":"container","Action":"start","Actor":{"ID":"\#(id)"}}"#) }
    /// Answers no questions about a container.
    func hold(_ id: String) { state.withLock { _ = $0.held.insert(id) } }
    /// Answers questions about a container again, or about all.
    func release(_ id: String? = nil) {
        state.withLock { state in
            if let id { _ = state.held.remove(id) } else { state.held = [] }
        }
    }
    /// Leaves a container out of the list, which is older than it is.
    func omit(_ id: String) { state.withLock { _ = $0.omitted.insert(id) } }
    /// Whether anybody has asked about a container.
    func isAsked(_ id: String) -> Bool { state.withLock { $0.asked.contains(id) } }
    /// Ends the stream of events after those that were told; whoever follows may begin another.
    func interrupt() { event.yield("") }
    /// Has a container's first process be another one at each question.
    func unsettle(_ id: String) { state.withLock { _ = $0.restless.insert(id) } }
    /// Does nothing that it is asked to; `nil` to do it again.
    func refuse(_ refusal: EngineError?) { state.withLock { $0.refusal = refusal } }

    // MARK: - ContainerEngine

    func get<Document: Decodable & Sendable>(_ target: String, within limit: Duration) async throws -> Document {
        let id = String(target.dropFirst("/containers/".count).prefix { $0 != "/" && $0 != "?" })
        let beginning = ContinuousClock.now
        state.withLock { _ = $0.asked.insert(id) }
        while state.withLock({ $0.held.contains(id) }) {
            if beginning.duration(to: .now) > limit { throw EngineError("\(target): no answer") }
            try await Task.sleep(for: .milliseconds(5))
        }
        let text = try state.withLock { state -> String in
            if target == "/info" {
                guard let information = state.information else { throw EngineError("it does not say", status: 500) }
                return information
            }
            if id == "json" {
                let told = state.processes.keys.filter { !state.omitted.contains($0) }
                return "[" + told.sorted().map { #"{"Id":"\#($0)"}"# }.joined(separator: ",") + "]"
            }
            guard let process = state.processes[id] else { throw EngineError("there is no \(id)", status: 404) }
            if state.restless.contains(id) { state.processes[id] = process + 1 }
            return """
                {"Id":"\(id)","Name":"/\(id)","State":{"Running":true,"Pid":\(process)},"Config":{},"NetworkSettings":{},
                "HostConfig":\(state.grants[id] ?? "{}")}
                """
        }
        return try JSONDecoder().decode(Document.self, from: Data(text.utf8))
    }

    func post(_ target: String) async throws {
        let id = String(target.dropFirst("/containers/".count).prefix { $0 != "/" })
        try state.withLock { state in
            if let refusal = state.refusal { throw refusal }
            state.posts.append(target)
            state.processes[id] = nil
        }
        tell(of: id)
    }

    func follow(
        _ target: String, begin: @escaping @Sendable () async throws -> Void,
        take: @escaping @Sendable ([UInt8]) async throws -> Void
    ) async throws {
        try await begin()
        for await line in events {
            if line.isEmpty { return }
            try await take(Array(line.utf8))
        }
    }
}

/// Notes what it is told of an engine's containers.
final class NotedKeeper: ContainerKeeper {
    private struct State {
        var attached: [String] = []
        /// What it was last told of the containers.
        var targets: [String: AttachedTarget] = [:]
        var killed: [String] = []
        var remaining: [String: String] = [:]
        var catchUps = 0
        /// By container, another one that has its name.
        var rivals: [String: String] = [:]
        /// The containers that cannot be attached.
        var strangers: Set<String> = []
        /// Whether the kernel takes no policies.
        var isFailing = false
    }

    private let state = Mutex(State())
    /// The ways past policies that containers have.
    private let bypasses: [String: [ContainerBypass: String]]

    init(_ bypasses: [String: [ContainerBypass: String]] = [:]) { self.bypasses = bypasses }

    /// The numbers of the containers that are attached, in the order in which they came.
    var attached: [String] { state.withLock { $0.attached } }
    /// What it was last told that a container was given.
    func grant(of id: String) -> ContainerGrant? { state.withLock { $0.targets[id]?.grant } }
    /// The containers that were killed, each with the reason.
    var killed: [String] { state.withLock { $0.killed } }
    /// Why containers that are not to run still do.
    var remaining: [String: String] { state.withLock { $0.remaining } }
    /// Has a container not be attached while another one is; it is told so only when that one has gone.
    func rival(of id: String, is other: String) { state.withLock { $0.rivals[id] = other } }
    /// Has a container not be attached.
    func reject(_ id: String) { state.withLock { _ = $0.strangers.insert(id) } }
    /// Has the kernel take no policies.
    func fail() { state.withLock { $0.isFailing = true } }
    /// How often it was told of all that runs.
    var catchUps: Int { state.withLock { $0.catchUps } }

    // MARK: - ContainerKeeper

    func containers(
        of runtime: String, are targets: [AttachedTarget], besides unknown: [String]
    ) async throws -> [String] {
        state.withLock { state -> [String] in
            for target in targets { state.targets[target.identifier] = target }
            let known = targets.map(\.identifier)
            state.attached =
                known.filter { !state.strangers.contains($0) } + state.attached.filter { unknown.contains($0) }
            state.catchUps += 1
            return known.filter { state.strangers.contains($0) }
        }
    }

    func attachedContainers(of runtime: String) async -> Set<String> { Set(attached) }

    func container(_ target: AttachedTarget) async throws -> Bool {
        let rival = state.withLock { state -> String? in
            state.targets[target.identifier] = target
            return state.rivals[target.identifier]
        }
        if let rival, attached.contains(rival) {
            while attached.contains(rival) { try await Task.sleep(for: .milliseconds(1)) }
            try await Task.sleep(for: .milliseconds(100))
            return false
        }
        if state.withLock({ $0.strangers.contains(target.identifier) }) { return false }
        let isFailing = state.withLock { state -> Bool in
            if !state.attached.contains(target.identifier) { state.attached.append(target.identifier) }
            return state.isFailing
        }
        if isFailing { throw EngineError("the kernel takes no policies") }
        return true
    }

    func expectContainer(_ target: AttachedTarget, bridge: String) async throws {}

    func containerIsGone(_ identifier: String, of runtime: String) async throws {
        state.withLock { state in
            state.attached.removeAll { $0 == identifier }
            state.remaining[identifier] = nil
        }
    }

    func refusal(of identifier: String, of runtime: String, by refusals: ContainerRefusals) async -> String? {
        guard let target = state.withLock({ $0.targets[identifier] }) else { return nil }
        return refusals.reason(against: target, bypasses[identifier] ?? [:])
    }

    func refusedContainers(of runtime: String, by refusals: ContainerRefusals) async -> [String] {
        var refused: [String] = []
        for id in attached {
            let reason = await refusal(of: id, of: runtime, by: refusals)
            if reason != nil { refused.append(id) }
        }
        return refused
    }

    func containerIsKilled(_ target: AttachedTarget, because reason: String) async {
        state.withLock { $0.killed.append("\(target.id): \(reason)") }
    }

    func containerRemains(_ target: AttachedTarget, _ problem: String) async {
        state.withLock { $0.remaining[target.identifier] = problem }
    }
}
