// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Follows the requests of an HTTP/1 connection, one after the other: each says a name.
struct HTTP1Requests: Sendable {
    private enum State {
        /// In a head, which has been looked through up to here.
        case head(scanned: Int)
        case body(rest: Int)
        /// In the line with a chunk's size.
        case chunkSize
        case chunk(rest: Int)
        /// In the end of a line behind a chunk.
        case chunkEnd
        /// Behind the last chunk.
        case trailer(lineLimit: Int)
    }

    /// The longest line of a chunk's size or behind the last chunk.
    private static let longestLine = 8_192

    private var state = State.head(scanned: 0)
    private(set) var requestCount = 0
    /// Whether the last request asked for HTTP/2, and nobody waits for the server's answer.
    private var offersHTTP2 = false

    /// Whether the next bytes may be HTTP/2 as well: a server that agrees to speak it understands nothing else from then
    /// on, and one that does not takes its preface for no request.
    var mayTurnToHTTP2: Bool {
        if case .head = state { offersHTTP2 } else { false }
    }

    /// Looks at what has not passed yet.
    mutating func next(_ bytes: ArraySlice<UInt8>) throws(GreetingFailure) -> SpokenNameReader.Step {
        switch state {
        case .head(let scanned): return try head(bytes, scanned)
        case .body(let rest):
            let count = min(rest, bytes.count)
            state = count == rest ? .head(scanned: 0) : .body(rest: rest - count)
            return .pass(count)
        case .chunkSize: return try chunkSize(bytes)
        case .chunk(let rest):
            let count = min(rest, bytes.count)
            state = count == rest ? .chunkEnd : .chunk(rest: rest - count)
            return .pass(count)
        case .chunkEnd:
            guard bytes.count >= 2 else { return .needsMore }
            guard bytes.starts(with: [13, 10]) else { throw GreetingFailure(.malformed) }
            state = .chunkSize
            return .pass(2)
        case .trailer(let limit): return try trailer(bytes, limit)
        }
    }

    private mutating func head(_ bytes: ArraySlice<UInt8>, _ scanned: Int) throws(GreetingFailure)
        -> SpokenNameReader.Step
    {
        // Some clients send an empty line behind a body (RFC 9112, section 2.2).
        if requestCount > 0, bytes.first == 13 {
            guard bytes.count >= 2 else { return .needsMore }
            if bytes.starts(with: [13, 10]) { return .pass(2) }
        }
        if scanned < 8_192 { try HTTP1Requests.checkBeginning(bytes) }
        guard let end = HTTP1Requests.headEnd(bytes, scanned) else {
            state = .head(scanned: max(0, bytes.count - 3))
            return .needsMore
        }
        var head = try RequestHead(bytes[..<end])
        // Else answers that are under way could be taken for the one to the upgrade.
        let canWait = requestCount == 0 && head.body == .none
        guard canWait || head.upgrade != .webSocket else { throw GreetingFailure(.tunnel) }
        offersHTTP2 = head.upgrade == .http2 && !canWait
        if offersHTTP2 { head.upgrade = .none }
        requestCount += 1
        switch head.body {
        case .none: state = .head(scanned: 0)
        case .length(let length): state = .body(rest: length)
        case .chunked: state = .chunkSize
        }
        return .name(SpokenName(head.name, .http1), count: end - bytes.startIndex, head.upgrade)
    }

    /// Where the empty line ends.
    private static func headEnd(_ bytes: ArraySlice<UInt8>, _ scanned: Int) -> Int? {
        var place = bytes.startIndex + scanned
        while place + 3 < bytes.endIndex {
            // The fourth byte tells how far to go on.
            switch bytes[place + 3] {
            case 10:
                if bytes[place] == 13, bytes[place + 1] == 10, bytes[place + 2] == 13 { return place + 4 }
                place += 1
            case 13: place += 1
            default: place += 4
            }
        }
        return nil
    }

    /// Refuses what can become no request, before its sender waits for an answer.
    private static func checkBeginning(_ bytes: ArraySlice<UInt8>) throws(GreetingFailure) {
        let method = bytes.prefix(32).prefix { RequestHead.isToken($0) }
        if method.count == bytes.count { return }
        guard !method.isEmpty, method.count < 32, bytes[method.endIndex] == 0x20 else {
            throw GreetingFailure(.otherProtocol)
        }
        // A line that ends otherwise than with CR LF.
        guard let feed = bytes.firstIndex(of: 10) else { return }
        guard bytes[feed - 1] == 13 else { throw GreetingFailure(.malformed) }
    }

    private mutating func chunkSize(_ bytes: ArraySlice<UInt8>) throws(GreetingFailure) -> SpokenNameReader.Step {
        guard let line = try HTTP1Requests.line(bytes) else { return .needsMore }
        let digits = line.prefix { $0 &- 0x30 < 10 || ($0 | 0x20) &- 0x61 < 6 }
        let extensions = line.dropFirst(digits.count)
        guard (1...8).contains(digits.count), extensions.isEmpty || extensions.first == UInt8(ascii: ";"),
            let size = Int(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw GreetingFailure(.malformed) }
        state = size == 0 ? .trailer(lineLimit: 64) : .chunk(rest: size)
        return .pass(line.count + 2)
    }

    private mutating func trailer(_ bytes: ArraySlice<UInt8>, _ limit: Int) throws(GreetingFailure)
        -> SpokenNameReader.Step
    {
        guard let line = try HTTP1Requests.line(bytes) else { return .needsMore }
        guard limit > 0 else { throw GreetingFailure(.tooLong) }
        if !line.isEmpty { try RequestFields.checkTrailer(line) }
        state = line.isEmpty ? .head(scanned: 0) : .trailer(lineLimit: limit - 1)
        return .pass(line.count + 2)
    }

    /// The first line without its end, once it is whole.
    private static func line(_ bytes: ArraySlice<UInt8>) throws(GreetingFailure) -> ArraySlice<UInt8>? {
        guard let feed = bytes.firstIndex(of: 10) else {
            guard bytes.count < longestLine else { throw GreetingFailure(.tooLong) }
            return nil
        }
        guard feed > bytes.startIndex, bytes[feed - 1] == 13, feed - bytes.startIndex < longestLine else {
            throw GreetingFailure(.malformed)
        }
        let line = bytes[..<(feed - 1)]
        guard !line.contains(13), !line.contains(0) else { throw GreetingFailure(.malformed) }
        return line
    }
}
