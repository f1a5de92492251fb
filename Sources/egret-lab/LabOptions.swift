// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import ArgumentParser
public import EgretTesting

/// Which of several labs a command speaks of.
struct LabOptions: ParsableArguments {
    @Option(help: "The lab's name: 1 to 12 of a-z and 0-9. Each name is a lab of its own.")
    var name = "lab"

    /// The lab called so, whether or not it exists.
    func lab() throws -> TestInternet {
        try TestInternet(name: name)
    }

    /// The lab called so.
    func existingLab() throws -> TestInternet {
        let lab = try lab()
        guard lab.exists else {
            let advice = "build it with: egret-lab up --name \(name)"
            throw LabError("entering the lab", reason: "there is no lab “\(name)”", advice: advice)
        }
        return lab
    }
}

extension LabHost: ExpressibleByArgument {
    /// The host whose short name the argument is.
    public init?(argument: String) {
        self.init(named: argument)
    }

    /// The short name.
    public var defaultValueDescription: String { name }

    /// The short names, for help and completion.
    public static var allValueStrings: [String] { LabHost.all.map(\.name) }
}
