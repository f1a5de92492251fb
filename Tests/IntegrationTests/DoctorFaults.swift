// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Testing

/// A set-up that is broken on purpose.
struct DoctorFault: CustomTestStringConvertible, Sendable {
    /// What is broken.
    var testDescription: String
    /// What breaks it, run on the host.
    var script: String
    /// The step at which the packet ends.
    var step: String
    /// Words of the finding.
    var words: String
    /// Whether the commands of the findings, one after the other, mend it.
    var isMended = true
    /// Where the packet goes.
    var arguments: [String] = []

    init(
        _ description: String,
        _ step: String,
        _ words: String,
        _ script: String,
        isMended: Bool = true,
        to arguments: String = ""
    ) {
        testDescription = description
        self.step = step
        self.words = words
        self.script = script
        self.isMended = isMended
        self.arguments = arguments.split(separator: " ").map(String.init)
    }

    static let six = "--to 2001:4860:4860::8888"

    static let ownNetwork: [DoctorFault] = [
        .init("endpoint's interface down", "link", "eth0 is down", "n ip link set eth0 down"),
        .init("host's end down", "link", "veth0", "ip link set veth0 down"),
        .init("no port of the bridge", "link", "no port of br0", "ip link set veth0 nomaster"),
        .init("bridge down", "link", "br0", "ip link set br0 down"),
        .init(
            "port blocked", "link", "listening",
            """
            ip link set br0 type bridge stp_state 1 forward_delay 1500
            ip link set veth0 nomaster
            ip link set veth0 master br0
            """),
        .init("no interface", "link", "no interface", "n ip link del eth0", isMended: false),
        .init("no address", "address", "no IPv4 address", "n ip address flush dev eth0"),
        .init(
            "mask too narrow", "address", "192.168.0.2/32",
            "n ip address flush dev eth0; n ip address add 192.168.0.2/32 dev eth0"),
        .init(
            "mask too wide", "address", "192.168.0.2/1",
            "n ip address flush dev eth0; n ip address add 192.168.0.2/1 dev eth0", to: "--to 203.0.113.1"),
        .init(
            "address of another network", "address", "10.9.9.9/24",
            "n ip address flush dev eth0; n ip address add 10.9.9.9/24 dev eth0"),
        .init("no route", "route", "no route to 8.8.8.8", "n ip route del default"),
        .init(
            "route unreachable", "route", "unreachable default",
            "n ip route del default; n ip route add unreachable default"),
        .init("route blackhole", "route", "blackhole 8.8.8.0/24", "n ip route add blackhole 8.8.8.0/24"),
        .init("route prohibit", "route", "prohibit 8.8.8.8", "n ip route add prohibit 8.8.8.8"),
        .init(
            "rule prohibits", "route", "a rule refuses what goes to 8.8.8.8: prohibit",
            "n ip rule add to 8.8.8.8 prohibit", isMended: false),
        .init(
            "rule is a blackhole", "route", "a rule refuses what goes to 8.8.8.8: blackhole",
            "n ip rule add to 8.8.8.8 blackhole", isMended: false),
        .init(
            "gateway outside the network", "route", "172.16.0.1",
            "n ip route replace default via 172.16.0.1 dev eth0 onlink"),
        .init(
            "gateway that nobody has", "neighbour", "192.168.9.9 does not answer",
            "n ip route replace default via 192.168.9.9"),
        .init(
            "ARP dropped by a rule", "neighbour", "arp filter input",
            """
            nft add table arp filter
            nft 'add chain arp filter input { type filter hook input priority 0; }'
            nft add rule arp filter input arp saddr ip 192.168.0.2 drop
            n ip neighbour flush dev eth0
            """),
        .init("ARP off", "neighbour", "ARP off", "ip link set br0 arp off; n ip neighbour flush dev eth0"),
        .init(
            "wrong hardware address of the gateway", "neighbour", "02:00:00:00:00:99",
            "n ip neighbour replace 192.168.0.1 lladdr 02:00:00:00:00:99 dev eth0 nud permanent"),
        .init(
            "the endpoint's own output drops", "probe", "inet own output",
            """
            n nft add table inet own
            n nft 'add chain inet own output { type filter hook output priority 0; }'
            n nft add rule inet own output ip daddr 8.8.8.8 drop
            """),
        .init(
            "a bridge's rule drops", "arrival", "bridge filter input",
            """
            nft add table bridge filter
            nft 'add chain bridge filter input { type filter hook input priority 0; }'
            nft add rule bridge filter input ip daddr 8.8.8.8 drop
            """),
    ]

    /// Another endpoint of the same bridge.
    private static let neighbour = """
        ip link add veth1 type veth peer name eth2 netns $W
        ip link set veth1 master br0 up
        w ip address add 192.168.0.9/16 dev eth2
        w ip link set eth2 up

        """

