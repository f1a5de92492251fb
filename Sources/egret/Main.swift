// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretCommands

@main
enum Main {
    static func main() {
        EgretCommand.runAndExit()
    }
}
