// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The servers that have answered nothing of late. Where others stand beside them these are asked first for a while, so that not
/// every question waits for a server that is gone.
///
/// A server that is meant in particular stands alone, and is asked however it fared.
struct SilentServers {
    /// How long the others are asked first, in milliseconds.
    private let pause: UInt64
    /// When servers that have answered nothing are tried again.
    private var trials: [NameServer: UInt64] = [:]
    /// When servers were last heard of.
    private var heard: [NameServer: UInt64] = [:]

    init(pause milliseconds: UInt64 = 30_000) { pause = milliseconds }

    /// Puts the servers of a question in the order in which they are to be asked.
    ///
    /// - Parameters:
    ///   - servers: Servers that stand for each other.
    ///   - now: The time in milliseconds.
    /// - Returns: All of them, those that were silent behind the others. Once the time of a silent one is over, one question begins
    ///   with it, and the next again not before it has answered or as much time has passed.
    mutating func ordered(_ servers: [NameServer], now: UInt64) -> [NameServer] {
        if trials.isEmpty || servers.count < 2 { return servers }
        var (first, last): ([NameServer], [NameServer]) = ([], [])
        for server in servers {
            if let trial = trials[server] {
                // A question waits for one of them at most.
                if now < trial || !first.isEmpty {
                    last.append(server)
                    continue
                }
                trials[server] = now + pause
            }
            first.append(server)
        }
        return first + last
    }

    /// Notes that a question's time is over. Whoever has answered another question meanwhile is not silent: it may be the name
    /// that takes so long.
    ///
    /// - Parameters:
    ///   - server: Who was asked.
    ///   - since: When, in milliseconds.
    ///   - now: The time in milliseconds.
    mutating func noteSilence(of server: NameServer, since: UInt64, now: UInt64) {
        if let last = heard[server], last >= since { return }
        trials[server] = now + pause
    }

    /// Notes that a server has answered, whatever it said.
    mutating func noteAnswer(of server: NameServer, now: UInt64) {
        heard[server] = now
        trials[server] = nil
    }
}
