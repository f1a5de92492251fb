// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// One look at a container.
struct ContainerTurn: Hashable, Sendable {
    /// The container's number.
    var container: String
    /// The networks that it is being connected to while it is started.
    var networks: [String] = []
}

/// Who is looked at when: of a container one thing after the other, of several at the same time.
struct TurnOrder {
    /// So many containers are looked at, at the most, at the same time.
    static let limit = 16

    private var underWay: Swift.Set<String> = []
    /// The turns that are still to come, one for each container: a look sees all that has become of it until then.
    private var waiting: [ContainerTurn] = []

    /// Whether a container is looked at, or will be.
    func isPending(_ container: String) -> Bool {
        underWay.contains(container) || waiting.contains { $0.container == container }
    }

    /// Asks for a turn.
    ///
    /// - Returns: The turn, if it is to begin now; `nil` if it has to wait for others.
    mutating func ask(for turn: ContainerTurn) -> ContainerTurn? {
        if underWay.count < TurnOrder.limit, underWay.insert(turn.container).inserted { return turn }
        if let place = waiting.firstIndex(where: { $0.container == turn.container }) {
            let known = waiting[place].networks
            waiting[place].networks = known + turn.networks.filter { !known.contains($0) }
        } else {
            waiting.append(turn)
        }
        return nil
    }

    /// Notes that a container's turn has ended.
    ///
    /// - Returns: The turns that are to begin now.
    mutating func end(of container: String) -> [ContainerTurn] {
        underWay.remove(container)
        var begun: [ContainerTurn] = []
        while underWay.count < TurnOrder.limit,
            let place = waiting.firstIndex(where: { !underWay.contains($0.container) })
        {
            let turn = waiting.remove(at: place)
            underWay.insert(turn.container)
            begun.append(turn)
        }
        return begun
    }
}

/// Has containers be looked at in turn, so that one that the engine is slow to tell of keeps no other waiting.
actor ContainerTurns {
    /// Whoever tells of a container waits for so long, at the most, until it has been looked at: what an engine tells one
    /// after the other is done one after the other, as long as it is quick.
    static let patience = Duration.milliseconds(250)

    /// The turns that are to be taken, in the order in which they begin; each of them is followed by ``end(of:)``.
    nonisolated let begun: AsyncStream<ContainerTurn>
    private let begin: AsyncStream<ContainerTurn>.Continuation
    private var order = TurnOrder()
    /// What waits for the ends of turns.
    private var ends: [String: AsyncStream<Void>.Continuation] = [:]
    /// What is to be done when several containers have been looked at.
    private var rests: [(containers: Swift.Set<String>, body: @Sendable () -> Void)] = []

    init() {
        let (turns, turn) = AsyncStream.makeStream(of: ContainerTurn.self)
        begun = turns
        begin = turn
    }

    /// Has a container be looked at, and waits for that if it is quick. One that is looked at just now, or that has to wait
    /// for others, is not waited for.
    func take(_ turn: ContainerTurn) async {
        guard let turn = order.ask(for: turn) else { return }
        let (ending, end) = AsyncStream.makeStream(of: Void.self)
        ends[turn.container] = end
        begin.yield(turn)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in ending {} }
            group.addTask { try? await Task.sleep(for: ContainerTurns.patience) }
            _ = await group.next()
            group.cancelAll()
        }
    }

    /// Has a container be looked at, and does not wait for that.
    func ask(for turn: ContainerTurn) {
        if let turn = order.ask(for: turn) { begin.yield(turn) }
    }

    /// Has a container be looked at, unless it is to be anyway, and does not wait for that.
    func askAgain(about container: String) {
        if !order.isPending(container) { ask(for: ContainerTurn(container: container)) }
    }

    /// Notes that a turn has ended.
    func end(of container: String) {
        ends.removeValue(forKey: container)?.finish()
        for turn in order.end(of: container) { begin.yield(turn) }
        for place in rests.indices { rests[place].containers.remove(container) }
        for rest in rests where rest.containers.isEmpty { rest.body() }
        rests.removeAll { $0.containers.isEmpty }
    }

    /// Does something as soon as containers have been looked at that are to be now.
    func when(_ containers: [String], _ body: @escaping @Sendable () -> Void) {
        let left = Swift.Set(containers.filter { order.isPending($0) })
        if left.isEmpty { body() } else { rests.append((left, body)) }
    }
}
