// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Ports of the host, and ports of an endpoint that they lead to: `8080:80/tcp`, `8000-8010:9000-9010/udp`, `53/udp`.
struct PortMapping: Equatable {
    /// The host's first port.
    var host: UInt16
    /// The endpoint's first port.
    var target: UInt16
    /// How many.
    var count: UInt16
    /// `tcp`, `udp` or `sctp`.
    var transport: String

    /// Maps one port.
    init(host: UInt16, target: UInt16, transport: String) {
        self.host = host
        self.target = target
        count = 1
        self.transport = transport
    }

    /// Reads a mapping; TCP if no protocol is named.
    ///
    /// - Parameters:
    ///   - text: The mapping.
    ///   - form: What it is to look like, with an example.
    /// - Throws: ``Problem`` that says what is wrong.
    init(_ text: String, form: String = "HOST-PORT:PORT/PROTOCOL; write 8080:80/tcp") throws(Problem) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        let transport = parts.count == 2 ? parts[1].lowercased() : "tcp"
        guard parts.count <= 2, ["tcp", "udp", "sctp"].contains(transport) else {
            throw Problem(text: "the protocol of “\(text)” is not tcp, udp or sctp")
        }
        let sides = parts[0].split(separator: ":", omittingEmptySubsequences: false)
        guard sides.count <= 2, let host = PortMapping.range(sides[0]),
            let target = sides.last.flatMap(PortMapping.range)
        else {
            throw Problem(text: "“\(text)” is not \(form)")
        }
        guard host.count == target.count else {
            throw Problem(text: "the two ranges of “\(text)” differ in size")
        }
        self.host = host.first
        self.target = target.first
        count = host.count
        self.transport = transport
    }

    /// Why a text is no mapping.
    struct Problem: Error {
        var text: String
    }

    private static func range(_ text: Substring) -> (first: UInt16, count: UInt16)? {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0) }
        guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1], first > 0,
            first <= last
        else { return nil }
        return (first, last - first + 1)
    }

    /// `8080/tcp`.
    var hostText: String { (count == 1 ? "\(host)" : "\(host)-\(host &+ (count - 1))") + "/" + transport }
}
