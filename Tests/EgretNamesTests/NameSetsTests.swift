// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDNSWire
import EgretLinux
import EgretTesting
import Synchronization
import Testing

@testable import EgretNames

/// Elements with a time, in the real kernel.
@Suite("Sets of names", .serialized, .requiresRoot)
struct NameSetsTests {
    private static let table = "egret-names-sets"

    private func grant(_ last: UInt8, seconds: UInt64, isRenewal: Bool = false) -> NameGrant {
        NameGrant(
            rule: 0, name: .root, address: .v4(IPv4Address(192, 0, 2, last)), lifetimeMilliseconds: seconds * 1_000,
            isRenewal: isRenewal)
    }

    /// What is left of each element's time, in seconds, by the last byte of its address.
    private func withSets(_ replaces: Bool?, _ body: (NameSets) throws -> Void) throws {
        let set = "set s { type ipv4_addr; flags timeout; };"
        let made = try runProgram(
            ["nft", "-f", "-"],
            standardInput: "table inet \(NameSetsTests.table)\ndelete table inet \(NameSetsTests.table)\n"
                + "table inet \(NameSetsTests.table) { \(set) }\n")
        #expect(made.succeeded, "\(made)")
        defer { _ = try? runProgram(["nft", "delete", "table", "inet", NameSetsTests.table]) }
        try body(try NameSets(table: NameSetsTests.table, replacesRenewals: replaces) { _, _, _ in "s" })
    }

    @Test(
        "an element is renewed, by adding or by replacing, and the kernel shows which it needs", arguments: [nil, true])
    func renewal(replaces: Bool?) throws {
        try withSets(replaces) { sets in
            try sets.commit(1, [grant(1, seconds: 10), grant(2, seconds: 10)])
            #expect(sets.replacesRenewals.withLock(\.self) == replaces)
            try sets.commit(1, [grant(1, seconds: 100, isRenewal: true), grant(3, seconds: 50)])
            for (address, expected) in [(1, 90...100), (2, 0...10), (3, 40...50)] as [(UInt8, ClosedRange<UInt64>)] {
                let left = try #require(try sets.timeLeft(1, grant(address, seconds: 1)))
                #expect(expected.contains(left / 1_000), "\(address) \(left)")
            }
            // Without being told it knows now, whatever this kernel does.
            #expect(sets.replacesRenewals.withLock(\.self) != nil)
        }
    }

    @Test("an element that has gone when it is to be replaced is added, and the others are replaced all the same")
    func expired() throws {
        try withSets(true) { sets in
            try sets.commit(1, [grant(1, seconds: 10)])
            try sets.commit(1, [grant(1, seconds: 100, isRenewal: true), grant(2, seconds: 100, isRenewal: true)])
            for address: UInt8 in [1, 2] {
                let left = try #require(try sets.timeLeft(1, grant(address, seconds: 1)))
                #expect(left > 90_000)
            }
            #expect(try sets.timeLeft(1, grant(3, seconds: 1)) == nil)
        }
    }

    @Test("grants of several endpoints are one transaction, and one endpoint's full set keeps nobody else from theirs")
    func together() throws {
        let sets = "set s1 { type ipv4_addr; flags timeout; }; set s2 { type ipv4_addr; flags timeout; size 2; };"
        let made = try runProgram(
            ["nft", "-f", "-"],
            standardInput: "table inet \(NameSetsTests.table)\ndelete table inet \(NameSetsTests.table)\n"
                + "table inet \(NameSetsTests.table) { \(sets) }\n")
        #expect(made.succeeded, "\(made)")
        defer { _ = try? runProgram(["nft", "delete", "table", "inet", NameSetsTests.table]) }
        let kernel = try NameSets(table: NameSetsTests.table) { endpoint, _, _ in "s\(endpoint)" }
        func lot(_ endpoint: Int, _ addresses: UInt8..., isRenewal: Bool = false) -> NameLot {
            NameLot(
                endpoint: endpoint, grants: addresses.map { grant($0, seconds: 60, isRenewal: isRenewal) })
        }
        func present(_ endpoint: Int, _ address: UInt8) throws -> Bool {
            try kernel.timeLeft(endpoint, grant(address, seconds: 1)) != nil
        }
        #expect(kernel.commit([lot(1, 1, 2), lot(2, 1)]).isEmpty)
        for (endpoint, address) in [(1, 1), (1, 2), (2, 1)] as [(Int, UInt8)] {
            #expect(try present(endpoint, address), "\(endpoint) \(address)")
        }
        // There is room for one more.
        let failures = kernel.commit([lot(1, 3), lot(2, 2, 3), lot(3, 1)])
        #expect(Swift.Set(failures.keys) == [2, 3])
        let isThere = try present(1, 3)
        let isPartlyThere = try present(2, 2)
        #expect(isThere && !isPartlyThere)
        #expect(kernel.commit([lot(1, 4), lot(2, 2)]).isEmpty)
        #expect(kernel.commit([lot(1, 4, isRenewal: true), lot(2, 2, isRenewal: true)]).isEmpty)
        #expect(kernel.commit([]).isEmpty)
    }

