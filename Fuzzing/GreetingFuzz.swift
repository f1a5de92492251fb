// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretGreetingWire

/// What a client says, as libFuzzer makes it up: reading ends, passes only what came, and does not depend on the pieces.
///
/// The first byte is the size of the pieces, the second says how many bytes come before the server has answered, and how.
@_cdecl("LLVMFuzzerTestOneInput")
func readGreeting(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let all = unsafe Array(UnsafeBufferPointer(start: start, count: count))
    guard all.count > 2 else { return 0 }
    let bytes = Array(all.dropFirst(2))
    let answers = ["HTTP/1.1 101 Switching Protocols\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"].map { Array($0.utf8) }
    func session(pieces: Int) -> GreetingSession {
        var session = GreetingSession(bytes, pieces: pieces)
        if session.reader.awaitsAnswer, session.absence == nil { session.answer(answers[Int(all[1]) & 1]) }
        return session
    }
    let whole = session(pieces: .max)
    let cut = session(pieces: Int(all[0]) + 1)
    precondition(whole.names == cut.names && whole.absence == cut.absence)
    precondition(bytes.starts(with: whole.passed) && bytes.starts(with: cut.passed))
    precondition(whole.absence != nil || whole.passed + whole.pending == bytes)
    precondition(whole.names.allSatisfy { !$0.name.isEmpty && $0.name.utf8.count <= 253 })
    return 0
}
