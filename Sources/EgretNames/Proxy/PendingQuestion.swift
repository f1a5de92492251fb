// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDNSWire
import EgretLinux

/// Who waits for an answer, and what was asked of whom.
struct PendingQuestion {
    /// Where the answer goes.
    enum Client {
        /// A datagram's sender, by the socket that it came to.
        case datagram(socket: Int, peer: SocketAddress, own: SocketAddress)
        /// A connection, by its token.
        case stream(UInt64)

        /// Whether it is a connection.
        var isStream: Bool {
            if case .stream = self { true } else { false }
        }
    }

    var client: Client
    /// The client's question as it wrote it, and its id.
    var question: DNSQuestion
    var clientID: UInt16
    /// The largest answer that the client takes as a datagram.
    var payloadSize: Int
    /// Whether the client speaks EDNS, and its DO.
    var extended: ExtendedDNS?
    var flags: DNSFlags

    var endpoint: Int
    /// Which of those that have had the endpoint's number it is.
    var incarnation: UInt64
    /// The two in one.
    var owner: NameOwner { NameOwner(endpoint: endpoint, incarnation: incarnation) }
    var generation: UInt64
    /// With which answers its own is committed.
    var lot: AnswerLot { AnswerLot(endpoint: endpoint, generation: generation) }
    /// The server that the client means.
    var destination: IPAddress
    /// Where the client is, if what it asks of that server goes the way of its own packets.
    var routedFrom: IPAddress?
    var permission: NameTable.Permission

    /// The servers to be asked, one after the other; there is one at least where anything is asked.
    var servers: [NameServer]
    /// The place of the one whose turn it is.
    var turn = 0
    /// Those that have said that they cannot answer: they are not asked again.
    var failed: Swift.Set<NameServer> = []
    /// How often it was sent before.
    var attempt = 0
    /// When it is sent no more, in milliseconds.
    var end: UInt64
    /// The question's name as it went out, and the id.
    var sentName: DNSName
    var sentID: UInt16 = 0
    /// The token of the socket that waits for the answer.
    var upstream: UInt64 = 0
    var isOverStream = false
    /// The server that is asked it again without EDNS, because it has not understood it.
    var plainServer: NameServer?
    /// Whether that was certain to be the server's answer, so that others' questions may go by it.
    var isPlainCertain = false
    /// Whether it is among the questions that are counted for all endpoints.
    var isCounted = false
    /// Whether it went out with EDNS.
    var isExtended = false
    /// Why the last attempt failed, where the server said so.
    var failure: String?
    /// When the next attempt is made, in milliseconds.
    var deadline: UInt64 = 0

    /// The server whose turn it is.
    var server: NameServer { servers[turn] }

    /// Whether its server has not been asked before: what is lost on the way there is sent once more.
    var isFirstVisit: Bool { attempt < servers.count }

    /// Whether its server has had three datagrams of it: more are not sent (RFC 9520, section 3.1), but it may be that no
    /// datagrams reach it.
    var hasSentEnoughDatagrams: Bool { attempt >= 2 * servers.count }

    /// Gives the turn to the next server that has not failed; it may be the same one again.
    ///
    /// A server that says nothing is asked three times at most (RFC 9520, section 3.1); of several, each once as far as
    /// there is time.
    ///
    /// - Parameter now: The time in milliseconds.
    /// - Returns: `false` if there is none, or it was asked often and long enough.
    mutating func passOn(now: UInt64) -> Bool {
        let most = min(max(ProxyLimits.attempts, servers.count), ProxyLimits.attemptsOfMany)
        let others = servers.indices.map { (turn + 1 + $0) % servers.count }
        guard attempt + 1 < most, now < end, let next = others.first(where: { !failed.contains(servers[$0]) }) else {
            return false
        }
        attempt += 1
        turn = next
        return true
    }

