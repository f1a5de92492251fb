// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux
import EgretNames
import EgretPolicy
import EgretTesting
import Synchronization
import Testing

/// A client, this host with a proxy, and servers: three network namespaces in a row.
///
/// ```
///   client 192.0.2.10 ── nmc0 192.0.2.1  host  203.0.113.1 nms0 ── servers 203.0.113.53 and others
/// ```
final class NameBench {
    static let client = "egret-names-client"
    static let servers = "egret-names-servers"
    static let clientAddresses = ["192.0.2.10", "2001:db8:c::10"].compactMap { IPAddress($0) }
    /// Knot: the authority of example.test and cdn.test.
    static let knot = "203.0.113.53"
    static let knot6 = "2001:db8:113::53"
    /// unbound: follows aliases between zones.
    static let unbound = "203.0.113.54"
    /// dnsmasq: writes down what it is asked.
    static let dnsmasq = "203.0.113.55"
    /// A server of ours that misbehaves.
    static let liar = "203.0.113.66"

    let events = EventLog()
    let proxy: NameProxy
    var checks: ConnectionProxy?
    let connectionEvents = ConnectionLog()
    private let directory: TemporaryDirectory
    /// What puts the host's forwarding back as it was.
    private let forwarding: String
    private var running: [RunningProgram] = []

    /// What the proxy reported, and what it committed.
    final class EventLog: Sendable {
        let all = Mutex<[NameEvent]>([])
        let commits = Mutex<[NameGrant]>([])
        /// What was refused, with the server that was asked.
        let refusals = Mutex<[(why: NameEvent, server: IPAddress, isStream: Bool)]>([])
        let commitsFail = Mutex(false)
        let preparationsFail = Mutex(false)

        func contains(_ matches: (NameEvent) -> Bool) -> Bool { all.withLock { $0.contains(where: matches) } }
    }

    struct CommitRefused: Error {}

    init(
        _ rules: [NameRule], limits: NameLimits = NameLimits(), denial: NameTable.Denial = .refused,
        servers: [NameServer] = [], trusted: [String] = [knot, knot6, unbound, dnsmasq, liar], setSize: Int = 4_096,
        trust: ServerTrust? = nil, pauseAfterSilence: Duration = .seconds(30),
        departure: @escaping @Sendable (IPAddress, SocketAddress, Bool) -> Departure = { _, _, _ in .main }
    ) throws {
        directory = try TemporaryDirectory()
        forwarding = try runProgram(["sysctl", "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"]).standardOutput
        NameBench.removeNamespaces()
        try NameBench.makeNamespaces()
        let registry = NameRegistry()
        let endpoint = NameEndpoint(
            id: 1, addresses: NameBench.clientAddresses, rules: rules, limits: limits, denial: denial,
            trustedServers: Swift.Set(trusted.compactMap { IPAddress($0) }), servers: servers)
        registry.set(endpoint, now: BootClock.milliseconds)
        let sets = try NameSets(table: "names") { _, rule, family in "rule\(rule)-\(family)" }
        let log = events
        proxy = try NameProxy(
            registry: registry, trust: trust, pauseAfterSilence: pauseAfterSilence,
            hooks: NameProxy.Hooks(
                commit: { lots in
                    if log.commitsFail.withLock({ $0 }) {
                        return Dictionary(uniqueKeysWithValues: lots.map { ($0.endpoint, CommitRefused()) })
                    }
                    let failures = sets.commit(lots)
                    log.commits.withLock { commits in
                        for lot in lots where failures[lot.endpoint] == nil { commits += lot.grants }
                    }
                    return failures
                },
                prepare: { _, _ in if log.preparationsFail.withLock({ $0 }) { throw CommitRefused() } },
                departure: departure,
                event: { _, event in log.all.withLock { $0.append(event) } },
                refusal: { _, event, server, isStream in
                    log.refusals.withLock { $0.append((why: event, server: server, isStream: isStream)) }
                }))
        try NameBench.loadRules(port: proxy.port, rules: rules.map(\.number), setSize: setSize)
    }