    @Test("what is committed together is bounded, and nothing is left out or put after what came later")
    func joined() {
        func joined(_ counts: Int...) -> [[Int]] {
            let grants = counts.map { Array(repeating: grant(1, seconds: 1), count: $0) }
            let lots = grants.enumerated().map { NameLot(endpoint: $0.offset, grants: $0.element) }
            return NameSets.joined(lots).map { $0.map(\.endpoint) }
        }
        #expect(joined() == [])
        #expect(joined(1) == [[0]])
        #expect(joined(500, 12, 1) == [[0, 1], [2]])
        #expect(joined(1, 600, 1) == [[0], [1], [2]])
    }

    @Test(
        "addresses are put into sets of packets and of frames, and again for their whole time",
        arguments: ["inet", "netdev"])
    func addresses(family: String) throws {
        let table = "\(family) \(NameSetsTests.table)"
        let flags = "flags dynamic,timeout;"
        let sets = "set four { type ipv4_addr; \(flags) }; set six { type ipv6_addr; \(flags) };"
        let made = try runProgram(
            ["nft", "-f", "-"],
            standardInput: "table \(table)\ndelete table \(table)\ntable \(table) { \(sets) }\n")
        #expect(made.succeeded, "\(made)")
        defer { _ = try? runProgram(["nft", "delete", "table", family, NameSetsTests.table]) }
        let kernel = try NameSets(addressesIn: NameSetsTests.table, isOfFrames: family == "netdev")
        let four = IPAddress.v4(IPv4Address(192, 0, 2, 1))
        let six = try #require(IPAddress("2001:db8::1"))
        try kernel.put(["four": [four], "six": [six]], for: 10_000)
        try kernel.put(["four": [four]], for: 100_000)
        for (address, set, expected) in [(four, "four", 90...100), (six, "six", 0...10)]
            as [(IPAddress, String, ClosedRange<UInt64>)]
        {
            let element = ElementBatch.Element(address: address, milliseconds: 0)
            let left = try #require(try kernel.timeLeft(element, in: set))
            #expect(expected.contains(left / 1_000), "\(set) \(left)")
        }
        #expect(throws: (any Error).self) { try kernel.put(["four": [four], "absent": [four]], for: 10_000) }
    }

