// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetworks
import Testing

@testable import EgretCommands

struct PublishedPlaceTests {
    @Test(
        "what egret publish ls prints is read, and mappings are",
        arguments: [
            ("8080/tcp", nil, "8080/tcp"), ("8080:80", nil, "8080/tcp"),
            ("203.0.113.2:5353/udp", "203.0.113.2", "5353/udp"),
            ("203.0.113.2:8000-8010/tcp", "203.0.113.2", "8000-8010/tcp"),
            ("203.0.113.2:8080:80/tcp", "203.0.113.2", "8080/tcp"),
            ("[2001:db8::1]:5353/udp", "2001:db8::1", "5353/udp"),
        ] as [(String, String?, String)])
    func good(text: String, address: String?, ports: String) throws {
        let place = try PublishedPlace(text)
        #expect(place.hostAddress == address.flatMap { IPAddress($0) } && place.ports.hostText == ports)
    }

    @Test(
        "what is none is refused",
        arguments: ["", "203.0.113.2", "203.0.113.2:", "203.0.113:80", "[2001:db8::1]", "[]:80", "2001:db8::1:80/udp"])
    func bad(text: String) {
        #expect(throws: PortMapping.Problem.self) { try PublishedPlace(text) }
    }

    @Test("what is none is told how to be written, and where to find it")
    func words() {
        let problem = #expect(throws: NetworkProblem.self) { try PublishedPlace.reading("ns0") }
        #expect(problem?.message == "“ns0” is not HOST-PORT/PROTOCOL; write 8080/tcp")
        #expect(problem?.advice?.hasPrefix("egret publish ls shows what is published") == true)
    }
}
