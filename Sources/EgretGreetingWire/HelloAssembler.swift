// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Puts a handshake message together from records, in whatever pieces they come (RFC 8446, section 5.1).
///
/// ```
///   record:    type 1 = 22 | version 2 | length 2 | fragment
///   handshake: type 1 = 1 (ClientHello) | length 3 | body
/// ```
struct HelloAssembler: Sendable {
    /// The largest fragment of a record in the clear.
    static let largestFragment = 16_384
    /// The longest message that is read.
    static let longestMessage = 65_536

    /// Whether records of other types, such as early data, may come before: they do before a second hello.
    private let skipsOtherRecords: Bool
    private var isSkipping = false
    private var header: [UInt8] = []
    /// What is still to come of the record's fragment.
    private var fragmentRest = 0
    private var message: [UInt8] = []
    /// Records of the message: fragments may be as short as a byte.
    private var recordCount = 0

    init(skipsOtherRecords: Bool = false) { self.skipsOtherRecords = skipsOtherRecords }

    /// Whether bytes of the message have come.
    var hasBegun: Bool { !message.isEmpty || fragmentRest > 0 && !isSkipping || header.first == 22 }

    /// Takes bytes.
    ///
    /// - Returns: The name, once the message is whole, and how many bytes follow it.
    mutating func append(_ bytes: ArraySlice<UInt8>) throws(GreetingFailure) -> (name: SpokenName, rest: Int)? {
        var rest = bytes
        while !rest.isEmpty {
            if fragmentRest == 0 {
                try takeHeader(&rest)
                continue
            }
            let part = rest.prefix(fragmentRest)
            fragmentRest -= part.count
            rest = rest.dropFirst(part.count)
            if isSkipping { continue }
            message.append(contentsOf: part)
            guard let length = try messageLength() else { continue }
            // The message's end is the record's: nothing else may come before the server has spoken.
            guard message.count <= length + 4 else { throw GreetingFailure(.malformed) }
            if message.count == length + 4 {
                guard fragmentRest == 0 else { throw GreetingFailure(.malformed) }
                return (try ClientHello.read(message[4...]), rest.count)
            }
        }
        return nil
    }

    private mutating func takeHeader(_ rest: inout ArraySlice<UInt8>) throws(GreetingFailure) {
        while header.count < 5, let byte = rest.popFirst() {
            header.append(byte)
            try check(byte, at: header.count - 1)
        }
        guard header.count == 5 else { return }
        fragmentRest = Int(header[3]) << 8 | Int(header[4])
        isSkipping = header[0] != 22
        header.removeAll(keepingCapacity: true)
        // An empty fragment is not allowed, and would be a way to go on without end. Encryption adds up to 256 bytes.
        let largest = HelloAssembler.largestFragment + (isSkipping ? 256 : 0)
        guard (1...largest).contains(fragmentRest) else { throw GreetingFailure(.malformed) }
        if !isSkipping { recordCount += 1 }
        guard recordCount <= 4_096 else { throw GreetingFailure(.tooLong) }
    }

    /// Refuses a record as soon as it can be none of a ClientHello.
    private func check(_ byte: UInt8, at place: Int) throws(GreetingFailure) {
        switch place {
        // Change cipher spec, an alert, and early data.
        case 0 where skipsOtherRecords && message.isEmpty && [20, 21, 23].contains(byte): return
        case 0 where byte != 22: throw GreetingFailure(message.isEmpty ? .otherProtocol : .malformed)
        case 1 where byte != 3: throw GreetingFailure(message.isEmpty ? .otherProtocol : .malformed)
        // 0x0301 in hellos, whatever is spoken later; 0x0300 and up to 0x0304 are seen.
        case 2 where byte > 4: throw GreetingFailure(message.isEmpty ? .otherProtocol : .malformed)
        default: break
        }
    }

    private func messageLength() throws(GreetingFailure) -> Int? {
        guard let type = message.first else { return nil }
        guard type == 1 else { throw GreetingFailure(.otherProtocol) }
        guard message.count >= 4 else { return nil }
        let length = Int(message[1]) << 16 | Int(message[2]) << 8 | Int(message[3])
        guard length <= HelloAssembler.longestMessage else { throw GreetingFailure(.tooLong) }
        return length
    }
}
