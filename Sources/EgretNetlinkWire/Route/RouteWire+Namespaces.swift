// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension RouteWire {
    /// Asks which number a namespace has in the socket's namespace (`RTM_GETNSID`, `linux/net_namespace.h`).
    ///
    /// - Parameters:
    ///   - descriptor: A descriptor of the other namespace (`NETNSA_FD`).
    ///   - sequence: The request's sequence number.
    /// - Returns: The message.
    /// - Throws: ``WireError`` if a value does not fit.
    public static func namespaceIDRequest(of descriptor: Int32, sequence: UInt32) throws(WireError) -> [UInt8] {
        try request(90, NetlinkFlag.acknowledge, sequence) { (writer) throws(WireError) in
            // struct rtgenmsg, to four bytes.
            writer.append([0, 0, 0, 0])
            writer.putHost(3, UInt32(bitPattern: descriptor))
        }
    }

    /// Decodes the answer (`RTM_NEWNSID`).
    ///
    /// - Parameter message: The answer.
    /// - Returns: The number, as links' `IFLA_LINK_NETNSID` has it; `nil` if the namespace has none, as no link leads there.
    /// - Throws: ``WireError`` if the message is something else.
    public static func decodeNamespaceID(_ message: NetlinkMessage) throws(WireError) -> Int32? {
        guard message.type == 88 else {
            throw WireError(.badValue, "message type \(message.type) is not a namespace's number")
        }
        let (_, attributes) = try message.headerAndAttributes(4, "namespace header")
        guard let number = attributes.first(where: { $0.type == 1 }) else {
            throw WireError(.missing, "the namespace's number")
        }
        let value = try number.host(Int32.self)
        return value < 0 ? nil : value
    }
}
