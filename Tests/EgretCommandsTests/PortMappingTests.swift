// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNetworks
import Testing

@testable import EgretCommands

struct PortMappingTests {
    @Test(
        "mappings are read as Docker writes them",
        arguments: [
            ("8080:80/tcp", "8080/tcp", 80, 1), ("8080:80", "8080/tcp", 80, 1), ("53/udp", "53/udp", 53, 1),
            ("8000-8010:9000-9010/UDP", "8000-8010/udp", 9000, 11), ("1-65535/sctp", "1-65535/sctp", 1, 65_535),
        ])
    func good(text: String, host: String, target: UInt16, count: UInt16) throws {
        let mapping = try PortMapping(text)
        #expect(mapping.hostText == host && mapping.target == target && mapping.count == count)
    }

    @Test(
        "what is none is refused",
        arguments: [
            "", ":", "80:", ":80", "0:80", "80:0", "65536:80", "80:80:80", "80-79", "8000-8001:80", "80/icmp",
            "80/tcp/udp",
            "a:b", "-1:80", "1-2-3",
        ])
    func bad(text: String) {
        #expect(throws: PortMapping.Problem.self) { try PortMapping(text) }
    }

    @Test("where the namespace stands before the ports, it is said how they are written")
    func swapped() {
        let problem = #expect(throws: NetworkProblem.self) {
            try PortMapping.reading("ns0", before: "8080:80/tcp")
        }
        #expect(problem?.message == "“ns0” stands where the ports belong")
        #expect(problem?.advice == "write them first: egret publish 8080:80/tcp ns0")
        let wrong = #expect(throws: NetworkProblem.self) { try PortMapping.reading("ns0", before: "ns1") }
        #expect(wrong?.message == "“ns0” is not HOST-PORT:PORT/PROTOCOL; write 8080:80/tcp")
    }
}
