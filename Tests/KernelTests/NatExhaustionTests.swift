// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretNftables
import EgretTesting
import Testing

/// Where translation meets its limits.
@Suite(.serialized, .requiresRoot)
struct NatExhaustionTests {
    /// A network whose pool is one address with 8 ports, and beside it what the world sees of it.
    ///
    /// By chance, of several targets each connection gets one as of a pool for connections.
    private func exhausted(_ targets: [TranslationTarget], byChance: Bool = false) throws -> (NatBench, Transaction) {
        let bench = try NatBench()
        try bench.shell("ip address add 203.0.113.10/32 dev up0; ip address add 203.0.113.11/32 dev up0")
        try bench.install([try bench.plan()])
        var transaction = Transaction()
        transaction.append(.flushChain("br0-out"), in: NetworkProgram.table)
        for (index, target) in targets.enumerated() {
            let left = UInt32(targets.count - index)
            let chance: [Statement] = byChance && left > 1 ? [.equal(.randomNumber(below: left), 0)] : []
            let rule = Rule(in: "br0-out", [.equal(.networkProtocol, 2)] + chance + [.sourceTranslation(target)])
            transaction.append(.addRule(rule), in: NetworkProgram.table)
        }
        return (bench, transaction)
    }

    /// Opens connections that stay open, from one client or from as many as there are connections, to one server, and
    /// counts those that were answered.
    private func connect(_ count: Int, _ bench: NatBench, port: Int, clients: Bool = false) throws -> Int {
        if clients {
            try bench.shell("for i in $(seq 0 \(count - 1)); do ip address add 192.168.1.$i/16 dev eth0; done", in: .a)
        }
        let script = """
            import socket
            kept, answered = [], 0
            for number in range(\(count)):
                client = socket.socket()
                client.settimeout(1)
                kept.append(client)
                if \(clients ? "True" : "False"): client.bind((f"192.168.1.{number}", 0))
                try:
                    client.connect(("203.0.113.1", \(port)))
                    answered += len(client.recv(100)) > 0
                except OSError:
                    pass
            print(answered)
            """
        let text = try bench.shell("python3 - <<'END'\n\(script)\nEND", in: .a)
        return try #require(Int(text.split(separator: "\n").joined()))
    }

    @Test("when a pool has no port left, packets are dropped, and none leaves with its private address")
    func exhaustion() throws {
        let ports = try #require(PortRange(40000, 40007))
        let one = try #require(TranslationTarget(address("203.0.113.10"), address("203.0.113.10"), ports: ports))
        let (bench, transaction) = try exhausted([one])
        try bench.dataplane.commit(transaction)
        try bench.serve("tcp:80", "tcp:81", in: .outside)
        try bench.shell(
            """
            nft add table ip seen
            nft 'add chain ip seen in { type filter hook prerouting priority -400; }'
            nft add counter ip seen private; nft add counter ip seen pool
            nft add rule ip seen in ip saddr 192.168.0.0/16 counter name private
            nft add rule ip seen in ip saddr 203.0.113.10 counter name pool
            """, in: .outside)
        #expect(try connect(12, bench, port: 80) == 8)
        // The ports are taken towards one server only.
        #expect(try connect(3, bench, port: 81) == 3)
        let seen = try bench.shell("nft list counters table ip seen", in: .outside)
        #expect(seen.contains("counter private {\n\t\tpackets 0 bytes 0"), "\(seen)")
        #expect(!seen.contains("counter pool {\n\t\tpackets 0 "), "\(seen)")
    }

    // The kernel chooses the address by the client's: a pool spreads clients over its addresses, and each has the ports
    // of one, whether the rule is persistent, as those of networks and routes are by default, or not.
    @Test("a second address in the pool does nothing for one client that keeps to one")
    func oneClient() throws {
        let ports = try #require(PortRange(40000, 40007))
        let two = try #require(
            TranslationTarget(address("203.0.113.10"), address("203.0.113.11"), ports: ports, isPersistent: true))
        let (bench, transaction) = try exhausted([two])
        try bench.dataplane.commit(transaction)
        try bench.serve("tcp:80", in: .outside)
        #expect(try connect(16, bench, port: 80) == 8)
    }

    // That all sixteen get the same one happens once in 32,768 times.
    @Test("a second address in the pool helps one client whose connections are spread over it")
    func oneClientSpread() throws {
        let ports = try #require(PortRange(40000, 40007))
        let targets = try ["203.0.113.10", "203.0.113.11"].map { text in
            try #require(TranslationTarget(address(text), address(text), ports: ports))
        }
        let (bench, transaction) = try exhausted(targets, byChance: true)
        try bench.dataplane.commit(transaction)
        try bench.serve("tcp:80", in: .outside)
        #expect(try connect(16, bench, port: 80) > 8)
    }

    @Test("a second address in the pool helps when there are several clients")
    func pool() throws {
        let ports = try #require(PortRange(40000, 40007))
        let two = try #require(TranslationTarget(address("203.0.113.10"), address("203.0.113.11"), ports: ports))
        let (bench, transaction) = try exhausted([two])
        try bench.dataplane.commit(transaction)
        try bench.serve("tcp:80", in: .outside)
        #expect(try connect(16, bench, port: 80, clients: true) > 8)
    }

    @Test("errors about translated packets come back to who sent them, with the addresses that it knows")
    func errors() throws {
        let bench = try NatBench()
        try bench.install([try bench.plan()])
        // Nobody listens: ICMP port unreachable. The connected socket learns of it.
        let refused = """
            import socket
            for family, address in ((socket.AF_INET, "203.0.113.1"), (socket.AF_INET6, "2001:db8:113::1")):
                client = socket.socket(family, socket.SOCK_DGRAM)
                client.settimeout(1)
                client.connect((address, 9))
                client.send(b"?")
                try:
                    client.recv(100)
                except ConnectionRefusedError:
                    print("refused")
                except OSError as error:
                    print(error)
            """
        #expect(try bench.shell("python3 - <<'END'\n\(refused)\nEND", in: .a) == "refused\nrefused\n")
        // A way out with a small MTU: fragmentation needed, and packet too big.
        try bench.shell("ip link set up0 mtu 1280")
        let sizes = try bench.shell(
            """
            ping -c 2 -W 1 -M do -s 1400 203.0.113.1 2>&1 || true
            ip route get 203.0.113.1
            """, in: .a)
        #expect(sizes.contains("mtu 1280") || sizes.contains("mtu = 1280"), "\(sizes)")
    }

    @Test("errors about a published port's packets come back to the client")
    func publishedErrors() throws {
        let bench = try NatBench()
        let port = try bench.port("nobody", .udp, 5000...5000, to: "192.168.0.2", 9...9)
        try bench.install([try bench.plan()], [port])
        let refused = """
            import socket
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            client.settimeout(1)
            client.connect(("203.0.113.2", 5000))
            client.send(b"?")
            try:
                client.recv(100)
            except ConnectionRefusedError:
                print("refused")
            """
        #expect(try bench.shell("python3 - <<'END'\n\(refused)\nEND", in: .outside) == "refused\n")
    }
}