    static let sameBridge: [DoctorFault] = [
        .init(
            "a neighbour that does not exist", "neighbour", "192.168.0.99 does not answer", "true", isMended: false,
            to: "--to 192.168.0.99"),
        .init(
            "wrong hardware address of the gateway, among others", "neighbour", "02:00:00:00:00:99",
            neighbour + "n ip neighbour replace 192.168.0.1 lladdr 02:00:00:00:00:99 dev eth0 nud permanent"),
        .init(
            "a neighbour that is silent", "answer", "nothing came back",
            neighbour + """
                w nft add table inet far
                w nft 'add chain inet far input { type filter hook input priority 0; policy drop; }'
                """, isMended: false, to: "--to 192.168.0.9"),
        .init(
            "a gateway on the bridge that is another machine, and silent", "answer", "nothing came back",
            neighbour + """
                n ip route replace default via 192.168.0.9
                w nft add table inet far
                w nft 'add chain inet far input { type filter hook input priority 0; policy drop; }'
                """, isMended: false),
        .init(
            "the bridge's rule drops between neighbours", "arrival", "bridge filter forward",
            neighbour + """
                nft add table bridge filter
                nft 'add chain bridge filter forward { type filter hook forward priority 0; }'
                nft add rule bridge filter forward ip daddr 192.168.0.9 drop
                """, to: "--to 192.168.0.9"),
    ]

    static let host: [DoctorFault] = [
        .init(
            "Egret's policy denies", "policy", "inet egret forward",
            """
            nft add table inet egret
            nft 'add chain inet egret forward { type filter hook forward priority 0; }'
            nft 'add rule inet egret forward iifname br0 ip daddr 8.8.8.8 drop comment "deny 8.8.8.8"'
            """, isMended: false),
        .init("forwarding off", "forwarding", "does not forward IPv4", "echo 0 > /proc/sys/net/ipv4/ip_forward"),
        .init(
            "forwarding off at the bridge", "forwarding", "br0", "echo 0 > /proc/sys/net/ipv4/conf/br0/forwarding"),
        .init(
            "forwarding off at the uplink", "way back", "up0", "echo 0 > /proc/sys/net/ipv4/conf/up0/forwarding"),
        .init(
            "source expected elsewhere", "forwarding", "rp_filter",
            """
            echo 1 > /proc/sys/net/ipv4/conf/br0/rp_filter
            ip route add 192.168.0.2/32 dev up0
            mac=$(ip -o link show dev br0 | grep -o 'link/ether [0-9a-f:]*' | cut -d' ' -f2)
            n ip neighbour replace 192.168.0.1 lladdr $mac dev eth0 nud permanent
            """),
        .init(
            "ARP from where the source is not expected", "neighbour", "rp_filter",
            "echo 1 > /proc/sys/net/ipv4/conf/br0/rp_filter; ip route add 192.168.0.2/32 dev up0"),
        .init(
            "another table drops at forward", "rules", "ip daddr 8.8.8.8",
            """
            nft add table inet other
            nft 'add chain inet other forward { type filter hook forward priority 10; }'
            nft add rule inet other forward ip daddr 8.8.8.8 drop
            """),
        .init(
            "another table drops by policy", "rules", "policy of inet other forward",
            """
            nft add table inet other
            nft 'add chain inet other forward { type filter hook forward priority 10; policy drop; }'
            """),
        .init("iptables FORWARD drops by policy", "rules", "policy of ip filter FORWARD", "iptables -P FORWARD DROP"),
        .init(
            "the older iptables drops by policy", "rules", "the older iptables drops it at the hook forward",
            "iptables-legacy -P FORWARD DROP"),
        .init(
            "another table rejects", "rules", "refuses",
            """
            nft add table ip other
            nft 'add chain ip other forward { type filter hook forward priority 10; }'
            nft add rule ip other forward ip daddr 8.8.8.8 reject
            """),
        .init(
            "a chain that is jumped to drops", "rules", "inet other guests",
            """
            nft add table inet other
            nft add chain inet other guests
            nft add rule inet other guests drop
            nft 'add chain inet other forward { type filter hook forward priority 10; }'
            nft add rule inet other forward iifname br0 jump guests
            """),
        .init(
            "raw prerouting drops", "rules", "ip raw PREROUTING",
            "iptables -t raw -A PREROUTING -s 192.168.0.2 -j DROP"),
        .init(
            "postrouting drops", "rules", "inet other out",
            """
            nft add table inet other
            nft 'add chain inet other out { type filter hook postrouting priority 0; }'
            nft add rule inet other out ip daddr 8.8.8.8 drop
            """),
        .init("host has no route", "way out", "no route to 8.8.8.8", "ip route del default", isMended: false),
        .init("host's route is unreachable", "way out", "unreachable 8.8.8.8", "ip route add unreachable 8.8.8.8"),
        .init("host's route is a blackhole", "way out", "blackhole 8.8.8.0/24", "ip route add blackhole 8.8.8.0/24"),
        .init(
            "host's route is a blackhole, and the bridge's rp_filter strict", "way out", "blackhole 8.8.8.0/24",
            "echo 1 > /proc/sys/net/ipv4/conf/br0/rp_filter; ip route add blackhole 8.8.8.0/24"),
        .init(
            "host's gateway is silent", "way out", "203.0.113.99", "ip route replace default via 203.0.113.99",
            isMended: false),
        .init("uplink without carrier", "way out", "no carrier", "w ip link set eth0 down", isMended: false),
        .init("no masquerade", "translation", "192.168.0.2 leaves the host as it is", "nft delete table inet lab"),
    ]

