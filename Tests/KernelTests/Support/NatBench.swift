// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretNetlink
import EgretNftables
import EgretTesting
import Testing

/// A host with two networks behind it and the world before it, with real sockets everywhere.
///
/// ```
///  a 192.168.0.2 ─┐
///                 br0 192.168.0.1/16 ── host ── up0 203.0.113.2 ──── 203.0.113.1 outside
///  b 192.168.0.3 ─┘        br1 10.9.0.1/24 ── c 10.9.0.2
/// ```
///
/// IPv6 has fd00::, fd09:: and 2001:db8:113:: with the same last numbers. The world knows a way to the networks' own
/// addresses through the host, so that nothing but rules keeps it out. The namespaces have no names and end with the
/// bench.
final class NatBench {
    /// Everything but the world, by the letter in the picture.
    enum Place: String, CaseIterable {
        case host, outside, a, b, c
    }

    let dataplane: Dataplane
    private let namespaces: [Place: Namespace]
    private var servers: [RunningProgram] = []

    /// Builds a bench.
    ///
    /// - Parameter callsFromBridges: Whether bridged packets pass the IP hooks too (`bridge-nf-call-iptables`), where
    ///   the kernel has that switch.
    /// - Throws: An error that names the step.
    init(callsFromBridges: Bool = true) throws {
        let namespaces = try Dictionary(
            uniqueKeysWithValues: Place.allCases.map { ($0, try KernelBench.newNamespace()) })
        self.namespaces = namespaces
        let host = try #require(namespaces[.host])
        dataplane = Dataplane(try host.onOwnThread { try NetlinkConnection.netfilter() })
        try shell(
            """
            for f in ipv4/ip_forward ipv6/conf/all/forwarding; do echo 1 > /proc/sys/net/$f; done
            for f in /proc/sys/net/bridge/bridge-nf-call-ip*tables; do
                [ ! -e $f ] || echo \(callsFromBridges ? 1 : 0) > $f
            done
            for f in all default; do echo 0 > /proc/sys/net/ipv4/conf/$f/rp_filter; done
            ip link set lo up
            ip link add up0 type veth peer name eth0 netns \(path(.outside))
            ip address add 203.0.113.2/24 dev up0
            ip address add 2001:db8:113::2/64 dev up0 nodad
            ip link set up0 up
            """)
        try addBridge("br0", "192.168.0.1/16", "fd00::1/64", [.a, .b])
        try addBridge("br1", "10.9.0.1/24", "fd09::1/64", [.c])
        try addAddresses(.outside, "203.0.113.1/24", "2001:db8:113::1/64", "203.0.113.2", "2001:db8:113::2")
        try addAddresses(.a, "192.168.0.2/16", "fd00::2/64", "192.168.0.1", "fd00::1")
        try addAddresses(.b, "192.168.0.3/16", "fd00::3/64", "192.168.0.1", "fd00::1")
        try addAddresses(.c, "10.9.0.2/24", "fd09::2/64", "10.9.0.1", "fd09::1")
        for place in [Place.a, .b, .c] {
            try shell(
                """
                for address in 203.0.113.1 2001:db8:113::1; do
                    for i in 1 2 3 4 5 6 7 8 9 10; do ping -c 1 -W 0.5 $address > /dev/null && break; done
                done
                """, in: place)
        }
    }

    deinit {
        for server in servers {
            server.send(signal: 9)
            _ = server.wait()
        }
    }

    private func path(_ place: Place) -> String {
        "/proc/\(CurrentProcess.identifier)/fd/\(namespaces[place]?.descriptor.number ?? -1)"
    }

    private func addBridge(_ name: String, _ ipv4: String, _ ipv6: String, _ ports: [Place]) throws {
        var script = """
            ip link add \(name) type bridge forward_delay 0
            ip address add \(ipv4) dev \(name)
            ip address add \(ipv6) dev \(name) nodad
            echo 1 > /proc/sys/net/ipv4/conf/\(name)/route_localnet
            ip link set \(name) up

            """
        for port in ports {
            script += """
                ip link add to-\(port) type veth peer name eth0 netns \(path(port))
                ip link set to-\(port) master \(name) up
                ip link set to-\(port) type bridge_slave hairpin on

                """
        }
        try shell(script)
    }

    private func addAddresses(_ place: Place, _ ipv4: String, _ ipv6: String, _ gateways: String...) throws {
        try shell(
            """
            ip link set lo up
            ip address add \(ipv4) dev eth0
            ip address add \(ipv6) dev eth0 nodad
            ip link set eth0 up
            """, in: place)
        for gateway in gateways { try shell("ip route add default via \(gateway)", in: place) }
    }

    /// Runs a script in a namespace and gives what it printed; a script that fails is a failure of the test.
    @discardableResult
    func shell(_ script: String, in place: Place = .host) throws -> String {
        let output = try namespaces[place]?.onOwnThread { try runProgram(["/bin/sh", "-ec", script]) }
        let result = try #require(output)
        try #require(result.succeeded, "\(place): \(script): \(result.standardError)")
        return result.standardOutput
    }

    /// The index of one of the host's interfaces.
    func index(of name: String) throws -> UInt32 {
        let words = try shell("ip -o link show dev \(name)").split(separator: ":")
        return try #require(words.first.flatMap { UInt32($0) })
    }

    /// Starts a server that answers every client with its place's letter and the client's address and port.
    ///
    /// - Parameters:
    ///   - services: `tcp:80`, `udp:53`, `sctp:7`.
    ///   - place: Where.
    /// - Throws: An error if they cannot be started.
    func serve(_ services: String..., in place: Place) throws {
        let arguments = ["python3", "-c", NatBench.program, "serve", place.rawValue] + services
        let server = try namespaces[place]?.onOwnThread { try RunningProgram(arguments) }
        let running = try #require(server)
        servers.append(running)
        var poll = Poll()
        for _ in 0..<500 where !running.outputSoFar.contains("ready") { _ = try poll.wait(timeout: .milliseconds(10)) }
        #expect(running.outputSoFar.contains("ready"), "\(services) in \(place)")
    }

