// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// `-f`, of commands that cannot do without files.
struct ManifestFileOptions: ParsableArguments {
    @Option(
        name: [.customShort("f"), .customLong("file")], help: PolicyFileHelp.help,
        completion: .file(extensions: ["yaml", "yml", "json"])
    )
    var files: [String]
}