    deinit {
        proxy.stop()
        checks?.stop()
        for program in running {
            program.send(signal: 9)
            _ = program.wait()
        }
        NameBench.removeNamespaces()
        _ = try? runProgram(["sysctl", "-q", "-p", "-"], standardInput: forwarding)
    }

    /// Runs a program on the client.
    func onClient(_ arguments: [String], timeout: Duration = .seconds(30)) throws -> ProgramOutput {
        try runProgram(["ip", "netns", "exec", NameBench.client] + arguments, timeout: timeout)
    }

    /// Runs a program in a namespace and returns what it printed.
    func runInNamespace(_ name: String, _ arguments: [String]) throws -> String {
        try runProgram(["ip", "netns", "exec", name] + arguments).standardOutput
    }

    /// Asks with dig, once, and returns what it printed.
    func dig(_ server: String, _ arguments: String...) throws -> String {
        try onClient(["dig", "@" + server, "+tries=1", "+time=8"] + arguments).standardOutput
    }

    /// The answers alone, sorted.
    func short(_ server: String, _ arguments: String...) throws -> [String] {
        let output = try onClient(["dig", "@" + server, "+tries=1", "+time=8", "+short"] + arguments)
        return output.standardOutput.split(separator: "\n").map(String.init).sorted()
    }

    /// Asks 200 questions from the client's first address, one after the other.
    ///
    /// - Returns: How many were answered, what became of the others, and the median and the longest time in milliseconds.
    func timeQuestions() throws -> [Substring] {
        let program = try file(
            "ask.py",
            """
            import socket, struct, time
            times, bad = [], []
            for i in range(200):
                u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(2); u.bind(("192.0.2.10", 0))
                t = time.time()
                u.sendto(struct.pack(">HHHHHH", i, 0x100, 1, 0, 0, 0) + b"\\3www\\7example\\4test\\0\\0\\1\\0\\1",
                    ("\(NameBench.knot)", 53))
                try:
                    a = u.recv(2048)
                    if a[7] == 2: times.append(time.time() - t)
                    else: bad.append(a[3] & 15)
                except OSError: bad.append("late")
                time.sleep(0.01)
            times.sort()
            print(len(times), bad, "%.1f" % (times[len(times) // 2] * 1000), "%.1f" % (times[-1] * 1000))
            """)
        return try onClient(["python3", program], timeout: .seconds(60)).standardOutput.split(separator: " ")
    }

    /// The elements of a rule's set in the kernel.
    func elements(_ rule: Int, _ family: AddressFamily) throws -> String {
        try runProgram(["nft", "list", "set", "inet", "names", "rule\(rule)-\(family)"]).standardOutput
    }

    /// Starts a program among the servers, and waits until it says something on a line.
    func startServer(_ arguments: [String], ready: String) throws {
        let program = try RunningProgram(
            ["ip", "netns", "exec", NameBench.servers, "sh", "-c", "exec \"$@\" 2>&1", "sh"] + arguments)
        running.append(program)
        for _ in 0..<2_000 {
            if program.outputSoFar.contains(ready) { return }
            _ = try runProgram(["sleep", "0.005"])
        }
        throw LabError("starting \(arguments[0])", reason: program.outputSoFar)
    }

    /// Ends the server that was started last.
    func stopLastServer() {
        guard let program = running.popLast() else { return }
        program.send(signal: 9)
        _ = program.wait()
    }

    /// What the server started last has printed.
    var serverOutput: String { running.last?.outputSoFar ?? "" }

    /// A file of the bench.
    func file(_ name: String, _ text: String) throws -> String {
        let path = "\(directory.path)/\(name)"
        try File.write(path, Array(text.utf8))
        return path
    }

    var path: String { directory.path }

