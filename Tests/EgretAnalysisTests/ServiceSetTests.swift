// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAnalysis
import EgretEvaluator
import EgretPolicy
import EgretTesting
import Testing

@Suite("Service sets")
struct ServiceSetTests {
    @Test("services are written as policies write them, merged")
    func text() throws {
        let web = try #require(PortRange(80, 81))
        let more = try #require(PortRange(82, 90))
        #expect(ServiceSet([.ports(.tcp, web), .ports(.tcp, more)]).description == "80-90/tcp")
        #expect(ServiceSet([.any(.udp), .icmp(.icmp, type: 8)]).description == "icmp/8, udp")
        #expect(ServiceSet([]).description == "all")
        #expect(ServiceSet.nothing.description == "none")
        #expect(
            ServiceSet([.any(IPProtocol(rawValue: 47)), .any(IPProtocol(rawValue: 253))]).entries == [
                "gre", "protocol/253",
            ])
    }

    @Test("all but one port is written as ranges")
    func complement() {
        let mail = ServiceSet([.ports(.tcp, PortRange(25))])
        #expect(
            ServiceSet.everything.subtracting(mail).entries == [
                "protocol/0-5", "0-24/tcp", "26-65535/tcp", "tcp/no-port", "protocol/7-255",
            ])
        #expect(ServiceSet.everything.subtracting(mail).union(mail) == .everything)
    }

    @Test("every port without portless packets is not the whole protocol")
    func portless() {
        let ports = ServiceSet([.ports(.tcp, .all)])
        #expect(ports.description == "0-65535/tcp")
        #expect(ServiceSet([.any(.tcp)]).subtracting(ports).description == "tcp/no-port")
        #expect(ServiceSet([.any(.tcp)]).isSuperset(of: ports))
        #expect(!ports.isSuperset(of: ServiceSet([.any(.tcp)])))
    }

    @Test("operations on sets agree with those on members", arguments: 0..<200)
    func membership(seed: Int) {
        var random = RandomCatalogs(seed: UInt64(seed))
        let left = ServiceSet(random.services())
        let right = ServiceSet(random.services())
        for service in Brute.services {
            let one = left.contains(service)
            let two = right.contains(service)
            #expect(left.union(right).contains(service) == (one || two))
            #expect(left.intersection(right).contains(service) == (one && two))
            #expect(left.subtracting(right).contains(service) == (one && !two))
        }
        #expect(left.union(right).subtracting(right).union(right) == left.union(right))
        #expect(left.overlaps(right) == !left.intersection(right).isEmpty)
        if let example = left.subtracting(right).example() {
            #expect(left.contains(example) && !right.contains(example))
        } else {
            #expect(right.isSuperset(of: left))
        }
    }
}
