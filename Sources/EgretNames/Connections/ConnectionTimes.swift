// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
import EgretLinux
public import EgretPolicy
import Synchronization

/// When open connections were let through: rules whose schedules drain hold for them as they did then. And by which names:
/// what counts by names knows them so, however long ago their answers were.
public final class ConnectionTimes: Sendable {
    /// A client may have connections to several destinations from one port.
    private struct Place: Hashable {
        var endpoint: Int
        var source: SocketAddress
        var destination: SocketAddress

        init(_ endpoint: Int, _ attempt: ConnectionAttempt) {
            self.endpoint = endpoint
            source = attempt.source
            destination = attempt.destination
        }
    }

    private struct Beginning {
        var moment: Int64
        var names: Swift.Set<DomainName>
    }

    private let open = Mutex<[Place: Beginning]>([:])
    private let now: @Sendable () -> Int64

    /// Begins without any connection.
    ///
    /// - Parameter now: The time, in seconds since 1970.
    public init(now: @escaping @Sendable () -> Int64) { self.now = now }

    /// Notes what the proxy for connections tells: one that was let through is remembered until it ends.
    ///
    /// - Parameters:
    ///   - event: What has happened.
    ///   - endpoint: Whose connection it is.
    public func note(_ event: ConnectionEvent, of endpoint: Int) {
        switch event {
        case .relayed(let attempt): noteJudgement(of: attempt, of: endpoint)
        case .ended(let attempt, _):
            open.withLock { _ = $0.removeValue(forKey: Place(endpoint, attempt)) }
        case .passed, .refused, .denied, .notHeld, .unreachable, .limited: break
        }
    }

    /// Notes that a connection may go on by what all rules say now.
    ///
    /// - Parameters:
    ///   - attempt: How it began.
    ///   - endpoint: Whose connection it is.
    public func noteJudgement(of attempt: ConnectionAttempt, of endpoint: Int) {
        note(attempt, of: endpoint, since: now())
    }

    /// Takes over when a connection was judged that a former process has let through.
    ///
    /// - Parameters:
    ///   - attempt: How it began.
    ///   - endpoint: Whose connection it is.
    ///   - moment: When, in seconds since 1970; `nil` if nobody has noted that: then it was now.
    public func resume(_ attempt: ConnectionAttempt, of endpoint: Int, since moment: Int64?) {
        note(attempt, of: endpoint, since: moment ?? now())
    }

    private func note(_ attempt: ConnectionAttempt, of endpoint: Int, since moment: Int64) {
        let beginning = Beginning(moment: moment, names: attempt.heldNames)
        open.withLock { $0[Place(endpoint, attempt)] = beginning }
    }

    /// When an open connection was let through.
    ///
    /// - Parameters:
    ///   - attempt: How it began.
    ///   - endpoint: Whose connection it is.
    /// - Returns: The time, in seconds since 1970; `nil` for a connection that is not known.
    public func beginning(of attempt: ConnectionAttempt, of endpoint: Int) -> Int64? {
        open.withLock { $0[Place(endpoint, attempt)]?.moment }
    }

    /// Where open connections of some endpoints go, and by which names they were let through.
    ///
    /// - Parameter endpoints: The endpoints.
    /// - Returns: By endpoint, the names of each address; nothing of connections that no name let out.
    /// - Complexity: O(*n*) in the number of all open connections.
    public func names(of endpoints: Swift.Set<Int>) -> [Int: [IPAddress: Swift.Set<DomainName>]] {
        var found: [Int: [IPAddress: Swift.Set<DomainName>]] = [:]
        open.withLock { open in
            for (place, beginning) in open where !beginning.names.isEmpty && endpoints.contains(place.endpoint) {
                found[place.endpoint, default: [:]][place.destination.address, default: []]
                    .formUnion(beginning.names)
            }
        }
        return found
    }
}
