// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// How far a proxy's work has come. Other threads move it on.
final class ProxyStage: Sendable {
    enum Step: Hashable, Sendable {
        /// Nothing is read yet.
        case held
        /// Questions are read and answered.
        case working
        /// What was read is answered, and no more is read, until this time in milliseconds.
        case finishing(until: UInt64)
        /// Nothing is done any more.
        case stopped
    }

    private let state: Mutex<Step>

    init(_ step: Step) { state = Mutex(step) }

    var step: Step { state.withLock { $0 } }

    /// Has the work begin.
    ///
    /// - Returns: Whether it was held until now.
    func begin() -> Bool {
        state.withLock { step in
            guard step == .held else { return false }
            step = .working
            return true
        }
    }

    func finish(until time: UInt64) {
        state.withLock { step in
            if step == .working { step = .finishing(until: time) } else { step = .stopped }
        }
    }

    func stop() { state.withLock { $0 = .stopped } }
}
