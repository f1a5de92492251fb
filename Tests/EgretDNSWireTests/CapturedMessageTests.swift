// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDNSWire
import Testing

/// Messages of a real server.
struct CapturedMessageTests {
    private func read(_ label: String) throws -> DNSMessage {
        let bytes = CapturedMessages.named(label)
        try #require(!bytes.isEmpty)
        return try DNSMessage(bytes)
    }

    @Test("every captured message is read, and what is written of it reads the same")
    func roundTrip() throws {
        #expect(CapturedMessages.all.count == 17)
        for message in CapturedMessages.all {
            let value = try DNSMessage(message.bytes)
            #expect(value.id == 0x2a17 && value.flags.isResponse, "\(message.label)")
            #expect(try DNSMessage(value.encoded()) == value, "\(message.label)")
        }
    }

    @Test("addresses")
    func addresses() throws {
        let message = try read("two addresses, letters mixed")
        #expect(message.questions.first?.name.description == "wWw.eXample.teSt")
        #expect(message.answers.map(\.data).contains(.address(.v4(IPv4Address(203, 0, 113, 11)))))
        #expect(message.answers.map(\.timeToLive) == [2, 2])
        let six = try #require(IPAddress("2001:db8:113::10"))
        #expect(try read("an IPv6 address").answers.map(\.data) == [.address(six)])
    }

    @Test("aliases")
    func aliases() throws {
        let message = try read("a chain of aliases")
        #expect(message.answers.map(\.type) == [.cname, .cname, .a])
        #expect(message.answers.map(\.timeToLive) == [300, 5, 1])
        let tree = try read("an alias for a tree, with the alias made of it")
        #expect(tree.answers.map(\.type) == [.dname, .cname])
        #expect(tree.answers.last?.data == DNSName("a.other.test").map { .name($0) })
    }

    @Test("services and their parameters")
    func services() throws {
        let https = try read("an HTTPS record with hints and ech")
        guard case .binding(let binding) = try #require(https.answers.first).data else {
            Issue.record("no binding")
            return
        }
        #expect(binding.priority == 1 && binding.target == .root)
        #expect(binding.parameters.map(\.key) == [1, 4, 5, 6])
        #expect(binding.addressHints.map(\.description) == ["203.0.113.10", "2001:db8:113::10"])
        let target = try #require(DNSName("lb.example.test"))
        #expect(
            try read("a service").answers.map(\.data)
                == [.service(priority: 1, weight: 2, port: 5_060, target: target)])
    }

    @Test("the rest")
    func others() throws {
        let text = try read("text").answers.map(\.data)
        #expect(text == [.text([Array("hello".utf8), Array("world \" quoted".utf8)])])
        #expect(try read("a type without a name").answers.map(\.data) == [.opaque([1, 2, 3, 4])])
        #expect(try read("no such name, with EDNS").flags.responseCode == .nameError)
        #expect(try read("no such name, with EDNS").authorities.map(\.type) == [.soa])
        #expect(try read("no such name, with EDNS").extended?.payloadSize == 1_232)
        let signed = try read("a signed address")
        #expect(signed.answers.map(\.type) == [.a, .rrsig])
        #expect(signed.extended?.wantsSignatures == true)
        #expect(try read("keys, cut to 512 bytes").additional.isEmpty)
        #expect(try read("a zone that is not there").flags.responseCode == .refused)
    }
}
