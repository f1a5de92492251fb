// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A directory for one test, gone with the value.
public final class TemporaryDirectory {
    /// Where it is.
    public let path: String

    /// Makes the directory.
    public init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("egret-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }
}
