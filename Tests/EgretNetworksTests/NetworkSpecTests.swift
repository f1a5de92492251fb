// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetworks
import Testing

struct NetworkSpecTests {
    private func spec(_ blocks: [String], name: String = "br0") throws -> NetworkSpec {
        NetworkSpec(name: name, subnets: try blocks.map { Subnet(try #require(IPPrefix($0))) })
    }

    @Test(
        "what a network can be is accepted, up to the edge",
        arguments: [
            ["192.168.0.0/16"], ["10.0.0.0/8", "fd00::/16"], ["10.9.0.0/30"], ["fd00:9::/126"],
            ["198.18.0.0/15", "2001:db8::/64"],
        ])
    func sound(blocks: [String]) throws {
        try spec(blocks).check()
    }

    @Test(
        "what a network cannot be is refused",
        arguments: [
            [], ["10.0.0.0/7"], ["10.9.0.0/31"], ["fd00:9::/127"], ["127.0.0.0/16"], ["169.254.0.0/16"],
            ["224.0.0.0/8"],
            ["fe80::/64"], ["ff05::/16"], ["::/16"], ["10.0.0.0/24", "10.1.0.0/24"],
        ])
    func unsound(blocks: [String]) throws {
        let spec = try spec(blocks)
        #expect(throws: NetworkProblem.self) { try spec.check() }
    }

    @Test(
        "names are those of interfaces that nobody else gives",
        arguments: [
            ("br0", true), ("my-net.1_a", true), ("abcdefghijklmno", true), ("abcdefghijklmnop", false), ("", false),
            ("0br", false), ("br:0", false), ("br 0", false), ("../x", false), ("egret7", false), ("egn7", false),
            ("egret", true), ("lo", false), ("all", false), ("br\u{301}", false),
        ])
    func names(name: String, isGood: Bool) throws {
        let spec = try spec(["10.9.0.0/24"], name: name)
        #expect(((try? spec.check()) != nil) == isGood)
    }

    @Test(
        "source addresses are such as somebody can answer, alone and in a run",
        arguments: [
            ("192.0.2.7", true), ("192.0.2.7-192.0.2.9", true), ("10.9.0.7", true), ("169.254.1.1", true),
            ("1.0.0.0", true), ("223.255.255.255", true), ("0.0.0.0", false), ("127.0.0.1", false),
            ("224.0.0.1", false), ("255.255.255.255", false), ("126.0.0.1-128.0.0.1", false),
            ("223.255.255.255-224.0.0.0", false),
            ("2001:db8::7", true), ("::", false), ("::1", false), ("::ffff:192.0.2.7", false), ("ff02::1", false),
            ("2001:db8::7-ff00::", false),
        ])
    func sources(text: String, isGood: Bool) throws {
        var spec = try spec(["10.9.0.0/24", "fd00:9::/64"])
        spec.translation = .sourceAddresses([try #require(AddressPair(text))])
        #expect(((try? spec.check()) != nil) == isGood)
    }

    @Test("the gateway is the first usable address unless another is named")
    func gateway() throws {
        #expect(try spec(["192.168.0.0/16"]).subnets[0].gateway == IPAddress("192.168.0.1"))
        #expect(try spec(["fd00:9::/64"]).subnets[0].gateway == IPAddress("fd00:9::1"))
        let broadcast = Subnet(try #require(IPPrefix("10.9.0.0/24")), gateway: IPAddress("10.9.0.255"))
        #expect(throws: NetworkProblem.self) { try NetworkSpec(name: "br0", subnets: [broadcast]).check() }
    }
}
