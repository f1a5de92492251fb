// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretCNI
import Glibc

@main
enum Main {
    static func main() {
        exit(CNIProgram.run())
    }
}
