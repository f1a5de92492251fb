// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What the head of an HTTP/1 request says about its name, its length and what comes after it (RFC 9112).
///
/// Stricter than most servers: what one server could read in another way than the next is malformed.
struct RequestHead: Hashable {
    /// How the body's length is known.
    enum Body: Hashable {
        case none
        case length(Int)
        case chunked
    }

    var name: String
    var body = Body.none
    var upgrade = SpokenNameReader.Upgrade.none

    /// Reads a head, the empty line at its end included.
    init(_ bytes: ArraySlice<UInt8>) throws(GreetingFailure) {
        var lines = try RequestHead.lines(bytes)[...]
        guard let first = lines.popFirst() else { throw GreetingFailure(.malformed) }
        let target = try RequestTarget(first)
        var fields = RequestFields()
        for line in lines { try fields.take(line) }
        switch (target.authority, fields.host) {
        case (nil, nil): throw GreetingFailure(.nameless)
        case (nil, .some(let host)): name = host
        case (.some(let authority), nil): name = authority
        case (.some(let authority), .some(let host)):
            guard authority.lowercased() == host.lowercased() else { throw GreetingFailure(.severalNames) }
            name = host
        }
        if fields.isChunked {
            // Both lengths, or a coding that HTTP/1.0 does not know: servers differ (section 6.1).
            guard fields.length == nil, !target.isVersion10 else { throw GreetingFailure(.malformed) }
            body = .chunked
        } else if let length = fields.length, length > 0 {
            body = .length(length)
        }
        upgrade = fields.upgrade
    }

    /// The lines up to the empty one; each ends with CR LF, and has neither inside.
    private static func lines(_ bytes: ArraySlice<UInt8>) throws(GreetingFailure) -> [ArraySlice<UInt8>] {
        var result: [ArraySlice<UInt8>] = []
        var rest = bytes
        while let end = rest.firstIndex(where: { $0 == 13 || $0 == 10 || $0 == 0 }) {
            guard rest[end] == 13, end + 1 < rest.endIndex, rest[end + 1] == 10 else { break }
            if end == rest.startIndex { return result }
            result.append(rest[..<end])
            rest = rest[(end + 2)...]
        }
        throw GreetingFailure(.malformed)
    }

    /// Whether a byte may be in a method or a field's name (RFC 9110, section 5.6.2).
    static func isToken(_ byte: UInt8) -> Bool {
        if byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26 { return true }
        return Array("!#$%&'*+-.^_`|~".utf8).contains(byte)
    }
}

/// The first line of a request.
struct RequestTarget {
    /// The name in the target, where it has one.
    var authority: String?
    var isVersion10: Bool

    init(_ line: ArraySlice<UInt8>) throws(GreetingFailure) {
        let parts = line.split(separator: 0x20, omittingEmptySubsequences: false)
        guard parts.count == 3, !parts[0].isEmpty, parts[0].allSatisfy(RequestHead.isToken) else {
            throw GreetingFailure(.malformed)
        }
        switch String(decoding: parts[2], as: UTF8.self) {
        case "HTTP/1.1": isVersion10 = false
        case "HTTP/1.0": isVersion10 = true
        default: throw GreetingFailure(.malformed)
        }
        let target = parts[1]
        guard target.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else { throw GreetingFailure(.malformed) }
        if String(decoding: parts[0], as: UTF8.self).uppercased() == "CONNECT" { throw GreetingFailure(.tunnel) }
        if target.first == UInt8(ascii: "/") || target.elementsEqual("*".utf8) { return }
        // A server goes by this name, and not by Host (RFC 9112, section 3.2.2).
        for scheme in ["http://", "https://"] {
            let start = target.prefix(scheme.utf8.count).map(\.asciiLowercase)
            guard start.elementsEqual(scheme.utf8) else { continue }
            let rest = target.dropFirst(scheme.utf8.count)
            let end = rest.firstIndex { "/?#".utf8.contains($0) } ?? rest.endIndex
            authority = try WrittenHost.readAuthority(rest[..<end]).get()
            return
        }
        throw GreetingFailure(.malformed)
    }
}

