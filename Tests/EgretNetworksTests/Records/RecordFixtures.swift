// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetworks
import Testing

/// Two networks, one with all that a network can have and one with nothing that it need not have, and their files: byte for
/// byte as the first version wrote them with `JSONEncoder`, and as they are written now.
enum RecordFixtures {
    static func full() throws -> NetworkRecord {
        let pair = try #require(AddressPair("192.0.2.7-192.0.2.9")).perConnection
        let single = try #require(AddressPair("2001:db8::7"))
        var record = NetworkRecord(
            NetworkSpec(
                name: "br0",
                subnets: [
                    Subnet(try #require(IPPrefix("10.9.0.0/24"))), Subnet(try #require(IPPrefix("fd00:9::/64"))),
                ],
                mtu: 1400, translation: .sourceAddresses([pair, single])),
            bootID: "fc4072d5-0ce7-403f-a9a4-a84ea70355cc")
        record.bridgeHardwareAddress = "02:2a:d0:02:fc:ba"
        record.bridgeIndex = 2
        record.stage = .ready
        record.passages = [Passage(.docker, rules: ["iptables", "ip6tables"]), Passage(.ufw)]
        record.policyFile = "/etc/egret/\"best\" policy.yaml"
        record.endpoints = [
            NetworkRecord.Endpoint(
                namespace: "/run/netns/a", cookie: .max, isCreated: true, interface: "eth0", hostInterface: "egn0",
                hostIndex: 9, hardwareAddress: "02:45:0a:09:00:02", hostHardwareAddress: "fe:ff:00:00:00:01",
                addresses: [try #require(IPAddress("10.9.0.2")), try #require(IPAddress("fd00:9::2"))],
                sourceAddresses: [single],
                identity: EndpointIdentity(
                    group: "bench", name: "c0", labels: ["app": "é\n\u{1b}\\", "egret.dev/runtime": "cni"],
                    ports: [EndpointIdentity.Port(name: "http", transport: "tcp", number: 80)]),
                attachment: ContainerAttachment(network: "bench", container: "c0", interface: "eth0"),
                rates: [
                    EndpointRate(isEgress: true, bitsPerSecond: 100_000_000, burstBytes: 1_250_000),
                    EndpointRate(isEgress: false, bitsPerSecond: 1),
                ],
                order: 1, stage: .ready),
            NetworkRecord.Endpoint(
                namespace: "pid:7", cookie: 0, isCreated: false, interface: "eth1", hostInterface: "egn1", hostIndex: 0,
                hardwareAddress: "", hostHardwareAddress: "", addresses: [], sourceAddresses: [], stage: .removing),
        ]
        record.ports = [
            NetworkRecord.Port(
                number: 1, namespace: "/run/netns/a", transport: "tcp", hostAddress: IPAddress("2001:db8::1"),
                hostPort: 8080, targetPort: 80, count: 1,
                sources: [try #require(IPPrefix("::/0")), try #require(IPPrefix("192.0.2.1"))], stage: .ready),
            NetworkRecord.Port(
                number: 2, namespace: "pid:7", transport: "udp", hostAddress: nil, hostPort: 1, targetPort: 2,
                count: 65_534, sources: [], stage: .making),
        ]
        return record
    }

    static func bare() throws -> NetworkRecord {
        var record = NetworkRecord(
            NetworkSpec(name: "r0", mode: .routed, subnets: [Subnet(try #require(IPPrefix("10.8.0.0/24")))]),
            bootID: "b")
        record.stage = .waiting
        return record
    }

    static let fullAtFirst = #"""
        {
          "bootID" : "fc4072d5-0ce7-403f-a9a4-a84ea70355cc",
          "bridgeHardwareAddress" : "02:2a:d0:02:fc:ba",
          "bridgeIndex" : 2,
          "endpoints" : [
            {
              "addresses" : [
                "10.9.0.2",
                "fd00:9::2"
              ],
              "attachment" : {
                "container" : "c0",
                "interface" : "eth0",
                "network" : "bench"
              },
              "cookie" : 18446744073709551615,
              "hardwareAddress" : "02:45:0a:09:00:02",
              "hostHardwareAddress" : "fe:ff:00:00:00:01",
              "hostIndex" : 9,
              "hostInterface" : "egn0",
              "identity" : {
                "group" : "bench",
                "labels" : {
                  "app" : "é\n\u001b\\",
                  "egret.dev/runtime" : "cni"
                },
                "name" : "c0",
                "ports" : [
                  {
                    "name" : "http",
                    "number" : 80,
                    "transport" : "tcp"
                  }
                ]
              },
              "interface" : "eth0",
              "isCreated" : true,
              "namespace" : "/run/netns/a",
              "order" : 1,
              "rates" : [
                {
                  "bitsPerSecond" : 100000000,
                  "burstBytes" : 1250000,
                  "isEgress" : true
                },
                {
                  "bitsPerSecond" : 1,
                  "isEgress" : false
                }
              ],
              "sourceAddresses" : [
                {
                  "first" : "2001:db8::7",
                  "last" : "2001:db8::7"
                }
              ],
              "stage" : "ready"
            },
            {
              "addresses" : [

              ],
              "cookie" : 0,
              "hardwareAddress" : "",
              "hostHardwareAddress" : "",
              "hostIndex" : 0,
              "hostInterface" : "egn1",
              "interface" : "eth1",
              "isCreated" : false,
              "namespace" : "pid:7",
              "sourceAddresses" : [

              ],
              "stage" : "removing"
            }
          ],
          "isAdopted" : false,
          "isIsolated" : false,
          "isTranslated" : true,
          "mode" : "bridge",
          "mtu" : 1400,
          "name" : "br0",
          "passages" : [
            {
              "rules" : [
                "iptables",
                "ip6tables"
              ],
              "tool" : "docker"
            },
            {
              "rules" : [

              ],
              "tool" : "ufw"
            }
          ],
          "policyFile" : "/etc/egret/\"best\" policy.yaml",
          "ports" : [
            {
              "count" : 1,
              "hostAddress" : "2001:db8::1",
              "hostPort" : 8080,
              "namespace" : "/run/netns/a",
              "number" : 1,
              "sources" : [
                "::/0",
                "192.0.2.1"
              ],
              "stage" : "ready",
              "targetPort" : 80,
              "transport" : "tcp"
            },
            {
              "count" : 65534,
              "hostPort" : 1,
              "namespace" : "pid:7",
              "number" : 2,
              "sources" : [

              ],
              "stage" : "making",
              "targetPort" : 2,
              "transport" : "udp"
            }
          ],
          "sourceAddresses" : [
            {
              "first" : "192.0.2.7",
              "isPerConnection" : true,
              "last" : "192.0.2.9"
            },
            {
              "first" : "2001:db8::7",
              "last" : "2001:db8::7"
            }
          ],
          "stage" : "ready",
          "subnets" : [
            {
              "block" : "10.9.0.0/24",
              "gateway" : "10.9.0.1"
            },
            {
              "block" : "fd00:9::/64",
              "gateway" : "fd00:9::1"
            }
          ],
          "version" : 1
        }

        """#

    static let bareAtFirst = #"""
        {
          "bootID" : "b",
          "endpoints" : [

          ],
          "isAdopted" : false,
          "isIsolated" : false,
          "isTranslated" : true,
          "mode" : "routed",
          "name" : "r0",
          "ports" : [

          ],
          "sourceAddresses" : [

          ],
          "stage" : "waiting",
          "subnets" : [
            {
              "block" : "10.8.0.0/24",
              "gateway" : "10.8.0.1"
            }
          ],
          "version" : 1
        }

        """#

    // Lines as long as they are written.
    // swift-format-ignore
    static let fullNow = #"""
        {
          "bootID" : "fc4072d5-0ce7-403f-a9a4-a84ea70355cc",
          "bridgeHardwareAddress" : "02:2a:d0:02:fc:ba",
          "bridgeIndex" : 2,
          "endpoints" : [
            {"addresses" : ["10.9.0.2", "fd00:9::2"], "attachment" : {"container" : "c0", "interface" : "eth0", "network" : "bench"}, "cookie" : 18446744073709551615, "hardwareAddress" : "02:45:0a:09:00:02", "hostHardwareAddress" : "fe:ff:00:00:00:01", "hostIndex" : 9, "hostInterface" : "egn0", "identity" : {"group" : "bench", "labels" : {"app" : "é\n\u001b\\", "egret.dev/runtime" : "cni"}, "name" : "c0", "ports" : [{"name" : "http", "number" : 80, "transport" : "tcp"}]}, "interface" : "eth0", "isCreated" : true, "namespace" : "/run/netns/a", "order" : 1, "rates" : [{"bitsPerSecond" : 100000000, "burstBytes" : 1250000, "isEgress" : true}, {"bitsPerSecond" : 1, "isEgress" : false}], "sourceAddresses" : [{"first" : "2001:db8::7", "last" : "2001:db8::7"}], "stage" : "ready"},
            {"addresses" : [], "cookie" : 0, "hardwareAddress" : "", "hostHardwareAddress" : "", "hostIndex" : 0, "hostInterface" : "egn1", "interface" : "eth1", "isCreated" : false, "namespace" : "pid:7", "sourceAddresses" : [], "stage" : "removing"}
          ],
          "isAdopted" : false,
          "isIsolated" : false,
          "isTranslated" : true,
          "mode" : "bridge",
          "mtu" : 1400,
          "name" : "br0",
          "passages" : [
            {"rules" : ["iptables", "ip6tables"], "tool" : "docker"},
            {"rules" : [], "tool" : "ufw"}
          ],
          "policyFile" : "/etc/egret/\"best\" policy.yaml",
          "ports" : [
            {"count" : 1, "hostAddress" : "2001:db8::1", "hostPort" : 8080, "namespace" : "/run/netns/a", "number" : 1, "sources" : ["::/0", "192.0.2.1"], "stage" : "ready", "targetPort" : 80, "transport" : "tcp"},
            {"count" : 65534, "hostPort" : 1, "namespace" : "pid:7", "number" : 2, "sources" : [], "stage" : "making", "targetPort" : 2, "transport" : "udp"}
          ],
          "sourceAddresses" : [
            {"first" : "192.0.2.7", "isPerConnection" : true, "last" : "192.0.2.9"},
            {"first" : "2001:db8::7", "last" : "2001:db8::7"}
          ],
          "stage" : "ready",
          "subnets" : [
            {"block" : "10.9.0.0/24", "gateway" : "10.9.0.1"},
            {"block" : "fd00:9::/64", "gateway" : "fd00:9::1"}
          ],
          "version" : 1
        }

        """#

    static let bareNow = #"""
        {
          "bootID" : "b",
          "endpoints" : [],
          "isAdopted" : false,
          "isIsolated" : false,
          "isTranslated" : true,
          "mode" : "routed",
          "name" : "r0",
          "ports" : [],
          "sourceAddresses" : [],
          "stage" : "waiting",
          "subnets" : [
            {"block" : "10.8.0.0/24", "gateway" : "10.8.0.1"}
          ],
          "version" : 1
        }

        """#
}