    @Test("of what a full set cannot take, as many addresses are put in as it has room for, and the others are told")
    func full() throws {
        let flags = "flags dynamic,timeout; size 3;"
        let sets = "set small { type ipv4_addr; \(flags) }; set other { type ipv4_addr; flags timeout; };"
        let made = try runProgram(
            ["nft", "-f", "-"],
            standardInput: "table inet \(NameSetsTests.table)\ndelete table inet \(NameSetsTests.table)\n"
                + "table inet \(NameSetsTests.table) { \(sets) }\n")
        #expect(made.succeeded, "\(made)")
        defer { _ = try? runProgram(["nft", "delete", "table", "inet", NameSetsTests.table]) }
        let kernel = try NameSets(addressesIn: NameSetsTests.table, isOfFrames: false)
        func addresses(_ hosts: ClosedRange<UInt8>) -> Swift.Set<IPAddress> {
            Swift.Set(hosts.map { IPAddress.v4(IPv4Address(192, 0, 2, $0)) })
        }
        func present(_ hosts: ClosedRange<UInt8>, in set: String) throws -> Swift.Set<IPAddress> {
            try addresses(hosts).filter {
                try kernel.timeLeft(ElementBatch.Element(address: $0, milliseconds: 0), in: set) != nil
            }
        }
        let none = try kernel.fill(["small": addresses(1...2), "other": addresses(1...2)], for: 60_000)
        #expect(none.isEmpty)
        // Two of ten are there, and there is room for one more; the other set takes them all.
        let left = try kernel.fill(["small": addresses(1...10), "other": addresses(1...10)], for: 60_000)
        let small = try present(1...10, in: "small")
        #expect(small.count == 3 && small.isSuperset(of: addresses(1...2)))
        #expect(left == ["small": addresses(1...10).subtracting(small)])
        #expect(try present(1...10, in: "other") == addresses(1...10))
        let again = try kernel.fill(["small": small], for: 60_000)
        #expect(again.isEmpty)
        // Any other refusal is one.
        #expect(throws: (any Error).self) {
            _ = try kernel.fill(["small": addresses(1...10), "absent": addresses(1...1)], for: 60_000)
        }
    }

    private let client = SocketAddress(.v4(IPv4Address(192, 0, 2, 10)), port: 40_001)
    private let server = SocketAddress(.v4(IPv4Address(203, 0, 113, 10)), port: 443)

    /// Gives sets of flows: `a` and `b` of IPv4, `c` of IPv6, and `mixed` from IPv4 to IPv6.
    private func withFlowSets(_ replaces: Bool? = nil, _ body: (NameSets) throws -> Void) throws {
        func set(_ name: String, _ own: String, _ far: String) -> String {
            "set \(name) { type \(own) . inet_service . \(far) . inet_service; flags timeout; };"
        }
        let sets = [
            set("a", "ipv4_addr", "ipv4_addr"), set("b", "ipv4_addr", "ipv4_addr"), set("c", "ipv6_addr", "ipv6_addr"),
            set("mixed", "ipv4_addr", "ipv6_addr"),
        ]
        let made = try runProgram(
            ["nft", "-f", "-"],
            standardInput: "table inet \(NameSetsTests.table)\ndelete table inet \(NameSetsTests.table)\n"
                + "table inet \(NameSetsTests.table) { \(sets.joined(separator: " ")) }\n")
        #expect(made.succeeded, "\(made)")
        defer { _ = try? runProgram(["nft", "delete", "table", "inet", NameSetsTests.table]) }
        try body(try NameSets(table: NameSetsTests.table, replacesRenewals: replaces) { _, _, _ in "a" })
    }

    @Test("a flow is put into all its sets, ports and all, in both families, and again without harm")
    func flows() throws {
        try withFlowSets { sets in try putFlows(sets) }
    }

    private func putFlows(_ sets: NameSets) throws {
        for _ in 0..<2 { try sets.pass(from: client, to: server, in: ["a": 60_000, "b": 3_600_000]) }
        let six = SocketAddress(try #require(IPAddress("2001:db8::10")), port: 40_002)
        let far = SocketAddress(try #require(IPAddress("2001:db8:113::10")), port: 8_443)
        try sets.pass(from: six, to: far, in: ["c": 60_000])
        let listing = try runProgram(["nft", "-n", "list", "table", "inet", NameSetsTests.table]).standardOutput
        #expect(listing.contains("192.0.2.10 . 40001 . 203.0.113.10 . 443 timeout 60s"), "\(listing)")
        #expect(listing.contains("192.0.2.10 . 40001 . 203.0.113.10 . 443 timeout 3600s"), "\(listing)")
        #expect(listing.contains("2001:db8::10 . 40002 . 2001:db8:113::10 . 8443 timeout 60s"), "\(listing)")
        #expect(throws: (any Error).self) { try sets.pass(from: client, to: server, in: ["absent": 60_000]) }
    }

    @Test("a flow that passes again has its whole time again, by replacing if need be", arguments: [nil, true])
    func renewedFlows(replaces: Bool?) throws {
        try withFlowSets(replaces) { sets in
            try sets.pass(from: client, to: server, in: ["a": 10_000])
            try sets.pass(from: client, to: server, in: ["a": 100_000, "b": 100_000])
            let element = ElementBatch.Element(
                own: client.address, address: server.address, ports: (own: client.port, far: server.port),
                milliseconds: 0)
            for set in ["a", "b"] {
                let left = try #require(try sets.timeLeft(element, in: set))
                #expect(left > 90_000, "\(set) \(left)")
            }
        }
    }

    @Test("a flow that cannot be in all its sets, or that cannot be forgotten, is in none")
    func allOrNone() throws {
        try withFlowSets { sets in
            #expect(throws: (any Error).self) {
                try sets.pass(from: client, to: server, in: ["a": 60_000, "absent": 60_000])
            }
            // No connection is from one family to the other: that cannot be asked of connection tracking.
            let six = SocketAddress(try #require(IPAddress("2001:db8::10")), port: 443)
            #expect(throws: (any Error).self) { try sets.pass(from: client, to: six, in: ["mixed": 60_000]) }
            let listing = try runProgram(["nft", "list", "table", "inet", NameSetsTests.table]).standardOutput
            #expect(listing.contains("set mixed") && !listing.contains("elements"), "\(listing)")
        }
    }

    @Test("flows are taken out of their sets, also where some of them, or a set, are gone")
    func removedFlows() throws {
        try withFlowSets { sets in
            try sets.add(flows: [
                FlowElement(set: "a", source: client, destination: server): 60_000,
                FlowElement(set: "b", source: client, destination: server): 60_000,
            ])
            let other = SocketAddress(client.address, port: 40_009)
            try sets.add(flows: [FlowElement(set: "b", source: other, destination: server): 60_000])
            try sets.remove(flows: [
                FlowElement(set: "absent", source: client, destination: server),
                FlowElement(set: "a", source: other, destination: server),
                FlowElement(set: "a", source: client, destination: server),
                FlowElement(set: "b", source: client, destination: server),
            ])
            let listing = try runProgram(["nft", "-n", "list", "table", "inet", NameSetsTests.table]).standardOutput
            #expect(!listing.contains("40001") && listing.contains("40009"), "\(listing)")
            try sets.add(flows: [:])
        }
    }

    @Test("where most of many elements are gone, those that are there are taken out at little cost")
    func removedMany() throws {
        try withSets(nil) { sets in
            let elements = (0..<4_000).map { number in
                ElementBatch.Element(
                    address: .v4(IPv4Address(rawValue: 0x0a00_0000 + UInt32(number))), milliseconds: 60_000)
            }
            try sets.send(coming: ["s": [elements[3], elements[3_999]]], going: [:])
            let start = ContinuousClock.now
            try sets.removePresent(["s": elements, "gone": elements])
            let took = ContinuousClock.now - start
            for element in [elements[3], elements[3_999]] { #expect(try sets.timeLeft(element, in: "s") == nil) }
            // A failed transaction for each takes a good deal longer.
            #expect(took < .seconds(4), "\(took)")
        }
    }

    @Test("a kernel that renews and one that does not are told apart; times that are nearly the same tell nothing")
    func evidence() {
        #expect(NameSets.mustReplace(before: 5_000, after: 4_996, wanted: 60_000) == true)
        #expect(NameSets.mustReplace(before: 5_000, after: 59_996, wanted: 60_000) == false)
        #expect(NameSets.mustReplace(before: 59_990, after: 59_988, wanted: 60_000) == nil)
        #expect(NameSets.mustReplace(before: 60_000, after: 59_988, wanted: 5_000) == nil)
        #expect(NameSets.mustReplace(before: nil, after: 59_988, wanted: 60_000) == nil)
        #expect(NameSets.mustReplace(before: 5_000, after: nil, wanted: 60_000) == nil)
    }
}
