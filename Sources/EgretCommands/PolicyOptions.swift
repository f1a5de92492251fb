// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import ArgumentParser
import EgretDocuments
import EgretLinux
public import EgretPolicy

/// The flags that say what may leave: the policy language, said shorter.
struct PolicyOptions: ParsableArguments {
    @Option(
        name: .customLong("allow"),
        help: ArgumentHelp(
            "Let traffic to a destination out. Like the next three, may be given more than once.",
            discussion: """
                A destination is an address, a CIDR block, a group (internet, private, host, link-local, metadata, \
                multicast, or a DestinationGroup of a --policy file) or *, then optionally a port: \
                203.0.113.10:443, 198.51.100.0/24:8000-9000/udp, [2001:db8::1]:443, internet:80,443, host:icmp.
                """,
            valueName: "destination"
        )
    )
    var allow: [String] = []

    @Option(
        name: .customLong("deny"),
        help: ArgumentHelp("Drop traffic to a destination. Goes before every --allow.", valueName: "destination")
    )
    var deny: [String] = []

    @Option(
        name: .customLong("reject"),
        help: ArgumentHelp("As --deny, but answer at once: a TCP reset, or an ICMP error.", valueName: "destination")
    )
    var reject: [String] = []

    @Option(
        name: .customLong("audit"),
        help: ArgumentHelp(
            "As --allow, and mark each connection in the report and in --log-file.", valueName: "destination")
    )
    var audit: [String] = []

    @OptionGroup var limits: LimitOptions

    @Option(
        name: .customLong("budget"),
        help: ArgumentHelp(
            """
            How much the command may send in all: 5GB, or ingress=5GB, or both=5GB; also '1000 packets' and \
            '100 connections'. Then nothing passes any more.
            """,
            valueName: "amount")
    )
    var budgets: [String] = []

    @Option(
        name: .customLong("default"),
        help: ArgumentHelp(
            "What happens to everything else. Without it, what the files say, else deny.", valueName: "action")
    )
    var defaultAction: DefaultAction?

    @Option(
        name: [.customLong("policy"), .customShort("f")],
        help: ArgumentHelp(
            "Read policies from a YAML or JSON file; - is standard input. May be given more than once.",
            valueName: "file")
    )
    var files: [String] = []

    @Option(
        name: .customLong("label"),
        help: ArgumentHelp(
            "A label of the command, which policies with selects choose it by. May be given more than once.",
            valueName: "key=value")
    )
    var labels: [String] = []
}

extension DefaultAction: ExpressibleByArgument {}
