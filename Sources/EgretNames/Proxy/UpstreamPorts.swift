// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDNSWire
import EgretLinux

/// A server, and the way that leads to it.
struct UpstreamPlace: Hashable {
    var server: SocketAddress
    /// The mark of the way's packets; `nil` where the main table leads.
    var mark: UInt32?
}

/// A socket from which one server is asked, and the questions that wait there.
final class UpstreamPort {
    let socket: InternetSocket
    let place: UpstreamPlace
    /// Whose question has opened it. Others' go out from here as well.
    let owner: NameOwner
    let token: UInt64
    /// When a question went out from here for the last time, in milliseconds.
    var lastUse: UInt64
    /// Questions that may still go out from here.
    var usesLeft = ProxyLimits.questionsPerPort
    /// Datagrams that answered nothing: late ones, or guesses.
    var strays = 0
    /// The waiting questions, by the id under which they went out.
    var waiting: [UInt16: UInt64] = [:]
    /// The ids under which a datagram went out twice: a second answer may come.
    var repeated: Set<UInt16> = []

    init(_ place: UpstreamPlace, of owner: NameOwner, token: UInt64, now: UInt64) throws(LinuxError) {
        socket = try InternetSocket.datagrams(to: place.server, mark: place.mark)
        self.place = place
        self.owner = owner
        self.token = token
        lastUse = now
    }
}

/// A connection to a server for one question.
final class UpstreamStream {
    let socket: InternetSocket
    let token: UInt64
    let question: UInt64
    /// What is still to be sent.
    var output: [UInt8]
    var framer = DNSStreamFramer()

    init(_ place: UpstreamPlace, _ query: [UInt8], token: UInt64, question: UInt64) throws(LinuxError) {
        socket = try InternetSocket.connecting(to: place.server, from: nil, mark: place.mark)
        self.token = token
        self.question = question
        output = DNSStreamFramer.framed(query) ?? []
    }
}

/// A client's connection.
final class ClientStream {
    let socket: InternetSocket
    let token: UInt64
    let endpoint: Int
    /// Which of those that have had the endpoint's number it is.
    let incarnation: UInt64
    /// The two in one.
    var owner: NameOwner { NameOwner(endpoint: endpoint, incarnation: incarnation) }
    let peer: SocketAddress
    /// The server that the client believes to talk to.
    let destination: SocketAddress
    var framer = DNSStreamFramer()
    var output: [UInt8] = []
    var waiting = 0
    var lastUse: UInt64
    /// Whether a whole message has come.
    var hasAsked = false
    /// Whether the client has said that it sends no more.
    var isEnded = false
    var events: EventLoop.Events = .readable

    init(
        _ socket: InternetSocket, token: UInt64, endpoint: Int, incarnation: UInt64, peer: SocketAddress,
        destination: SocketAddress, now: UInt64
    ) {
        self.socket = socket
        self.token = token
        self.endpoint = endpoint
        self.incarnation = incarnation
        self.peer = peer
        self.destination = destination
        lastUse = now
    }
}
