// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretGreetingWire

/// What a client's first datagrams of QUIC say, as libFuzzer makes it up: reading ends, and what is found is there.
///
/// The bytes are read as a datagram as they came, and as the frames of its packets, as if their protection were off. The
/// first byte says where the frames are cut into two packets.
@_cdecl("LLVMFuzzerTestOneInput")
func readQUIC(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let all = unsafe Array(UnsafeBufferPointer(start: start, count: count))
    if case .initials(let packets) = InitialDatagram.read(all) {
        var size = 0
        for packet in packets {
            size += packet.bytes.count
            precondition(packet.destination.count <= 20)
            precondition(packet.numberOffset + 4 + ProtectedInitial.sampleSize <= packet.bytes.count)
        }
        precondition(size <= all.count)
    }
    guard let first = all.first else { return 0 }
    let frames = all.dropFirst()
    let cut = frames.startIndex + min(Int(first), frames.count)
    var hello = InitialHello()
    let steps = [hello.append(frames[..<cut]), hello.append(frames[cut...])]
    for step in steps {
        guard case .name(let spoken) = step else { continue }
        precondition(!spoken.name.isEmpty && spoken.name.utf8.count <= 253)
    }
    // Why there is no name does not change.
    if case .none(let absence) = steps[0] { precondition(steps[1] == .none(absence)) }
    return 0
}