    /// Asks a server.
    ///
    /// - Parameters:
    ///   - transport: `tcp`, `udp` or `sctp`.
    ///   - address: The address asked.
    ///   - port: The port asked.
    ///   - place: Who asks.
    ///   - source: The client's port; 0 for any.
    /// - Returns: The server's place, and the client's address and port as it sees them. `none` if nobody answers.
    /// - Throws: An error if the client cannot be started.
    func ask(_ transport: String, _ address: String, _ port: Int, from place: Place, source: Int = 0) throws -> String {
        let arguments = ["ask", transport, address, String(port), String(source)]
        let output = try namespaces[place]?.onOwnThread {
            try runProgram(["python3", "-c", NatBench.program] + arguments)
        }
        return try #require(output).standardOutput.split(separator: "\n").joined()
    }

    /// Who answered, and from which address the question seemed to come.
    func answer(_ transport: String, _ address: String, _ port: Int, from place: Place) throws -> String {
        try ask(transport, address, port, from: place).split(separator: " ").prefix(2).joined(separator: " ")
    }

    /// The servers and the clients of the bench.
    private static let program = """
        import socket, sys, threading
        PROTOCOLS = {"tcp": (socket.SOCK_STREAM, 6), "udp": (socket.SOCK_DGRAM, 17), "sctp": (socket.SOCK_STREAM, 132)}
        def answer(peer):
            address = peer[0][7:] if peer[0].startswith("::ffff:") else peer[0]
            return f"{sys.argv[2]} {address} {peer[1]}".encode()
        def serve(transport, port):
            server = socket.socket(socket.AF_INET6, *PROTOCOLS[transport])
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(("::", port))
            if transport != "udp": server.listen(64)
            def loop():
                while True:
                    if transport == "udp":
                        _, peer = server.recvfrom(2048)
                        server.sendto(answer(peer), peer)
                    else:
                        client, peer = server.accept()
                        client.sendall(answer(peer))
                        kept.append(client)
            kept = []
            threading.Thread(target=loop).start()
        if sys.argv[1] == "serve":
            for service in sys.argv[3:]:
                transport, port = service.split(":")
                serve(transport, int(port))
            print("ready", flush=True)
        else:
            transport, address, port, source = sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            client = socket.socket(family, *PROTOCOLS[transport])
            client.settimeout(1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                client.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", source))
                client.connect((address, port))
                if transport == "udp": client.send(b"?")
                print(client.recv(2048).decode())
            except OSError as error:
                print("none")
        """
}

extension NatBench {
    /// Installs networks and published ports as a network's commands do.
    func install(_ plans: [NetworkPlan], _ ports: [PublishedPort] = []) throws {
        let programs = plans.map { NetworkProgram($0) }
        try dataplane.install(programs.map(\.filter), on: BaseProgram.program)
        try dataplane.install(
            programs.map(\.translation) + ports.map { PublishedPortProgram($0).program }, on: NetworkProgram.base)
    }

    /// Takes networks and published ports out again, and sees that nothing of them is left.
    func remove(_ plans: [NetworkPlan], _ ports: [PublishedPort] = []) throws {
        let programs = plans.map { NetworkProgram($0) }
        try dataplane.remove(programs.map(\.translation) + ports.map { PublishedPortProgram($0).program })
        try dataplane.remove(programs.map(\.filter))
        #expect(try dataplane.drift(of: [BaseProgram.program, NetworkProgram.base]).isEmpty)
        let chains = try shell("nft list chains").split(separator: "\n").filter { $0.contains("chain") }
        let expected = BaseProgram.program.chains.count + NetworkProgram.base.chains.count
        #expect(chains.count == expected, "\(chains)")
    }

    /// The network `br0`.
    func plan(
        translation: NetworkPlan.Translation = .masquerade,
        isIsolated: Bool = false,
        endpointSources: [EndpointSource] = []
    ) throws -> NetworkPlan {
        NetworkPlan(
            name: "br0",
            interfaces: [try index(of: "br0")],
            subnets: ["192.168.0.0/16", "fd00::/64"].compactMap { IPPrefix($0) },
            isIsolated: isIsolated,
            translation: translation,
            endpointSources: endpointSources
        )
    }

    /// The network `br1`.
    func secondPlan(translation: NetworkPlan.Translation = .masquerade) throws -> NetworkPlan {
        NetworkPlan(
            name: "br1",
            interfaces: [try index(of: "br1")],
            subnets: ["10.9.0.0/24", "fd09::/64"].compactMap { IPPrefix($0) },
            translation: translation
        )
    }

    /// A published port of the bench.
    func port(
        _ name: String,
        _ transport: PublishedPort.Transport = .tcp,
        at hostAddress: String? = nil,
        _ hostPorts: ClosedRange<UInt16>,
        to target: String,
        _ targetPorts: ClosedRange<UInt16>,
        sources: [String] = []
    ) throws -> PublishedPort {
        let host = try #require(PortRange(hostPorts.lowerBound, hostPorts.upperBound))
        let own = try #require(PortRange(targetPorts.lowerBound, targetPorts.upperBound))
        let endpoint = try #require(IPAddress(target))
        let port = PublishedPort(
            name: name,
            transport: transport,
            hostAddress: hostAddress.flatMap { IPAddress($0) },
            hostPorts: host,
            target: endpoint,
            targetPorts: own,
            sources: sources.compactMap { IPPrefix($0) }
        )
        return try #require(port)
    }
}
