// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDNSWire
import EgretLinux

/// The proxy's work. One thread has it, and nobody else touches it.
///
/// Each round takes what came from servers and clients, judges it, commits all grants of the round at once, and then
/// sends the answers.
final class ProxyLoop {
    /// What a descriptor that is ready belongs to.
    enum Source {
        case datagrams(Int)
        case listener(Int)
        case client(ClientStream)
        case port(UpstreamPort)
        case stream(UpstreamStream)
    }

    /// An answer that waits for its grants.
    struct Ready {
        var question: PendingQuestion
        var bytes: [UInt8]
        var gifts: AnswerGifts
        var events: [NameEvent]
    }

    let registry: NameRegistry
    let hooks: NameProxy.Hooks
    let loop: EventLoop
    let datagramSockets: [InternetSocket]
    let listeners: [InternetSocket]
    let ownPort: UInt16
    let destinations: OriginalDestinations
    let hostAddresses: HostAddresses
    /// What asks servers over TLS, as soon as there is such a server.
    private(set) var encrypted: EncryptedServers?
    private let laterTrust: (@Sendable () throws -> ServerTrust)?
    /// Why nobody can be asked over TLS, and until when that is taken for granted, in milliseconds.
    private var missingTrust: (reason: String, until: UInt64)?
    let receiver = DatagramReceiver(limit: 32, slot: 4_096)

    var sources: [UInt64: Source] = [:]
    var nextToken: UInt64 = 1
    var pending: [UInt64: PendingQuestion] = [:]
    var nextQuestion: UInt64 = 1
    /// How many questions of endpoints are passed on and not answered.
    var questionCounts = OwnerCounts(most: ProxyLimits.pendingQuestions)
    /// Questions and when their attempts end: every attempt has the same time.
    var deadlines = Agenda()
    /// Questions and when their datagrams are taken for lost.
    var losses = Agenda()
    /// The servers that were silent of late, of those that stand for each other.
    var silentServers: SilentServers
    /// How fast servers are sent datagrams.
    var paces = ServerPaces()
    /// The servers that are asked without EDNS.
    var plainServers = PlainServers()
    var ports: [UpstreamPlace: [UpstreamPort]] = [:]
    /// All ports that are open, also those that take no more questions, by whose question has opened them.
    var portCounts = OwnerCounts(most: ProxyLimits.ports)
    /// Connections to servers, by whose questions they carry.
    var streamCounts = OwnerCounts(most: ProxyLimits.streams)
    var clients: [UInt64: ClientStream] = [:]
    /// How many connections endpoints have.
    var clientCounts = OwnerCounts(most: ProxyLimits.connections)
    /// Clients that have messages which were not looked at yet, and may have room for answers.
    var unfinished: Swift.Set<UInt64> = []
    var ready: [Ready] = []
    var random = RandomPool()
    var now: UInt64 = BootClock.milliseconds
    private var nextTick: UInt64 = 0
    /// Whether nobody is accepted, for want of descriptors.
    var arePaused = false
    /// The tokens of the sockets from which questions are taken.
    private var listening: [UInt64] = []
    private var isReading: Bool { !listening.isEmpty }
    /// The UDP sockets in which questions may be that have waited for this proxy, and until when that matters.
    var backlogged: Swift.Set<Int> = []
    private var backlogEnd: UInt64 = 0
    /// Whether no more of these are taken for the moment.
    private(set) var isHoldingBack = false
    /// When the work ends, in milliseconds, if it is to be finished.
    private var end: UInt64?

    init(
        registry: NameRegistry, hooks: NameProxy.Hooks, loop: EventLoop, datagrams: [InternetSocket],
        listeners: [InternetSocket], port: UInt16, trust: ServerTrust?,
        laterTrust: (@Sendable () throws -> ServerTrust)? = nil, silentServers: SilentServers
    ) throws(LinuxError) {
        self.registry = registry
        self.hooks = hooks
        self.loop = loop
        datagramSockets = datagrams
        self.listeners = listeners
        ownPort = port
        self.silentServers = silentServers
        destinations = try OriginalDestinations()
        hostAddresses = try HostAddresses()
        self.laterTrust = laterTrust
        encrypted = trust.map { EncryptedServers($0) { loop.wake() } }
    }