    /// The question as it goes to a server: nothing of the client's bytes but the name's letters, in another case.
    ///
    /// - Parameter isPadded: Whether its length is to say little (RFC 8467): a multiple of 128 bytes, if it goes out with
    ///   EDNS.
    /// - Returns: The bytes.
    func query(isPadded: Bool = false) -> [UInt8] {
        var message = DNSMessage(id: sentID)
        message.flags.recursionDesired = flags.recursionDesired
        message.flags.isAuthenticData = flags.isAuthenticData
        message.flags.checkingDisabled = flags.checkingDisabled
        var question = question
        question.name = sentName
        message.questions = [question]
        if let extended, isExtended {
            // Options stay here: they could carry data, and what they would do is between the client and its server.
            var own = ExtendedDNS(payloadSize: ProxyLimits.payloadSize)
            own.flags = extended.flags & 0x8000
            message.extended = own
            if isPadded, let length = try? message.encoded().count {
                // The option has four bytes of its own.
                let padding = [UInt8](repeating: 0, count: (128 - (length + 4) % 128) % 128)
                message.extended?.options = [ExtendedDNS.Option(code: ExtendedDNS.padding, value: padding)]
            }
        }
        return (try? message.encoded()) ?? []
    }

    /// An answer without records.
    func answer(_ code: DNSResponseCode, extendedError: UInt16? = nil) -> [UInt8] {
        var message = DNSMessage(id: clientID, questions: [question])
        message.flags.isResponse = true
        message.flags.recursionDesired = flags.recursionDesired
        message.flags.recursionAvailable = true
        message.flags.checkingDisabled = flags.checkingDisabled
        message.flags.responseCode = code
        if let extended {
            var own = ExtendedDNS(
                payloadSize: ProxyLimits.payloadSize, options: extendedError.map { [ExtendedDNS.error($0)] } ?? [])
            own.flags = extended.flags & 0x8000
            message.extended = own
        }
        return (try? message.encoded()) ?? []
    }

    /// The answer that says that the answer is too long for a datagram.
    func truncatedAnswer() -> [UInt8] {
        var bytes = answer(.noError)
        // TC.
        if bytes.count > 2 { bytes[2] |= 0x02 }
        return bytes
    }
}

/// What bounds the proxy as a whole.
enum ProxyLimits {
    /// The largest datagram that is asked for, in bytes: what passes every link without being cut.
    static let payloadSize: UInt16 = 1_232
    /// How long a server has for an answer, in milliseconds, before the next is asked.
    static let attemptMilliseconds: UInt64 = 2_000
    /// After how many milliseconds without an answer a datagram is taken for lost, and sent once more.
    static let lossMilliseconds: UInt64 = 400
    /// How often a server is asked.
    static let attempts = 3
    /// How often servers are asked where more than that are configured, of which some fail at once.
    static let attemptsOfMany = 8
    /// How long servers are asked, in milliseconds: no attempt begins later.
    static let patienceMilliseconds = attemptMilliseconds * UInt64(attempts)
    /// Questions of all endpoints that wait for an answer.
    static let pendingQuestions = 8_192
    /// Connections of all clients.
    static let connections = 1_024
    /// Questions of one connection that wait for an answer; no more is read meanwhile.
    static let questionsPerConnection = 32
    /// Messages of one connection that are looked at in a round; the others have their turn first.
    static let messagesPerRound = 16
    /// Bytes that a client has not taken yet, beyond which no more of its questions are read.
    static let unreadBytes = 131_072
    /// How long a connection may be without a question or an answer, in milliseconds.
    static let idleMilliseconds: UInt64 = 15_000
    /// How long a new connection may be without a question, in milliseconds, where the work is to be finished.
    static let firstMilliseconds: UInt64 = 200
    /// How often connections are looked at then, in milliseconds.
    static let finishingMilliseconds: UInt64 = 20
    /// Questions that wait for an answer while those are taken that have waited for the proxy.
    static let backlogQuestions = 128
    /// How long that holds others up at most, in milliseconds.
    static let backlogMilliseconds: UInt64 = 1_000
    /// Ports from which one server is asked.
    static let portsPerServer = 16
    /// Ports from which all servers are asked. A policy may let the client name the servers.
    static let ports = 512
    /// Connections to all servers, each for a question: what has none waits for its next attempt, as if it were lost.
    static let streams = 512
    /// How long a port stays open without a question, in milliseconds.
    static let idlePortMilliseconds: UInt64 = 10_000
    /// Questions from one port, until another takes its place.
    static let questionsPerPort = 512
    /// Datagrams at one port that answer nothing, until its questions are asked over TCP.
    static let straysPerPort = 24
}
