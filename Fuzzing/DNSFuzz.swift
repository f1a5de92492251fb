// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDNSWire

/// A message of the DNS, as libFuzzer makes it up: reading ends, and what is read can be written and patched.
@_cdecl("LLVMFuzzerTestOneInput")
func readMessage(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = unsafe Array(UnsafeBufferPointer(start: start, count: count))
    var framer = DNSStreamFramer()
    framer.append(bytes)
    var rest = count
    while let message = framer.next() {
        rest -= message.count + 2
        precondition(framer.pendingCount == rest)
    }
    guard let (message, layout) = try? DNSMessage.read(bytes) else { return 0 }
    for question in message.questions {
        precondition(!question.name.description.isEmpty)
        precondition(question.name.mixingCase { 0x5a5a_5a5a_5a5a_5a5a } == question.name)
    }
    var patched = bytes
    DNSPatch.setID(0xbeef, in: &patched)
    var expected = message
    expected.id = 0xbeef
    precondition((try? DNSMessage(patched)) == expected)
    DNSPatch.limitLifetimes(30, layout, in: &patched)
    DNSPatch.limitPayloadSize(1_232, layout, in: &patched)
    precondition(patched.count == count)
    // Names that pointers made short can make it too long.
    guard let written = try? message.encoded() else {
        precondition(count > 512)
        return 0
    }
    precondition((try? DNSMessage(written)) == message)
    return 0
}
