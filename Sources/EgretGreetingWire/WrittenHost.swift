// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Reads what stands where a host's name should be.
enum WrittenHost {
    /// A name without a port.
    ///
    /// Bytes that no name has are malformed; what programs read as an address, in any spelling, is an address.
    static func read(_ bytes: some Collection<UInt8>) -> Result<String, GreetingFailure> {
        var name = Array(bytes)
        if name.last == UInt8(ascii: ".") { name.removeLast() }
        guard !name.isEmpty else { return .failure(.init(.nameless)) }
        guard name.count <= 253 else { return .failure(.init(.malformed)) }
        if name.contains(UInt8(ascii: ":")) || name.first == UInt8(ascii: "[") { return .failure(.init(.address)) }
        guard name.allSatisfy(isNameByte) else { return .failure(.init(.malformed)) }
        let labels = name.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard labels.allSatisfy({ (1...63).contains($0.count) }), let last = labels.last else {
            return .failure(.init(.malformed))
        }
        // Who ends in a number is an address (WHATWG URL, "ends in a number checker").
        if last.allSatisfy({ $0 &- 0x30 < 10 }) || isHexadecimal(last) { return .failure(.init(.address)) }
        return .success(String(decoding: name, as: UTF8.self))
    }

    /// A name that a port may follow (RFC 3986, section 3.2, without user information).
    static func readAuthority(_ bytes: some Collection<UInt8>) -> Result<String, GreetingFailure> {
        let all = Array(bytes)
        guard all.first != UInt8(ascii: "[") else { return .failure(.init(.address)) }
        guard let colon = all.firstIndex(of: UInt8(ascii: ":")) else { return read(all) }
        guard all[(colon + 1)...].count <= 5, all[(colon + 1)...].allSatisfy({ $0 &- 0x30 < 10 }) else {
            return .failure(.init(.malformed))
        }
        return read(all[..<colon])
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26 || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
            || byte == UInt8(ascii: ".")
    }

    private static func isHexadecimal(_ label: ArraySlice<UInt8>) -> Bool {
        label.count >= 2 && label.first == 0x30 && label.dropFirst().first.map { $0 | 0x20 } == UInt8(ascii: "x")
            && label.dropFirst(2).allSatisfy { $0 &- 0x30 < 10 || ($0 | 0x20) &- 0x61 < 6 }
    }
}

/// Ends the reading of a greeting.
struct GreetingFailure: Error, Hashable {
    var absence: Greeting.Absence
    init(_ absence: Greeting.Absence) { self.absence = absence }
}
