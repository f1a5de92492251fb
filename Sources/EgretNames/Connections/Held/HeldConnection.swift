// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretGreetingWire

/// A connection that was let through, as the process that holds it and any proxy know it: enough to judge it again.
public struct HeldConnection: Hashable, Sendable {
    /// Its number, which no other connection of the process that holds it has, ever.
    public var number: UInt64
    /// How it began.
    public var attempt: ConnectionAttempt
    /// Its endpoint's link, which nobody else ever has; empty if it has none.
    public var link: String
    /// When it was judged last, in seconds since 1970.
    public var moment: Int64?
    /// When a rule's time ends it, in seconds since 1970, if nobody judges it before; `nil` if none does.
    public var until: Int64?
    /// The mark of the way by which it goes to the server; `nil` where the main table leads.
    public var wayMark: UInt32?

    /// Describes a connection.
    public init(
        number: UInt64, attempt: ConnectionAttempt, link: String, moment: Int64? = nil, until: Int64? = nil,
        wayMark: UInt32? = nil
    ) {
        self.number = number
        self.attempt = attempt
        self.link = link
        self.moment = moment
        self.until = until
        self.wayMark = wayMark
    }
}

/// How far a connection is when it changes hands.
struct HandedState: Hashable, Sendable {
    /// The protocols in which a name is looked for.
    var protocols: Swift.Set<GreetingProtocol> = []
    /// Whether the client's bytes pass unread.
    var isOpaque = false
    /// Whether an end has said that it sends no more.
    var hasClientEnded = false
    /// The same of the server.
    var hasServerEnded = false
    /// Whether an end was told that nothing more comes.
    var isClientTold = false
    /// The same of the server.
    var isServerTold = false
    /// How many bytes of `fromClient` the server has got already.
    var passed = 0
    /// What has come from the client: everything from its first byte on where it is read on; else what has not passed.
    var fromClient: [UInt8] = []
    /// What has come from the server and has not passed.
    var fromServer: [UInt8] = []
}