    static let answer: [DoctorFault] = [
        .init("port closed", "answer", "refuses 81/tcp", "true", isMended: false, to: "--to 8.8.8.8 --port 81"),
        .init("UDP port closed", "answer", "refuses 81/udp", "true", isMended: false, to: "--to 8.8.8.8 --port 81/udp"),
        .init(
            "the world drops in silence", "answer", "nothing came back",
            """
            w nft add table inet far
            w nft 'add chain inet far input { type filter hook input priority 0; policy drop; }'
            """, isMended: false),
        .init(
            "the world has no way to the destination", "answer", "203.0.113.1 answers that",
            "w ip route add unreachable 9.9.9.9; w sysctl -qw net.ipv4.ip_forward=1",
            isMended: false, to: "--to 9.9.9.9 --port 443"),
        .init(
            "the answer is dropped at forward", "way back", "inet other forward",
            """
            nft add table inet other
            nft 'add chain inet other forward { type filter hook forward priority 10; }'
            nft add rule inet other forward iifname up0 oifname br0 drop
            """),
        .init(
            "the endpoint's own input drops", "way back", "inet own input",
            """
            n nft add table inet own
            n nft 'add chain inet own input { type filter hook input priority 0; }'
            n nft add rule inet own input ip saddr 8.8.8.8 drop
            """),
        .init(
            "answers by another interface and a strict rp_filter", "way back", "rp_filter",
            """
            ip link add up1 type veth peer name eth1 netns $W
            ip link set up1 up
            echo 1 > /proc/sys/net/ipv4/conf/up1/rp_filter
            w ip link set eth1 up
            w ip route add 203.0.113.2/32 dev eth1
            mac=$(ip -o link show dev up1 | grep -o 'link/ether [0-9a-f:]*' | cut -d' ' -f2)
            w ip neighbour replace 203.0.113.2 lladdr $mac dev eth1 nud permanent
            """),
        .init(
            "wrong hardware address of the endpoint", "way back", "02:00:00:00:00:99",
            "ip neighbour replace 192.168.0.2 lladdr 02:00:00:00:00:99 dev br0 nud permanent"),
        .init(
            "the host's route to the endpoint leads elsewhere", "way back", "left the host by up0",
            """
            ip route add 192.168.0.2/32 dev up0
            mac=$(ip -o link show dev br0 | grep -o 'link/ether [0-9a-f:]*' | cut -d' ' -f2)
            n ip neighbour replace 192.168.0.1 lladdr $mac dev eth0 nud permanent
            """),
        .init("full packets vanish", "size", "more than 1404 bytes", "w ip link set eth0 mtu 1400"),
    ]

    static let ipv6: [DoctorFault] = [
        .init("IPv6: no address", "address", "no IPv6 address", "n ip -6 address flush dev eth0", to: six),
        .init("IPv6: no route", "route", "no route to 2001:4860:4860::8888", "n ip -6 route del default", to: six),
        .init(
            "IPv6: gateway that nobody has", "neighbour", "fd00::99", "n ip -6 route replace default via fd00::99",
            to: six),
        .init(
            "IPv6: solicitations dropped by a rule", "neighbour", "inet other input",
            """
            nft add table inet other
            nft 'add chain inet other input { type filter hook input priority 0; }'
            nft add rule inet other input iifname br0 icmpv6 type nd-neighbor-solicit drop
            n ip -6 neighbour flush dev eth0
            """, to: six),
        .init(
            "IPv6: forwarding off", "forwarding", "does not forward IPv6",
            "echo 0 > /proc/sys/net/ipv6/conf/all/forwarding; ip -6 route replace default via 2001:db8:113::1", to: six),
        .init(
            "IPv6: ip6tables FORWARD drops by policy", "rules", "policy of ip6 filter FORWARD",
            "ip6tables -P FORWARD DROP", to: six),
        .init(
            "IPv6: host's route is unreachable", "way out", "unreachable 2001:4860::/32",
            "ip -6 route add unreachable 2001:4860::/32", to: six),
        .init("IPv6: no masquerade", "translation", "fd00::2 leaves", "nft delete table inet lab", to: six),
        .init(
            "IPv6: the answer is dropped", "way back", "inet other forward",
            """
            nft add table inet other
            nft 'add chain inet other forward { type filter hook forward priority 10; }'
            nft add rule inet other forward iifname up0 oifname br0 drop
            """, to: six),
        .init("IPv6: full packets vanish", "size", "more than 1304 bytes", "w ip link set eth0 mtu 1300", to: six),
    ]
}
