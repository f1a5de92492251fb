// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Testing

/// Shell functions for tests with an agent.
enum AgentScript {
    /// `begin` starts an agent, with further options if there are any, and waits until it answers; its process id is in
    /// `agent`. State, store and log are in the working directory.
    static let begin = """
        export EGRET_STATE_DIRECTORY=$PWD/state
        begin() {
            egret agent --state $PWD/agent "$@" >>$PWD/log 2>&1 & agent=$!
            for i in {1..200}; do egret get status >/dev/null 2>&1 && return; sleep 0.05; done; cat $PWD/log
        }

        """

    /// Runs a script on a home of its own, in a directory of its own.
    ///
    /// - Parameters:
    ///   - name: The lab's name.
    ///   - script: The script.
    ///   - expected: What it prints, without the last line's end.
    ///   - timeout: How long it may take.
    ///   - location: Whose expectation it is.
    /// - Throws: Whatever keeps the lab from being made, or the script from running to its end.
    static func expect(
        _ name: String, _ script: String, prints expected: String, within timeout: Duration, location: SourceLocation
    ) throws {
        try withInternet(name) { internet in
            let directory = try TemporaryDirectory()
            let output = try internet.script("cd \(directory.path)\n" + script, timeout: timeout)
            #expect(output.standardOutput == expected + "\n", "\(output.standardError)", sourceLocation: location)
        }
    }
}
