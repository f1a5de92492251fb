// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The fields of a header block that matter here (RFC 9113, sections 8.2 and 8.3).
///
/// Stricter than some servers: what one of them could make of a malformed field, others would not.
struct HTTP2Fields {
    private enum Pseudo: String, CaseIterable {
        case method = ":method"
        case scheme = ":scheme"
        case path = ":path"
        case authority = ":authority"
        case protocolName = ":protocol"
    }

    private var authority: String?
    private var host: String?
    private var seen: Swift.Set<Pseudo> = []
    private var hasPlainFields = false
    private var hasLength = false
    private var isConnect = false
    private var isWebSocket = false

    /// Takes a field, or says why it may not be there.
    mutating func take(_ field: HPACKDecoder.Field) throws(GreetingFailure) {
        guard field.value.allSatisfy({ $0 >= 0x20 && $0 != 0x7f || $0 == 9 }) else { throw GreetingFailure(.malformed) }
        if field.name.first == UInt8(ascii: ":") { return try takePseudo(field) }
        hasPlainFields = true
        // Capitals are malformed, and Host must not slip by in them.
        guard !field.name.isEmpty, field.name.allSatisfy({ RequestHead.isToken($0) && $0 &- 0x41 >= 26 }) else {
            throw GreetingFailure(.malformed)
        }
        if field.name.is("host") {
            guard host == nil else { throw GreetingFailure(.severalNames) }
            host = try WrittenHost.readAuthority(field.value).get()
        } else if field.name.is("content-length") {
            guard !hasLength, !field.value.isEmpty, field.value.allSatisfy({ $0 &- 0x30 < 10 }) else {
                throw GreetingFailure(.malformed)
            }
            hasLength = true
        } else if HTTP2Fields.isOfConnection(field) {
            throw GreetingFailure(.malformed)
        }
    }

    /// Whether the field is one of HTTP/1 that a server behind the server would act upon.
    private static func isOfConnection(_ field: HPACKDecoder.Field) -> Bool {
        if field.name.is("te") { return !field.value.is("trailers") }
        return field.name.is("connection") || field.name.is("transfer-encoding") || field.name.is("upgrade")
            || field.name.is("keep-alive") || field.name.is("proxy-connection")
    }

    private mutating func takePseudo(_ field: HPACKDecoder.Field) throws(GreetingFailure) {
        // Before all others.
        guard !hasPlainFields, let pseudo = Pseudo.allCases.first(where: { field.name.is($0.rawValue) }) else {
            throw GreetingFailure(.malformed)
        }
        guard seen.insert(pseudo).inserted else {
            throw GreetingFailure(pseudo == .authority ? .severalNames : .malformed)
        }
        let value = field.value
        switch pseudo {
        case .method:
            guard !value.isEmpty, value.allSatisfy(RequestHead.isToken) else { throw GreetingFailure(.malformed) }
            isConnect = value.map(\.asciiLowercase).is("connect")
        case .scheme:
            guard !value.isEmpty, value.allSatisfy(RequestHead.isToken) else { throw GreetingFailure(.malformed) }
        case .path:
            guard value.first == UInt8(ascii: "/") || value.is("*"), value.allSatisfy({ $0 > 0x20 }) else {
                throw GreetingFailure(.malformed)
            }
        case .authority: authority = try WrittenHost.readAuthority(value).get()
        case .protocolName: isWebSocket = value.is("websocket")
        }
    }

    /// The name, or `nil` for a trailer.
    func name() throws(GreetingFailure) -> String? {
        if seen.isEmpty && host == nil { return nil }
        guard seen.contains(.method) else { throw GreetingFailure(.malformed) }
        if isConnect {
            // What goes through a stream then, nobody sees; WebSocket (RFC 8441) stays with its server.
            guard isWebSocket else { throw GreetingFailure(.tunnel) }
        } else if seen.contains(.protocolName) {
            throw GreetingFailure(.malformed)
        }
        guard seen.isSuperset(of: [.scheme, .path]) else { throw GreetingFailure(.malformed) }
        switch (authority, host) {
        case (nil, nil): throw GreetingFailure(.nameless)
        case (.some(let name), nil), (nil, .some(let name)): return name
        case (.some(let authority), .some(let host)):
            guard authority.lowercased() == host.lowercased() else { throw GreetingFailure(.severalNames) }
            return authority
        }
    }
}

extension Collection<UInt8> {
    /// Whether these are the bytes of an ASCII text.
    fileprivate func `is`(_ text: String) -> Bool { elementsEqual(text.utf8) }
}
