// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretEvaluator
import EgretLinux
import EgretNames
import Synchronization

/// Connections that another process holds, so that they go on without the agent.
extension NameService {
    /// How many connections the relay holds, those included that a former agent has left and whose endpoints have not come yet.
    var heldConnections: Int { proxies.withLock { $0?.connections.heldConnections ?? 0 } }

    /// Has the relay hold what a proxy lets through, and the proxy judge what the relay has.
    func hold(_ connections: ConnectionProxy) {
        guard let relay = setting.relay else { return }
        let isOther = lostRelay.withLock { state in
            defer { state = (isLost: false, isOther: false) }
            return state.isOther
        }
        if isSettled.withLock({ $0 }) { connections.settle() }
        do throws(LinuxError) {
            connections.hold(by: try relay.connect(besides: isOther))
        } catch {
            noteLostRelay("\(error)", isOther: isOther)
        }
    }

    /// Hears that no relay is there.
    func noteLostRelay(_ reason: String, isOther: Bool) {
        lostRelay.withLock { $0 = (isLost: true, isOther: isOther) }
        book.noteLostRelay(reason)
    }

    /// Looks for another relay if there is none.
    func holdAgain() {
        setting.relay?.reap()
        guard lostRelay.withLock({ $0.isLost }), let connections = proxies.withLock({ $0?.connections }) else { return }
        hold(connections)
    }

    /// Whether a connection that a former agent has let through is the endpoint's, and may go on under its policies as they are
    /// now. Rules whose schedules drain hold as they did when it was judged last.
    ///
    /// - Parameters:
    ///   - held: The connection.
    ///   - endpoint: The endpoint that has its address.
    /// - Returns: Whether it goes on.
    func resumes(_ held: HeldConnection, of endpoint: Int) -> Bool {
        // The address may have passed on to another endpoint, a link never does.
        guard let entry = state.withLock({ $0.entries[endpoint] }), entry.member.link == held.link,
            entry.member.addresses.contains(held.attempt.source.address),
            entry.judge.decide(endpoint, open: held.attempt, since: held.moment).verdict == .allow
        else { return false }
        times.resume(held.attempt, of: endpoint, since: held.moment)
        return true
    }
}
