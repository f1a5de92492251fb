// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNetlinkWire

/// What is known of one step.
public enum Judgment: Hashable, Sendable {
    /// The packet passes; what was seen.
    case good(String)
    /// It cannot be seen from here whether the packet passes.
    case unknown(String)
    /// The step does not come up on this way.
    case notNeeded(String)
    /// The packet does not pass.
    case bad(Finding)
}

/// The walk along a packet's way, up to the first step that fails.
public struct Diagnosis: Hashable, Sendable {
    /// A step and what is known of it.
    public struct Line: Hashable, Sendable {
        /// The step.
        public var step: Step
        /// What is known of it.
        public var judgment: Judgment

        /// Creates a line.
        public init(step: Step, judgment: Judgment) {
            self.step = step
            self.judgment = judgment
        }
    }

    /// The steps looked at, in order; a step that failed is the last.
    public internal(set) var lines: [Line] = []

    /// The host's end of the link that the packet's route leads by; `nil` where no route leads by one of the host's
    /// links.
    public internal(set) var hostEnd: UInt32?

    /// The first step that fails, if one does.
    public var finding: Finding? {
        if case .bad(let finding)? = lines.last?.judgment { return finding }
        return nil
    }

    /// Describes a walk that somebody else has made.
    public init(lines: [Line]) {
        self.lines = lines
    }

    /// Judges what was observed, step by step.
    ///
    /// - Parameters:
    ///   - observation: What was seen.
    ///   - steps: The steps to judge, in order.
    public init(_ observation: Observation, steps: [Step] = Step.allCases) {
        // Where the route names none the interface is a guess, and so is the other end of it.
        if let index = observation.route.usable?.outputIndices.first, observation.interface?.index == index {
            hostEnd = observation.hostEnd?.index
        }
        for step in steps {
            let judgment = observation.judge(step)
            lines.append(Line(step: step, judgment: judgment))
            if case .bad = judgment { return }
        }
    }
}
