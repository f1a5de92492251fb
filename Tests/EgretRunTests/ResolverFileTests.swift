// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretRun
import Testing

struct ResolverFileTests {
    private let host =
        "# x\nnameserver 192.0.2.53\nnameserver\t2001:db8::53\nnameserver 127.0.0.1\nsearch corp.example\noptions edns0\n"

    @Test("only resolvers that the policy lets through are named, never one on the host's loopback")
    func filtered() throws {
        let allowed = try #require(IPAddress("192.0.2.53"))
        let file = ResolverFile(host: host, chosen: []) { $0 == allowed || $0 == IPAddress("127.0.0.1") }
        #expect(file.resolvers == [allowed])
        #expect(file.leftOut == [IPAddress("2001:db8::53"), IPAddress("127.0.0.1")])
        #expect(file.text.contains("nameserver 192.0.2.53\n"))
        #expect(!file.text.contains("127.0.0.1"))
        #expect(file.text.contains("search corp.example\noptions edns0\n"))
    }

    @Test("resolvers that the user names replace the host's")
    func chosen() throws {
        let own = try #require(IPAddress("203.0.113.53"))
        let file = ResolverFile(host: host, chosen: [own]) { _ in true }
        #expect(file.resolvers == [own])
    }

    @Test("without a resolver the file says so")
    func none() {
        let file = ResolverFile(host: host, chosen: []) { _ in false }
        #expect(file.text.contains("names do not resolve"))
        #expect(!file.text.contains("nameserver"))
    }

    @Test("before a proxy, the file names what the command could ask, or what stands for the proxy; the proxy asks all")
    func proxied() throws {
        let all = ResolverFile.nameservers(in: host)
        let file = ResolverFile(proxiedHost: host, chosen: [])
        #expect(ResolverFile.nameservers(in: file.text) == [IPAddress("192.0.2.53")].compactMap(\.self))
        #expect(file.resolvers == all && file.leftOut.isEmpty && all.count == 3)
        let loopback = try #require(IPAddress("127.0.0.1"))
        let alone = ResolverFile(proxiedHost: host, chosen: [loopback])
        #expect(alone.text.contains("nameserver 192.0.0.8\n") && alone.resolvers == [loopback])
        #expect(ResolverFile(proxiedHost: "", chosen: []).resolvers.isEmpty)
    }

    @Test("host names come from files and DNS only; other databases stay")
    func nameServiceSwitch() {
        let text = ResolverFile.nameServiceSwitch(
            host: "passwd: files sss\n hosts: files mdns4_minimal resolve\ngroup: files")
        #expect(text == "passwd: files sss\ngroup: files\nhosts: files dns\n")
        #expect(ResolverFile.nameServiceSwitch(host: "") == "hosts: files dns\n")
    }
}
