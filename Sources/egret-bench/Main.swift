// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// The measuring program behind `make bench`: each subcommand measures one thing and prints one JSON object.
@main
struct EgretBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "egret-bench",
        abstract: "Measure parts of Egret. scripts/bench makes the namespaces that most of this needs.",
        subcommands: [
            LoadBench.self, ElementBench.self, EvaluatorBench.self, MapBench.self, PlanBench.self, WriteInput.self,
            PoliceInterface.self,
            Serve.self, Ask.self,
        ]
    )
}
