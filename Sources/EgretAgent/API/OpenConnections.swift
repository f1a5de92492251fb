// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Synchronization

/// The connections that are open.
final class OpenConnections: Sendable {
    private let open = Mutex<[ObjectIdentifier: any Channel]>([:])
    /// What the service works on.
    let work = WorkCount()

    var all: [any Channel] { open.withLock { Array($0.values) } }

    /// Takes in a connection until it is closed. Returns how many there are with it.
    func enter(_ channel: any Channel) -> Int {
        let count = open.withLock {
            $0[ObjectIdentifier(channel)] = channel
            return $0.count
        }
        channel.closeFuture.whenComplete { _ in
            self.open.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(channel)) }
        }
        return count
    }
}

/// How many requests the service works on, whether or not anybody waits for the answer.
final class WorkCount: Sendable {
    private let count = Mutex(0)

    var isNone: Bool { count.withLock { $0 == 0 } }

    func begin() { count.withLock { $0 += 1 } }

    func end() { count.withLock { $0 -= 1 } }
}
