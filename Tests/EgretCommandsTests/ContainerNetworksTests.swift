// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetworks
import Testing

@testable import EgretCommands

@Suite("Container runtimes' networks")
struct ContainerNetworksTests {
    @Test("a port that a runtime says twice is one, and in its place")
    func ports() {
        let attachment = ContainerAttachment(network: "pods", container: "a", interface: "eth0")
        var wish = ContainerNetworks.Wish(
            attachment: attachment, namespace: "/run/netns/a",
            identity: EndpointIdentity(group: "pods", name: "a", labels: [:], ports: []))
        func port(_ transport: String, _ number: UInt16) -> ContainerNetworks.Port {
            ContainerNetworks.Port(transport: transport, hostAddress: nil, hostPort: number, containerPort: 80)
        }
        wish.ports = [port("tcp", 9), port("tcp", 8), port("tcp", 9), port("udp", 9), port("tcp", 8)]
        #expect(wish.distinctPorts == [port("tcp", 9), port("tcp", 8), port("udp", 9)])
    }

    @Test("a port of both families is one, whether it is said as one for each or as one for all")
    func families() {
        let attachment = ContainerAttachment(network: "pods", container: "a", interface: "eth0")
        var wish = ContainerNetworks.Wish(
            attachment: attachment, namespace: "/run/netns/a",
            identity: EndpointIdentity(group: "pods", name: "a", labels: [:], ports: []))
        func port(_ family: AddressFamily?, _ number: UInt16) -> ContainerNetworks.Port {
            ContainerNetworks.Port(
                transport: "tcp", hostAddress: nil, family: family, hostPort: number, containerPort: 80)
        }
        wish.ports = [port(.ipv4, 7), port(.ipv4, 8), port(.ipv6, 8), port(.ipv6, 9), port(nil, 9)]
        #expect(wish.distinctPorts == [port(.ipv4, 7), port(nil, 8), port(nil, 9)])
    }

    @Test("what keeps one container's interface from going keeps no other's, and all of it is told")
    func goingOn() {
        let items = ["a", "b", "c", "d"].map { name in
            (attachment: ContainerAttachment(network: "pods", container: name, interface: "eth0"), item: name)
        }
        var taken: [String] = []
        var collected = ContainerNetworks.Collected()
        #expect(!collected.isComplete)
        collected.take(items) { name in
            taken.append(name)
            if name == "a" { throw NetworkProblem("it is busy", advice: "remove it") }
            if name == "c" { throw RunFailure(message: "the agent does not run", advice: nil) }
        }
        #expect(taken == ["a", "b", "c", "d"] && collected.isComplete)
        #expect(collected.remaining == [items[0].attachment, items[2].attachment])
        #expect(
            collected.failures == [
                ContainerNetworks.Failure(
                    description: "a keeps its interface eth0: it is busy", advice: "remove it"),
                ContainerNetworks.Failure(
                    isAboutPolicies: true, description: "c keeps its interface eth0: the agent does not run"),
            ])
    }
}
