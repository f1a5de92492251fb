// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

/// One request of HTTP/1.1 (RFC 9112) and as much of its answer as the status needs.
struct HTTPExchange {
    /// The most bytes of an answer that are looked at: a status line's beginning.
    private static let statusLength = 13

    /// The request.
    let request: [UInt8]
    /// What has come of the answer.
    private var answer: [UInt8] = []

    init(address: IPAddress, port: UInt16, path: String) {
        let host = address.family == .ipv6 ? "[\(address)]" : "\(address)"
        request = Array(
            """
            GET \(path) HTTP/1.1\r
            Host: \(port == 80 ? host : "\(host):\(port)")\r
            User-Agent: egret\r
            Accept: */*\r
            Connection: close\r
            \r

            """.utf8)
    }

    /// Takes note of what has come; an empty list for the connection's end.
    ///
    /// - Returns: Whether the answer is a success or a redirection (2xx or 3xx); `nil` while that is not known.
    mutating func note(_ bytes: [UInt8]) -> Bool? {
        if bytes.isEmpty { return false }
        answer += bytes.prefix(HTTPExchange.statusLength - answer.count)
        guard answer.starts(with: "HTTP/1.".utf8.prefix(answer.count)) else { return false }
        guard answer.count == HTTPExchange.statusLength else { return nil }
        // HTTP/1.x NNN, and behind it a space or the line's end.
        let digits = answer[9..<12]
        guard answer[8] == UInt8(ascii: " "), digits.allSatisfy({ (0x30...0x39).contains($0) }),
            answer[12] == UInt8(ascii: " ") || answer[12] == UInt8(ascii: "\r")
        else { return false }
        return answer[9] == UInt8(ascii: "2") || answer[9] == UInt8(ascii: "3")
    }
}
