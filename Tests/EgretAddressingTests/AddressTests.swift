// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import Testing

@Suite("Addresses")
struct AddressTests {
    @Test(
        "IPv4 is four decimal octets and nothing else",
        arguments: [
            "", "1", "1.2.3", "1.2.3.4.5", "1.2.3.", ".1.2.3", "1..2.3", "01.2.3.4", "1.2.3.00", "256.1.1.1",
            "1.2.3.4 ",
            "+1.2.3.4", "0x1.2.3.4", "1.2.3.4/8", "1.2.3.-4", "٣.1.1.1", "1000.1.1.1", "127.1", "2130706433",
        ])
    func wrongIPv4(_ text: String) {
        #expect(IPv4Address(text) == nil)
    }

    @Test(
        "IPv4 texts are read and printed back", arguments: ["0.0.0.0", "255.255.255.255", "10.20.30.40", "192.0.2.1"])
    func ipv4(_ text: String) {
        #expect(IPv4Address(text)?.description == text)
    }

    @Test(
        "IPv6 texts are printed as RFC 5952 says",
        arguments: [
            ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
            ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
            ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
            ("::ffff:c000:201", "::ffff:192.0.2.1"), ("64:ff9b::192.0.2.1", "64:ff9b::c000:201"),
            ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"), ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
            ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"), ("::1.2.3.4", "::102:304"), ("0::", "::"),
            ("1:2::3:4", "1:2::3:4"), ("ABCD::00ef", "abcd::ef"), ("1::2:1.2.3.4", "1::2:102:304"),
            ("1:2:3:4:5::1.2.3.4", "1:2:3:4:5:0:102:304"),
        ])
    func ipv6(_ text: String, _ canonical: String) {
        #expect(IPv6Address(text)?.description == canonical)
    }

    @Test(
        "what is not IPv6 is refused",
        arguments: [
            "", ":", ":::", "1", "1:2", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "g::",
            "1:2:3:4:5:6:7:8::",
            "::1:2:3:4:5:6:7:8", ":1::", "1:::2", "::1.2.3", "::1.2.3.4:5", "1.2.3.4::", "::%1", "fe80::1%eth0", "::1 ",
            "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3.04", "+1::", "::١", "1:", "::1:", ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:",
            "1.2.3.4", ":1.2.3.4", "::1.2.3.4.", "::ffff:1.2.3.4::", "1:2:3:4:5:6::1.2.3.4", "1:2:3:4:5:6:7::8:9",
            "::f.1.2.3", "::.",
            ":\u{301}:1", "::1\u{301}", "::\n1",
        ])
    func wrongIPv6(_ text: String) {
        #expect(IPv6Address(text) == nil)
    }

    @Test("random addresses are read back from their text")
    func roundTrip() {
        for _ in 0..<2_000 {
            // Groups of zeros are what the text form is about.
            let raw = (0..<8).reduce(UInt128(0)) { value, _ in
                value << 16 | (Bool.random() ? 0 : UInt128(UInt16.random(in: 0...(.max))))
            }
            let address = IPv6Address(rawValue: raw)
            #expect(IPv6Address(address.description) == address)
            let small = IPv4Address(rawValue: .random(in: 0...(.max)))
            #expect(IPv4Address(small.description) == small)
        }
    }

    @Test("addresses need no alignment above 8: see IPv6Address")
    func alignment() {
        #expect(MemoryLayout<IPv6Address>.alignment <= 8)
        #expect(MemoryLayout<IPAddress>.alignment <= 8)
        #expect(MemoryLayout<IPPrefix>.alignment <= 8)
    }

    @Test("the IPv4 address inside an IPv6 address is found where it stands for one")
    func embedded() {
        let inside = IPv4Address(192, 0, 2, 1)
        for text in ["::ffff:192.0.2.1", "64:ff9b::c000:201", "2002:c000:201::", "2002:c000:201:1:2:3:4:5"] {
            #expect(IPAddress(text)?.embeddedIPv4 == inside, "\(text)")
        }
        for text in ["::192.0.2.1", "2001:0:c000:201::", "64:ff9b:1::c000:201", "192.0.2.1", "::fffe:192.0.2.1"] {
            #expect(IPAddress(text)?.embeddedIPv4 == nil, "\(text)")
        }
    }
}

@Suite("Prefixes and ranges")
struct PrefixTests {
    @Test(
        "prefixes are read, host bits cleared, and printed",
        arguments: [
            ("10.1.2.3/8", "10.0.0.0/8"), ("10.1.2.3", "10.1.2.3"), ("10.1.2.3/32", "10.1.2.3"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:db8::1/32", "2001:db8::/32"), ("::/0", "::/0"), ("::1/128", "::1"),
        ])
    func reading(_ text: String, _ canonical: String) {
        #expect(IPPrefix(text)?.description == canonical)
    }

    @Test(
        "wrong lengths are refused",
        arguments: [
            "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/08", "10.0.0.0/8/8", "/8", "10.0.0.0/ 8",
            "10.0.0.0/999999999999",
        ])
    func wrong(_ text: String) {
        #expect(IPPrefix(text) == nil)
    }

    @Test("bounds, containment and overlap hold at every length")
    func containment() {
        for length in 0...128 {
            guard let prefix = IPPrefix(.v6(IPv6Address(rawValue: .max)), length: length) else {
                Issue.record("no prefix of \(length)")
                continue
            }
            #expect(prefix.contains(IPAddress(family: .ipv6, rawValue: prefix.lowerBound)))
            #expect(prefix.contains(IPAddress(family: .ipv6, rawValue: prefix.upperBound)))
            #expect(
                prefix.upperBound - prefix.lowerBound
                    == (length == 0 ? .max : (UInt128(1) << UInt128(128 - length)) - 1))
            if length > 0 {
                #expect(!prefix.contains(IPAddress(family: .ipv6, rawValue: prefix.lowerBound - 1)))
            }
        }
        #expect(IPPrefix("10.0.0.0/8").map { IPPrefix("10.1.0.0/16").map($0.contains) == true } == true)
        #expect(IPPrefix("::/0").map { IPPrefix("10.1.0.0/16").map($0.contains) == false } == true)
        #expect(IPPrefix.hasHostBits(.v4(IPv4Address(10, 0, 0, 1)), length: 8))
        #expect(!IPPrefix.hasHostBits(.v4(IPv4Address(10, 0, 0, 0)), length: 8))
    }

    @Test("port ranges hold both ends and never run backwards")
    func ports() {
        #expect(PortRange(9, 1) == nil)
        let range = PortRange(1, 9)
        #expect(range?.contains(1) == true && range?.contains(9) == true && range?.contains(10) == false)
        #expect(range?.description == "1-9")
        #expect(PortRange(7).description == "7")
    }

    @Test("interface names are those the kernel takes")
    func interfaces() {
        #expect(InterfaceName("eth0") != nil)
        #expect(InterfaceName("123456789012345") != nil)
        for text in ["", "1234567890123456", ".", "..", "a/b", "a b", "a:1", "a\n", "all", "default", "eth%d", "a%"] {
            #expect(InterfaceName(text) == nil)
        }
    }

    @Test("hardware addresses print six pairs")
    func hardware() {
        #expect(MACAddress(locallyAdministered: 0xff_0000_0001).description == "02:ff:00:00:00:01")
    }

    @Test("every protocol name is read back")
    func protocols() {
        for (name, proto) in IPProtocol.names {
            #expect(IPProtocol(name: name) == proto)
            #expect(proto.description == name)
        }
        #expect(IPProtocol(rawValue: 253).description == "protocol/253")
    }
}
