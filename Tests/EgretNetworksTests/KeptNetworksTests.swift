// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux
import EgretTesting
import Testing

@testable import EgretNetworks

@Suite("Networks that are read again and again")
struct KeptNetworksTests {
    private func record(_ name: String, mtu: UInt32? = nil) throws -> NetworkRecord {
        NetworkRecord(
            NetworkSpec(name: name, subnets: [Subnet(try #require(IPPrefix("10.9.0.0/24")))], mtu: mtu), bootID: "b")
    }

    /// Makes a file older than it is, so that its state alone tells of changes.
    private func age(_ store: NetworkStore, _ name: String) throws {
        let output = try RunningProgram(["touch", "-d", "2020-01-01", "\(store.path)/\(name).json"]).wait()
        #expect(output.succeeded)
    }

    @Test(
        "every change shows, also one of the same length within the same moment, and is told of",
        arguments: [false, true])
    func changes(isOld: Bool) throws {
        let directory = try TemporaryDirectory()
        let store = try NetworkStore(chosen: directory.path)
        let lock = try store.lock()
        let reader = KeptNetworks(store)
        #expect(try reader.networks() == [])
        var last = reader.version
        func expect(_ records: [NetworkRecord], _ comment: Comment) throws {
            #expect(try reader.networks() == records, comment)
            #expect(reader.version > last, comment)
            last = reader.version
            if isOld { for record in records { try age(store, record.name) } }
            // A file that has only grown older is the same.
            for _ in 0..<2 { #expect(try reader.networks() == records, comment) }
            #expect(reader.version == last, comment)
        }
        let (one, other, two) = (try record("one", mtu: 1400), try record("one", mtu: 1300), try record("two"))
        try store.write(one)
        try expect([one], "a first network")
        try store.write(other)
        try expect([other], "another one of the same length")
        try store.write(two)
        try expect([other, two], "a second network")
        try store.remove("one")
        try expect([two], "one that is gone")
        withExtendedLifetime(lock) {}
    }

    @Test("a damaged file is refused each time, and read when it is mended")
    func damaged() throws {
        let directory = try TemporaryDirectory()
        let store = try NetworkStore(chosen: directory.path)
        let lock = try store.lock()
        let reader = KeptNetworks(store)
        let record = try record("one")
        try store.write(record)
        #expect(try reader.networks() == [record])
        try File.write(store.path + "/one.json", Array("{".utf8))
        for _ in 0..<2 { #expect(throws: NetworkProblem.self) { try reader.networks() } }
        try store.write(record)
        #expect(try reader.networks() == [record])
        withExtendedLifetime(lock) {}
    }
}
