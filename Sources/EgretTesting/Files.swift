// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The bytes of a file.
public func contents(of path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: path)))
}

/// The names in a directory that end in one of the suffixes, in order.
public func files(in directory: String, endingIn suffixes: [String]) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: directory)
        .filter { name in suffixes.contains { name.hasSuffix($0) } }
        .sorted()
}

/// Replaces a file's text.
public func write(_ text: String, to path: String) throws {
    try text.write(to: URL(fileURLWithPath: path), atomically: true, encoding: .utf8)
}

/// A variable of the environment.
public func environment(_ name: String) -> String? {
    ProcessInfo.processInfo.environment[name]
}
