// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretTesting
import Testing

@testable import EgretCommands

@Suite("What tells machines apart")
struct MachineKeyTests {
    private func key(_ text: String) throws -> UInt64? {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/machine-id"
        try File.write(path, Array(text.utf8))
        return MachineKey.read(at: path)
    }

    @Test("forty bits of the number's digest, the same every time, and others for every machine")
    func digest() throws {
        let first = try #require(try key("0123456789abcdef0123456789abcdef\n"))
        #expect(first < 1 << 40 && first != 0x01_2345_6789)
        #expect(try key("0123456789abcdef0123456789abcdef") == first)
        #expect(try key("0123456789abcdef0123456789abcdee\n") != first)
    }

    @Test(
        "a machine without a number of its own has none",
        arguments: [
            "", "\n", "uninitialized\n", "00000000000000000000000000000000\n", "0123456789ABCDEF0123456789ABCDEF\n",
            "0123456789abcdef0123456789abcde\n", "0123456789abcdef0123456789abcdef0\n",
        ])
    func missing(text: String) throws {
        #expect(try key(text) == nil)
        #expect(MachineKey.read(at: "/nonexistent/machine-id") == nil)
    }
}
