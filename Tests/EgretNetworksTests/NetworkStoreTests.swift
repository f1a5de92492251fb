// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux
import EgretNetworks
import EgretTesting
import Testing

struct NetworkStoreTests {
    private func record() throws -> NetworkRecord {
        let spec = NetworkSpec(
            name: "br0",
            subnets: [Subnet(try #require(IPPrefix("10.9.0.0/24"))), Subnet(try #require(IPPrefix("fd00:9::/64")))],
            mtu: 1400,
            translation: .sourceAddresses([try #require(AddressPair("192.0.2.7-192.0.2.9"))])
        )
        var record = NetworkRecord(spec, bootID: "b")
        record.endpoints = [
            NetworkRecord.Endpoint(
                namespace: "pid:7", cookie: .max, isCreated: true, interface: "eth0", hostInterface: "egn0",
                hostIndex: 9,
                hardwareAddress: "02:00:00:00:00:01", hostHardwareAddress: "02:00:00:00:00:02",
                addresses: [try #require(IPAddress("10.9.0.2"))], sourceAddresses: [], stage: .removing)
        ]
        record.ports = [
            NetworkRecord.Port(
                number: 1, namespace: "pid:7", transport: "udp", hostAddress: IPAddress("2001:db8::1"), hostPort: 1,
                targetPort: 2, count: 65_534, sources: [try #require(IPPrefix("::/0"))], stage: .making)
        ]
        return record
    }

    @Test("what is written is read back, by another process, too")
    func roundTrip() throws {
        let directory = try TemporaryDirectory()
        let store = try NetworkStore(chosen: directory.path)
        let lock = try store.lock()
        #expect(try store.networks() == [])
        let record = try record()
        try store.write(record)
        #expect(try NetworkStore(chosen: directory.path).networks() == [record])
        #expect(record.spec.translation != .masquerade)
        try store.remove("br0")
        #expect(try store.networks() == [])
        try store.removeIfEmpty()
        #expect(!File.exists(store.path))
        withExtendedLifetime(lock) {}
    }

    @Test("source addresses for each connection are kept; in a record that says nothing, each endpoint keeps to one")
    func sourceUse() throws {
        let directory = try TemporaryDirectory()
        let store = try NetworkStore(chosen: directory.path)
        let lock = try store.lock()
        var record = try record()
        try store.write(record)
        let text = try File.readText(store.path + "/br0.json")
        #expect(!text.contains("isPerConnection"))
        record.sourceAddresses = record.sourceAddresses.map(\.perConnection)
        try store.write(record)
        #expect(try store.networks() == [record])
        let pair = try #require(AddressPair("192.0.2.7-192.0.2.9"))
        #expect(record.spec.translation == .sourceAddresses([pair.perConnection]) && pair != pair.perConnection)
        let single = try #require(AddressPair("192.0.2.7"))
        #expect(single.perConnection == single)
        withExtendedLifetime(lock) {}
    }

    @Test(
        "a damaged file, or one of a later version, is refused by name, and stays as it is",
        arguments: [
            "", "{", "{}", "[]", "null", #"{"version": 1}"#, "\u{0}",
        ])
    func damaged(text: String) throws {
        let directory = try TemporaryDirectory()
        let store = try NetworkStore(chosen: directory.path)
        let lock = try store.lock()
        try File.write(store.path + "/br0.json", Array(text.utf8))
        let problem = #expect(throws: NetworkProblem.self) { try store.networks() }
        #expect(problem?.message.contains("br0.json") == true)
        #expect(try File.readText(store.path + "/br0.json") == text)
        withExtendedLifetime(lock) {}
    }

    @Test("a file of a later version is not touched")
    func later() throws {
        let directory = try TemporaryDirectory()
        let store = try NetworkStore(chosen: directory.path)
        let lock = try store.lock()
        var later = try record()
        later.version = 2
        try store.write(later)
        #expect(throws: NetworkProblem.self) { try store.networks() }
        withExtendedLifetime(lock) {}
    }

    @Test(
        "a file that cannot be read is told of by its network's name, and keeps nobody from the others",
        arguments: ["", "{", "null", #"{"version": 1}"#, #"{"version": 9}"#, "\u{0}"])
    func beside(text: String) throws {
        let directory = try TemporaryDirectory()
        let store = try NetworkStore(chosen: directory.path)
        let lock = try store.lock()
        let record = try record()
        try store.write(record)
        for name in ["a", "z"] { try File.write("\(store.path)/\(name).json", Array(text.utf8)) }
        try Directory.make(store.path + "/directory.json", mode: 0o700)
        let contents = try store.contents()
        #expect(contents.networks == [record])
        #expect(contents.unreadable.keys.sorted() == ["a", "directory", "z"])
        for (name, problem) in contents.unreadable {
            #expect(problem.message.contains("\(store.path)/\(name).json"), "\(problem)")
            #expect(problem.advice != nil)
        }
        #expect(try contents.networks(needing: "br0") == [record])
        #expect(throws: NetworkProblem.self) { try contents.networks(needing: "a") }
        for name in ["a", "z"] { #expect(try File.readText("\(store.path)/\(name).json") == text) }
        withExtendedLifetime(lock) {}
    }

    @Test("a copy of a network's file by another name is no second network")
    func copy() throws {
        let directory = try TemporaryDirectory()
        let store = try NetworkStore(chosen: directory.path)
        let lock = try store.lock()
        let record = try record()
        try store.write(record)
        try File.write(store.path + "/old.json", File.read(store.path + "/br0.json"))
        let contents = try store.contents()
        #expect(contents.networks == [record])
        #expect(contents.unreadable.keys.sorted() == ["old"])
        #expect(contents.unreadable["old"]?.message.contains("br0.json") == true)
        #expect(throws: NetworkProblem.self) { try store.networks() }
        withExtendedLifetime(lock) {}
    }

    @Test("what somebody who was killed had not put in place is removed with the next lock")
    func leftovers() throws {
        let directory = try TemporaryDirectory()
        let store = try NetworkStore(chosen: directory.path)
        withExtendedLifetime(try store.lock()) {}
        try File.write(store.path + "/br0.json.7.new", [])
        withExtendedLifetime(try store.lock()) {}
        #expect(!File.exists(store.path + "/br0.json.7.new"))
    }
}