    /// Gets ready to ask servers over TLS, unless that was done.
    ///
    /// - Returns: Why nobody can be asked so; `nil` if somebody can.
    func prepareEncrypted() -> String? {
        if encrypted != nil { return nil }
        if let missingTrust, now < missingTrust.until { return missingTrust.reason }
        guard let laterTrust else { return "nobody is trusted to vouch for it" }
        do {
            let loop = self.loop
            encrypted = EncryptedServers(try laterTrust()) { loop.wake() }
            return nil
        } catch {
            let reason = "no certificates can be read: \(error)"
            missingTrust = (reason, now + 60_000)
            return reason
        }
    }

    /// Works until it is told to stop, or has finished.
    func run(_ stage: ProxyStage) { run(stage, waiting: loop.happened) }

    /// The same; `wait` says what has happened, after so many milliseconds at most.
    func run(
        _ stage: ProxyStage,
        waiting wait: (_ milliseconds: Int32) throws(LinuxError) -> [(UInt64, EventLoop.Events)]
    ) {
        defer { encrypted?.stop() }
        while goesOn(stage.step) {
            let events: [(UInt64, EventLoop.Events)]
            do throws(LinuxError) {
                events = try wait(timeToWait())
            } catch {
                // Nothing opens by it, but nobody would know why names are resolved no more.
                abandon()
                return hooks.failed(error)
            }
            now = BootClock.milliseconds
            handle(events)
            takeEncrypted()
            flush()
            sendWaiting()
            repeatLost()
            expireAttempts()
            if now >= nextTick {
                nextTick = now + 1_000
                tick()
            }
            flush()
        }
    }

    /// Takes off the books what gets no answer any more: the next proxy goes on with the same endpoints.
    private func abandon() {
        for question in pending.values { registry.questionEnded(of: question.endpoint, question.incarnation) }
        pending = [:]
        for stream in Array(clients.values) { close(stream) }
    }

    /// Does what a round brings. Connections do not hold up datagrams, however many there are.
    private func handle(_ events: [(UInt64, EventLoop.Events)]) {
        var streams = 0
        func giveWay() {
            streams += 1
            if streams % 8 == 0 { receiveAllDatagrams() }
        }
        for (token, happened) in events {
            handle(token, happened)
            if clients[token] != nil { giveWay() }
        }
        let waiting = unfinished
        unfinished.removeAll(keepingCapacity: true)
        for token in waiting {
            guard let stream = clients[token] else { continue }
            askWaiting(stream)
            giveWay()
        }
        if streams > 0 { receiveAllDatagrams() }
    }

    /// Does what the present step wants besides the rounds.
    ///
    /// - Returns: Whether there is another round.
    private func goesOn(_ step: ProxyStage.Step) -> Bool {
        switch step {
        case .held: return true
        case .working:
            if !isReading { startReading() }
            catchUp()
            return true
        case .finishing(let until):
            if isReading { stopReading() }
            end = until
            now = BootClock.milliseconds
            endDoneClients()
            return now < until && !(pending.isEmpty && ready.isEmpty && clients.isEmpty)
        case .stopped: return false
        }
    }

    private func startReading() {
        do throws(LinuxError) {
            for (index, socket) in datagramSockets.enumerated() {
                listening.append(try add(.datagrams(index), socket, .readable))
            }
            for (index, socket) in listeners.enumerated() {
                listening.append(try add(.listener(index), socket, .readable))
            }
            backlogged = Swift.Set(datagramSockets.indices)
            backlogEnd = BootClock.milliseconds + ProxyLimits.backlogMilliseconds
        } catch {
            // For want of memory: it is tried again in the next round.
            stopReading()
            arePaused = true
        }
    }

    /// Leaves what comes to the sockets for another one that has them open.
    private func stopReading() {
        isHoldingBack = false
        for token in listening { sources[token] = nil }
        listening = []
        for socket in datagramSockets + listeners { loop.remove(socket.descriptor) }
    }

    /// Takes what has waited while there was no proxy as fast as servers answer: all at once it may be more than an endpoint may
    /// have under way, or a server takes.
    private func catchUp() {
        if now >= backlogEnd { backlogged = [] }
        let holdsBack = !backlogged.isEmpty && pending.count >= ProxyLimits.backlogQuestions
        guard holdsBack != isHoldingBack else { return }
        isHoldingBack = holdsBack
        for token in listening {
            guard case .datagrams(let index) = sources[token] else { continue }
            try? loop.change(datagramSockets[index].descriptor, holdsBack ? [] : .readable, token: token)
        }
    }

