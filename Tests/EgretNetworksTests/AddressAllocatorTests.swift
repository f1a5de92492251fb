// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetworks
import Testing

struct AddressAllocatorTests {
    private let subnets = ["10.9.0.0/29", "fd00:9::/125"].compactMap { IPPrefix($0) }.map { Subnet($0) }

    private func take(_ wanted: [String] = [], _ taken: Set<IPAddress>) throws -> [String] {
        try AddressAllocator.addresses(in: subnets, wanted: wanted.compactMap { IPAddress($0) }, taken: taken)
            .map(\.description)
    }

    @Test("addresses are given from the lowest on, none twice, until a subnet is full")
    func lowest() throws {
        var taken: Set<IPAddress> = []
        var given: [String] = []
        while let addresses = try? take(taken) {
            given.append(addresses[0])
            taken.formUnion(addresses.compactMap { IPAddress($0) })
        }
        #expect(given == (2...6).map { "10.9.0.\($0)" })
        #expect(throws: NetworkProblem.self) { try take(taken) }
        taken.remove(try #require(IPAddress("10.9.0.4")))
        taken.remove(try #require(IPAddress("fd00:9::4")))
        #expect(try take(taken) == ["10.9.0.4", "fd00:9::4"])
    }

    @Test("several could be given: the lowest that are free, as many as there are, or the one asked for alone")
    func candidates() throws {
        let taken = Set(["10.9.0.3", "fd00:9::2"].compactMap { IPAddress($0) })
        func candidates(_ count: Int, _ wanted: [String] = []) throws -> [[String]] {
            try AddressAllocator.candidates(
                in: subnets, wanted: wanted.compactMap { IPAddress($0) }, taken: taken, count: count
            ).map { $0.map(\.description) }
        }
        #expect(try candidates(2) == [["10.9.0.2", "10.9.0.4"], ["fd00:9::3", "fd00:9::4"]])
        #expect(try candidates(9).map(\.count) == [4, 5])
        #expect(try candidates(2, ["10.9.0.5"]) == [["10.9.0.5"], ["fd00:9::3", "fd00:9::4"]])
    }

    @Test("an address that is asked for is given if it can be had")
    func wanted() throws {
        #expect(try take(["10.9.0.5"], []) == ["10.9.0.5", "fd00:9::2"])
        #expect(try take(["fd00:9::7", "10.9.0.6"], []) == ["10.9.0.6", "fd00:9::7"])
    }

    @Test(
        "an address that cannot be had is refused",
        arguments: [
            "10.9.0.0", "10.9.0.1", "10.9.0.7", "10.9.0.8", "fd00:9::", "fd00:9::1", "fd00:9::8", "10.9.0.3",
        ])
    func refused(address: String) throws {
        let taken: Set = [try #require(IPAddress("10.9.0.3"))]
        #expect(throws: NetworkProblem.self) { try take([address], taken) }
    }

    @Test("two addresses of one subnet are refused")
    func two() {
        #expect(throws: NetworkProblem.self) { try take(["10.9.0.2", "10.9.0.3"], []) }
    }
}

extension AddressAllocatorTests {
    private func take(_ taken: Set<IPAddress>) throws -> [String] { try take([], taken) }
}