extension UInt8 {
    /// The byte, an ASCII capital made small.
    var asciiLowercase: UInt8 { self &- 0x41 < 26 ? self | 0x20 : self }
}

/// The fields of a request that matter here.
struct RequestFields {
    var host: String?
    var length: Int?
    var isChunked = false
    var upgrade = SpokenNameReader.Upgrade.none
    private var awaitsContinue = false

    mutating func take(_ line: ArraySlice<UInt8>) throws(GreetingFailure) {
        let (name, value) = try RequestFields.field(line)
        switch name {
        case "host":
            guard host == nil else { throw GreetingFailure(.severalNames) }
            host = try WrittenHost.readAuthority(value).get()
        case "content-length":
            guard length == nil, (1...15).contains(value.count), value.allSatisfy({ $0 &- 0x30 < 10 }) else {
                throw GreetingFailure(.malformed)
            }
            length = value.reduce(0) { $0 * 10 + Int($1 &- 0x30) }
        case "transfer-encoding":
            guard !isChunked, value.map(\.asciiLowercase).elementsEqual("chunked".utf8) else {
                throw GreetingFailure(.malformed)
            }
            isChunked = true
        case "upgrade":
            guard upgrade == .none else { throw GreetingFailure(.malformed) }
            // Not what could be anything: a list would leave it to the server which of them is spoken.
            switch String(decoding: value.map(\.asciiLowercase), as: UTF8.self) {
            case "h2c": upgrade = .http2
            case "websocket": upgrade = .webSocket
            default: throw GreetingFailure(.tunnel)
            }
        case "connection":
            guard RequestFields.leavesFraming(value) else { throw GreetingFailure(.malformed) }
        case "expect":
            // A server that knows no other expectation may answer before the body, and take that for a request.
            guard !awaitsContinue, value.map(\.asciiLowercase).elementsEqual("100-continue".utf8) else {
                throw GreetingFailure(.malformed)
            }
            awaitsContinue = true
        default: break
        }
    }

    /// Whether options of the connection leave the name and the body's length where they are: a server that hands the request
    /// on removes the fields that are listed there (RFC 9110, section 7.6.1), and the next would find other ones.
    private static func leavesFraming(_ options: ArraySlice<UInt8>) -> Bool {
        options.split(separator: UInt8(ascii: ",")).allSatisfy { option in
            let name = String(decoding: trimmed(option).map(\.asciiLowercase), as: UTF8.self)
            return !framing.contains(name)
        }
    }

    /// Reads a field behind the last chunk, which may say nothing that a head says here: servers that take these fields for
    /// some of the head's would go by another name, or another length (RFC 9110, section 6.5.1).
    static func checkTrailer(_ line: ArraySlice<UInt8>) throws(GreetingFailure) {
        let name = try field(line).name
        guard !decisive.contains(name) else { throw GreetingFailure(.malformed) }
    }

    /// The fields by which servers find the name and the body's end.
    private static let framing = ["host", "content-length", "transfer-encoding"]

    /// The same, and those by which they find what is spoken behind it.
    private static let decisive = framing + ["connection", "upgrade"]

    /// A field's name in small letters, and its value.
    private static func field(_ line: ArraySlice<UInt8>) throws(GreetingFailure)
        -> (name: String, value: ArraySlice<UInt8>)
    {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex,
            line[..<colon].allSatisfy(RequestHead.isToken)
        else { throw GreetingFailure(.malformed) }
        let value = trimmed(line[(colon + 1)...])
        // No control characters (RFC 9110, section 5.5).
        guard value.allSatisfy({ $0 >= 0x20 && $0 != 0x7f || $0 == 9 }) else { throw GreetingFailure(.malformed) }
        return (String(decoding: line[..<colon].map(\.asciiLowercase), as: UTF8.self), value)
    }

    private static func trimmed(_ value: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let start = value.firstIndex { $0 != 0x20 && $0 != 9 } ?? value.endIndex
        let end = value.lastIndex { $0 != 0x20 && $0 != 9 } ?? start
        return start < value.endIndex ? value[start...end] : []
    }
}
