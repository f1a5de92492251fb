// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import Testing

@Suite("The build's digest")
struct BuildIDTests {
    @Test("is what the program's file says")
    func note() throws {
        let head = try Descriptor.open("/proc/self/exe").read(upTo: 1 << 16)
        // The sizes of name and digest, NT_GNU_BUILD_ID, and the name.
        let pattern: [UInt8] = [4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0, 0x47, 0x4e, 0x55, 0]
        let place = head.indices.first { head[$0...].starts(with: pattern) }
        let digest = place.map { Array(head[($0 + pattern.count)...].prefix(20)) }
        #expect(CurrentProcess.buildID == digest)
    }
}
