// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Follows the requests of an HTTP/2 connection in the clear (RFC 9113, section 3.3): each says a name.
///
/// ```
///   preface, then frames: length 3 | type 1 | flags 1 | stream 4 | payload
/// ```
struct HTTP2Requests: Sendable {
    /// What a client sends first.
    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    private enum FrameType: UInt8 {
        case headers = 1
        case settings = 4
        case pushPromise = 5
        case continuation = 9
    }

    private enum State {
        case preface
        /// At a frame's beginning; the first must be SETTINGS.
        case frame(isFirst: Bool)
        /// In a frame that says nothing here.
        case payload(rest: Int)
    }

    /// The most frames that a header block may come in: of the usual size, four are enough for the largest.
    private static let framesPerBlock = 64

    private var state = State.preface
    private var decoder = HPACKDecoder()
    /// The latest stream that a request has opened.
    private var lastStream: UInt32 = 0

    /// Whether bytes begin with the whole preface, or may yet; `nil` if they are something else.
    static func begins(_ bytes: ArraySlice<UInt8>) -> Bool? {
        if bytes.starts(with: preface) { return true }
        return preface.starts(with: bytes) ? false : nil
    }

    /// Looks at what has not passed yet.
    mutating func next(_ bytes: ArraySlice<UInt8>) throws(GreetingFailure) -> SpokenNameReader.Step {
        switch state {
        case .preface:
            let count = HTTP2Requests.preface.count
            guard bytes.prefix(count).elementsEqual(HTTP2Requests.preface.prefix(bytes.count)) else {
                throw GreetingFailure(.malformed)
            }
            guard bytes.count >= count else { return .needsMore }
            state = .frame(isFirst: true)
            return .pass(count)
        case .payload(let rest):
            let count = min(rest, bytes.count)
            state = count == rest ? .frame(isFirst: false) : .payload(rest: rest - count)
            return .pass(count)
        case .frame(let isFirst):
            guard let frame = HTTP2Frame(bytes) else { return .needsMore }
            guard !isFirst || frame.type == FrameType.settings.rawValue else { throw GreetingFailure(.malformed) }
            switch FrameType(rawValue: frame.type) {
            case .headers: return try headers(bytes, frame)
            // Clients push nothing, and what continues nothing is wrong.
            case .pushPromise, .continuation: throw GreetingFailure(.malformed)
            default:
                state = frame.length == 0 ? .frame(isFirst: false) : .payload(rest: frame.length)
                return .pass(HTTP2Frame.headerLength)
            }
        }
    }

    /// Reads a header block: of one frame, or with those that continue it.
    private mutating func headers(_ bytes: ArraySlice<UInt8>, _ first: HTTP2Frame) throws(GreetingFailure)
        -> SpokenNameReader.Step
    {
        guard let payload = first.payload(bytes) else { return .needsMore }
        var block = Array(try HTTP2Requests.fragment(payload, first))
        var end = payload.endIndex
        var isEnded = first.flags & 0x4 != 0
        var frames = 1
        while !isEnded {
            frames += 1
            guard frames <= HTTP2Requests.framesPerBlock else { throw GreetingFailure(.tooLong) }
            guard let frame = HTTP2Frame(bytes[end...]) else { return .needsMore }
            guard frame.type == FrameType.continuation.rawValue, frame.stream == first.stream else {
                throw GreetingFailure(.malformed)
            }
            guard let payload = frame.payload(bytes[end...]) else { return .needsMore }
            block += payload
            end = payload.endIndex
            isEnded = frame.flags & 0x4 != 0
        }
        state = .frame(isFirst: false)
        var fields = HTTP2Fields()
        try decoder.decode(block[...]) { (field) throws(GreetingFailure) in try fields.take(field) }
        let count = end - bytes.startIndex
        guard let name = try fields.name() else {
            // A trailer belongs to a request that was read.
            guard first.stream > 0, first.stream <= lastStream else { throw GreetingFailure(.malformed) }
            return .pass(count)
        }
        lastStream = max(lastStream, first.stream)
        return .name(SpokenName(name, .http2), count: count, .none)
    }

    /// A HEADERS frame's part of the block, without padding and priority (section 6.2).
    private static func fragment(_ payload: ArraySlice<UInt8>, _ frame: HTTP2Frame) throws(GreetingFailure)
        -> ArraySlice<UInt8>
    {
        var reader = GreetingReader(payload)
        let padding = frame.flags & 0x8 != 0 ? Int(try reader.readUInt8()) : 0
        if frame.flags & 0x20 != 0 { _ = try reader.readBytes(5) }
        return try reader.readBytes(reader.count - padding)
    }
}

/// The beginning of a frame.
struct HTTP2Frame {
    static let headerLength = 9

    var length: Int
    var type: UInt8
    var flags: UInt8
    var stream: UInt32

    /// Reads it, or gives `nil` if it is not whole.
    init?(_ bytes: ArraySlice<UInt8>) {
        guard bytes.count >= HTTP2Frame.headerLength else { return nil }
        let header = Array(bytes.prefix(HTTP2Frame.headerLength))
        length = Int(header[0]) << 16 | Int(header[1]) << 8 | Int(header[2])
        (type, flags) = (header[3], header[4])
        stream = header[5...].reduce(0) { $0 << 8 | UInt32($1) } & 0x7fff_ffff
    }

    /// The payload, if it is whole, of the frame at these bytes' beginning.
    func payload(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        guard bytes.count >= HTTP2Frame.headerLength + length else { return nil }
        let start = bytes.startIndex + HTTP2Frame.headerLength
        return bytes[start..<(start + length)]
    }
}
