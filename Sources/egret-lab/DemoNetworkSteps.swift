// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

private let ping = ["ip", "netns", "exec", "ns0", "ping", "-c", "1", "-W", "1", "203.0.113.10"]

/// A namespace behind a bridge: without an answer, with the reason why, and with one.
let networkSteps = [
    DemoStep(
        narration: "Egret connects namespaces, too. Behind a bridge, with addresses that nobody translates …",
        command: ["egret", "network", "create", "br0", "--subnet", "192.168.0.0/16", "--no-masquerade"],
        claims: [.exits(0, "there is a bridge")]
    ),
    DemoStep(
        narration: "… a namespace …",
        command: ["egret", "network", "connect", "br0", "ns0", "--create"],
        claims: [.exits(0, "it is connected"), .prints("192.168.0.2")]
    ),
    DemoStep(narration: "… gets no answer.", command: ping, claims: [.fails("nobody knows the way back")]),
    DemoStep(
        narration: "The doctor says where the packet is stuck.",
        command: ["egret", "doctor", "ns0", "--to", "203.0.113.10"],
        claims: [.exits(1, "there is a finding"), .says("translation", "it is the translation")]
    ),
    DemoStep(
        narration: "With masquerade, which is the default …",
        command: ["egret", "network", "rm", "br0", "--force"],
        claims: [.exits(0, "the old network is gone, with its namespace")]
    ),
    DemoStep(
        narration: "… it is another matter.",
        command: ["egret", "network", "create", "br0", "--subnet", "192.168.0.0/16"],
        claims: [.exits(0, "there is a bridge again")]
    ),
    DemoStep(
        narration: "The namespace …",
        command: ["egret", "network", "connect", "br0", "ns0", "--create"],
        claims: [.exits(0, "it is connected")]
    ),
    DemoStep(narration: "… gets its answer.", command: ping, claims: [.exits(0, "from 203.0.113.10")]),
    DemoStep(
        narration: "A port of the host leads to it.",
        command: ["egret", "publish", "8080:80/tcp", "ns0"],
        claims: [.exits(0, "the port is published")]
    ),
    DemoStep(
        narration: "Every rule that translates, with what it has counted:",
        command: ["egret", "nat", "ls", "--owner", "egret"],
        claims: [.prints("masquerade"), .prints("dnat ip to 192.168.0.2:80")]
    ),
    DemoStep(
        narration: "And all of it goes.",
        command: ["egret", "network", "rm", "br0", "--force"],
        claims: [.exits(0, "bridge, namespace and rules are gone")]
    ),
]
