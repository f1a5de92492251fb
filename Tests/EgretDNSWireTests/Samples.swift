// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDNSWire
import Testing

/// Messages for tests.
enum Samples {
    static let binding = ServiceBinding(
        priority: 1, target: .root,
        parameters: [
            .init(key: 0, value: [0, 1, 0, 5]), .init(key: 1, value: [2, 0x68, 0x32]),
            .init(key: 4, value: [203, 0, 113, 10, 10, 0, 0, 1]), .init(key: 5, value: [1, 2, 3]),
            .init(key: 6, value: [0x20, 1, 0xd, 0xb8, 1, 0x13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10]),
        ])

    /// A message with every kind of record.
    static func everything() throws -> DNSMessage {
        let name = try #require(DNSName("www.example.test"))
        let other = try #require(DNSName("Mail.example.test"))
        let v6 = try #require(IPv6Address("2001:db8::1"))
        var message = DNSMessage(id: 0x1234, flags: DNSFlags(rawValue: 0x8180), questions: [DNSQuestion(name, .any)])
        message.answers = [
            DNSRecord(name, .cname, timeToLive: 5, .name(other)),
            DNSRecord(name, .v4(IPv4Address(192, 0, 2, 1)), timeToLive: 60), DNSRecord(other, .v6(v6), timeToLive: 61),
            DNSRecord(name, .mx, timeToLive: 1, .preference(10, other)),
            DNSRecord(name, .srv, timeToLive: 1, .service(priority: 1, weight: 2, port: 443, target: other)),
            DNSRecord(name, .txt, timeToLive: 1, .text([[1, 2], [], [UInt8](repeating: 7, count: 255)])),
            DNSRecord(name, .https, timeToLive: 1, .binding(binding)),
            DNSRecord(name, .ptr, timeToLive: 1, .name(other)), DNSRecord(name, .dname, timeToLive: 1, .name(other)),
            DNSRecord(name, DNSRecordType(rawValue: 17), timeToLive: 1, .names(name, other)),
            DNSRecord(name, DNSRecordType(rawValue: 65_280), timeToLive: 1, .opaque([1, 2, 3])),
        ]
        let start = DNSRecordData.start(primary: name, mailbox: other, numbers: [1, 2, 3, 4, 5])
        message.authorities = [DNSRecord(name.parent, .soa, timeToLive: 900, start)]
        message.additional = [DNSRecord(other, .ns, timeToLive: .max, .name(name))]
        message.extended = ExtendedDNS(payloadSize: 4_096, options: [ExtendedDNS.error(15)])
        return message
    }
}
