// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

/// Ports of the host as `egret publish ls` prints them: `8080/tcp`, `203.0.113.2:5353/udp`,
/// `[2001:db8::1]:8000-8010/tcp`.
struct PublishedPlace: Equatable {
    /// The address before them, if there is one.
    var hostAddress: IPAddress?
    /// The ports.
    var ports: PortMapping

    /// Reads ports with or without an address.
    ///
    /// - Throws: ``PortMapping/Problem`` that says what is wrong.
    init(_ text: String) throws(PortMapping.Problem) {
        let (address, rest) = PublishedPlace.parts(of: text)
        if let address {
            guard let read = IPAddress(address) else {
                throw PortMapping.Problem(text: "“\(address)” is no address")
            }
            hostAddress = read
        }
        ports = try PortMapping(rest, form: "HOST-PORT/PROTOCOL; write 8080/tcp")
    }

    /// What stands before the ports, and they. A number before a colon is a port.
    private static func parts(of text: String) -> (address: String?, rest: String) {
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
            let rest = text[end...].dropFirst()
            if rest.hasPrefix(":") { return (String(text[..<end].dropFirst()), String(rest.dropFirst())) }
        } else if let colon = text.firstIndex(of: ":"), text[..<colon].contains(".") {
            return (String(text[..<colon]), String(text[colon...].dropFirst()))
        }
        return (nil, text)
    }
}
