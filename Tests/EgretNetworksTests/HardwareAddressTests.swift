// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetlinkWire
import EgretNetworks
import Testing

@Suite("Hardware addresses of endpoints")
struct HardwareAddressTests {
    private func address(
        for texts: String..., besides taken: String? = nil, machine: UInt64? = nil
    ) throws -> String {
        var network = NetworkRecord(
            NetworkSpec(
                name: "br0", mode: .bridge, subnets: [Subnet(try #require(IPPrefix("10.9.0.0/24")))], isIsolated: false),
            bootID: "")
        if let taken {
            network.endpoints = [
                NetworkRecord.Endpoint(
                    namespace: "n", cookie: 7, isCreated: false, interface: "eth0", hostInterface: "egn0", hostIndex: 5,
                    hardwareAddress: taken, hostHardwareAddress: "fe:ff:00:00:00:01", addresses: [],
                    sourceAddresses: [],
                    order: 1, stage: .ready)
            ]
        }
        let addresses = try texts.map { try #require(IPAddress($0)) }
        return network.hardwareAddress(for: addresses, machine: machine).description
    }

    @Test("whoever has an address has the hardware address that goes with it, and nobody has another's")
    func derived() throws {
        #expect(try address(for: "10.9.0.2") == "02:45:0a:09:00:02")
        #expect(try address(for: "10.9.0.2", "fd00::2") == "02:45:0a:09:00:02")
        #expect(try address(for: "fd00:9::2") == "02:45:fd:00:00:0b")
        #expect(try address(for: "10.9.0.2", besides: "02:45:0a:09:00:02") != "02:45:0a:09:00:02")
    }

    @Test("two machines that give one address have two hardware addresses for it, and each always the same")
    func machines() throws {
        let first: UInt64 = 0x12_3456_789a
        #expect(try address(for: "10.9.0.2", machine: first) == "02:12:3e:5f:78:98")
        #expect(try address(for: "10.9.0.2", machine: first + 1) != address(for: "10.9.0.2", machine: first))
        #expect(try address(for: "10.9.0.3", machine: first) != address(for: "10.9.0.2", machine: first))
        #expect(try address(for: "10.9.0.2", machine: .max).hasPrefix("02:ff:"))
    }

    @Test("an adopted bridge that has an endpoint's hardware address is warned of, with an own one that ends it")
    func borrowed() throws {
        var network = NetworkRecord(
            NetworkSpec(
                name: "lab0", mode: .bridge, subnets: [Subnet(try #require(IPPrefix("10.9.0.0/24")))], isAdopted: true),
            bootID: "")
        network.endpoints = ["fe:ff:00:00:00:01", "fe:ff:00:00:00:02"].enumerated().map { number, hardware in
            NetworkRecord.Endpoint(
                namespace: "n\(number)", cookie: 7, isCreated: false, interface: "eth0", hostInterface: "egn\(number)",
                hostIndex: 5, hardwareAddress: "02:45:0a:09:00:02", hostHardwareAddress: hardware, addresses: [],
                sourceAddresses: [], order: 1, stage: .ready)
        }
        func warning(_ hardware: String) throws -> String? {
            let address = try #require(MACAddress(text: hardware))
            let bridge = LinkRecord(index: 4, name: "lab0", address: address, kind: "bridge")
            return network.warning(ofBorrowedAddressOf: bridge)
        }
        let words = try #require(try warning("fe:ff:00:00:00:02"))
        #expect(words.hasSuffix("ip link set dev lab0 address 02:ff:00:00:00:02"))
        for own in ["02:ff:00:00:00:02", "fe:ff:00:00:00:03"] {
            let none = try warning(own)
            #expect(none == nil)
        }
        network.isAdopted = false
        let ours = try warning("fe:ff:00:00:00:02")
        #expect(ours == nil)
    }
}