    private static func makeNamespaces() throws {
        let steps = """
            ip netns add \(client)
            ip netns add \(servers)
            ip link add nmc0 type veth peer name eth0 netns \(client)
            ip link add nms0 type veth peer name eth0 netns \(servers)
            ip addr add 192.0.2.1/24 dev nmc0
            ip addr add 2001:db8:c::1/64 dev nmc0 nodad
            ip addr add 203.0.113.1/24 dev nms0
            ip addr add 2001:db8:113::1/64 dev nms0 nodad
            ip link set nmc0 up
            ip link set nms0 up
            sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
            ip -n \(client) addr add 192.0.2.10/24 dev eth0
            ip -n \(client) addr add 192.0.2.11/24 dev eth0
            ip -n \(client) addr add 2001:db8:c::10/64 dev eth0 nodad
            ip -n \(client) link set lo up
            ip -n \(client) link set eth0 up
            ip -n \(client) route add default via 192.0.2.1
            ip -n \(client) route add default via 2001:db8:c::1
            ip -n \(servers) link set lo up
            for host in 10 11 12 53 54 55 66; do ip -n \(servers) addr add 203.0.113.$host/24 dev eth0; done
            ip -n \(servers) addr add 2001:db8:113::53/64 dev eth0 nodad
            ip -n \(servers) addr add 2001:db8:113::10/64 dev eth0 nodad
            ip -n \(servers) link set eth0 up
            ip -n \(servers) route add default via 203.0.113.1
            ip -n \(servers) route add local 198.51.100.0/24 dev lo
            ip -n \(servers) -6 route add local 2001:db8:51::/64 dev lo
            ip route add 198.51.100.0/24 via 203.0.113.53
            ip -6 route add 2001:db8:51::/64 via 2001:db8:113::53
            ip -n \(servers) route add default via 2001:db8:113::1
            """
        let output = try runProgram(["sh", "-ec", steps])
        guard output.succeeded else { throw LabError("making namespaces", reason: output.standardError) }
    }

    static func removeNamespaces() {
        for name in [client, servers] {
            _ = try? runProgram([
                "sh", "-c", "ip netns pids \(name) 2>/dev/null | xargs -r kill -9; ip netns del \(name)",
            ])
        }
        // The kernel would lead what it knows to the proxy of before.
        let known = ["192.0.2.10", "192.0.2.11"].map { "conntrack -D -s \($0)" } + ["conntrack -D -s 2001:db8:c::10"]
        let steps = ["ip link del nmc0; ip link del nms0; nft delete table inet names"] + known
        _ = try? runProgram(["sh", "-c", steps.joined(separator: ";")])
    }

    /// What an endpoint's traffic to port 53 meets, and what opens by names.
    private static func loadRules(port: UInt16, rules: [Int], setSize: Int) throws {
        let sets = rules.flatMap { rule in
            [
                "set rule\(rule)-ipv4 { type ipv4_addr; flags timeout; size \(setSize); }",
                "set rule\(rule)-ipv6 { type ipv6_addr; flags timeout; size \(setSize); }",
            ]
        }
        let lookups = rules.map { "ip daddr @rule\($0)-ipv4 accept; ip6 daddr @rule\($0)-ipv6 accept;" }
        let text = """
            table inet names {
                \(sets.joined(separator: "\n"))
                chain prerouting {
                    type nat hook prerouting priority dstnat - 10;
                    iifname nmc0 meta nfproto ipv4 meta l4proto { tcp, udp } th dport 53 dnat ip to 192.0.2.1:\(port)
                    iifname nmc0 meta nfproto ipv6 meta l4proto { tcp, udp } th dport 53 \
            dnat ip6 to [2001:db8:c::1]:\(port)
                }
                chain forward {
                    type filter hook forward priority filter;
                    iifname != nmc0 accept
                    \(lookups.joined(separator: " "))
                    counter reject
                }
            }
            """
        let output = try runProgram(["nft", "-f", "-"], standardInput: text)
        guard output.succeeded else { throw LabError("loading rules", reason: output.standardError) }
    }
}

extension NameRule {
    /// A rule of patterns that are known to be sound.
    static func allow(_ number: Int, _ patterns: String...) throws -> NameRule {
        NameRule(number: number, patterns: try patterns.map { try DomainPattern.parse($0) })
    }
}
