// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretNftables
import EgretPolicy
import EgretTesting

/// A clock that is moved for policies, and not for the machine.
///
/// The kernel reads one clock, which no namespace has for itself. What is compiled for times is in absolute times, so moving
/// all of them by one distance is as if the clock were moved by it the other way.
struct MovedClock {
    /// How far the machine's clock is ahead, in seconds.
    let lead: Int64
    /// When the rules begin to hold otherwise than at the moment to which the clock was moved; `nil` for never.
    let change: Int64?

    /// Moves the clock so that it is a certain time now.
    init(to moment: Int64, under policies: [EgressPolicy]) {
        lead = WallTime.now.seconds - moment
        change = RandomPolicies.changes(after: moment, in: policies).first
    }

    /// Whether since the move no rule has begun, or ceased, to hold.
    var isCurrent: Bool { change.map { WallTime.now.seconds - lead < $0 } ?? true }
}

extension TableProgram {
    /// The program with all times this many seconds later.
    func moved(by seconds: Int64) -> TableProgram {
        var moved = self
        moved.sets = sets.map { set in
            guard set.keyType == .time, case .elements(let elements) = set.contents else { return set }
            var set = set
            set.contents = .elements(
                elements.map { element in
                    SetElement(
                        TableProgram.moved(element.lowerBound, by: seconds),
                        TableProgram.moved(element.upperBound, by: seconds))
                })
            return set
        }
        return moved
    }

    /// Nothing is earlier than 1970, or later than the kernel can say.
    private static func moved(_ nanoseconds: UInt128, by seconds: Int64) -> UInt128 {
        let moved = Int128(nanoseconds) + Int128(seconds) * 1_000_000_000
        return UInt128(min(max(moved, 0), Int128(Int64.max)))
    }
}