    private func receiveAllDatagrams() {
        guard isReading else { return }
        for index in datagramSockets.indices { receiveDatagrams(index) }
    }

    private func timeToWait() -> Int32 {
        if !unfinished.isEmpty { return 0 }
        if let end {
            let most: UInt64 = clients.isEmpty ? .max : ProxyLimits.finishingMilliseconds
            return end <= now ? 0 : Int32(clamping: min(end - now, timeToDeadline ?? .max, most))
        }
        let isIdle = clients.isEmpty && ports.isEmpty && !arePaused
        return timeToDeadline.map { Int32(clamping: min($0, 1_000)) } ?? (isIdle ? -1 : 1_000)
    }

    /// How long it is until something is due about a question, in milliseconds; `nil` if none waits.
    private var timeToDeadline: UInt64? {
        guard let at = [deadlines.first, losses.first, paces.next].compactMap(\.self).min() else { return nil }
        return at <= now ? 0 : at - now
    }

    private func handle(_ token: UInt64, _ events: EventLoop.Events) {
        switch sources[token] {
        case .datagrams(let index): receiveDatagrams(index)
        case .listener(let index): acceptClients(index)
        case .client(let stream): serve(stream, events)
        case .port(let port): receiveAnswers(port)
        case .stream(let stream): continueStream(stream)
        case nil: break
        }
    }

    /// Waits for a socket from now on, under a new token.
    @discardableResult
    func add(_ source: Source, _ socket: InternetSocket, _ events: EventLoop.Events, token: UInt64? = nil)
        throws(LinuxError) -> UInt64
    {
        let token = token ?? newToken()
        try loop.add(socket.descriptor, events, token: token)
        sources[token] = source
        return token
    }

    func newToken() -> UInt64 {
        defer { nextToken += 1 }
        return nextToken
    }

    /// Commits what the round's answers need, and sends them.
    func flush() {
        guard !ready.isEmpty else { return }
        let round = ready
        ready.removeAll(keepingCapacity: true)
        let withheld = commit(round)
        for answer in round {
            let endpoint = answer.question.endpoint
            if !answer.gifts.isEmpty, let reason = withheld[answer.question.lot] {
                if case .failed(let message) = reason {
                    hooks.event(endpoint, .commitFailed(answer.question.question.name, message))
                }
                refuse(answer.question, .serverFailure)
                continue
            }
            for event in answer.events { hooks.event(endpoint, event) }
            deliver(answer.bytes, answer.question)
        }
    }

    /// Commits what a round's answers give.
    private func commit(_ round: [Ready]) -> [AnswerLot: Withheld] {
        var gifts: [AnswerLot: AnswerGifts] = [:]
        for answer in round where !answer.gifts.isEmpty {
            gifts[answer.question.lot, default: AnswerGifts()].add(answer.gifts)
        }
        return gifts.isEmpty ? [:] : registry.commit(gifts, now: now, by: hooks)
    }

    /// Sends an answer to whoever asked, and takes its question off the books.
    func deliver(_ bytes: [UInt8], _ question: PendingQuestion) {
        registry.questionEnded(of: question.endpoint, question.incarnation)
        if question.isCounted { questionCounts.remove(question.owner) }
        switch question.client {
        case .datagram(let socket, let peer, let own):
            let bytes = bytes.count <= question.payloadSize ? bytes : question.truncatedAnswer()
            datagramSockets[socket].send(bytes, to: peer, from: own)
        case .stream(let token):
            guard let stream = clients[token] else { return }
            stream.waiting -= 1
            send(bytes, stream)
        }
    }

    /// Answers with a code and no records.
    func refuse(_ question: PendingQuestion, _ code: DNSResponseCode, extendedError: UInt16? = nil) {
        deliver(question.answer(code, extendedError: extendedError), question)
    }

    private func tick() {
        if arePaused { pauseListeners(false) }
        registry.expire(now: now)
        retireIdlePorts()
        paces.forgetIdle(now: now)
        for stream in clients.values where stream.waiting == 0 && now >= stream.lastUse + ProxyLimits.idleMilliseconds {
            close(stream)
        }
    }
}
