// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Testing

/// The doctor in a lab made by hand: healthy, and broken in every way that people break it.
@Suite("the doctor", .serialized, .requiresRoot)
struct DoctorTests {
    @Test(
        "a healthy way has no finding",
        arguments: [
            "", "--to 203.0.113.1", "--to 192.168.0.1", "--to 8.8.8.8 --port 80", "--to 203.0.113.1 --port 53/udp",
            "--to 2001:4860:4860::8888", "--to 2001:4860:4860::8888 --port 80", "--to fd00::1", "--to 127.0.0.1",
        ])
    func healthy(_ arguments: String) throws {
        let lab = try DoctorLab()
        let server = try RunningProgram(["ip", "netns", "exec", lab.world, "python3", "-c", DoctorTests.servers])
        defer {
            server.send(signal: 9)
            _ = server.wait()
        }
        try lab.onHost("for i in {1..100}; do w ss -Hltun | grep -q :53 && break; sleep 0.05; done")
        let words = arguments.split(separator: " ").map(String.init)
        let (report, exitCode) = try lab.examine(words)
        #expect(report.finding == nil, "\(report)")
        #expect(report.healthy && exitCode == 0 && report.steps.count == 14)
        #expect(report.steps.allSatisfy { $0.state == "good" || $0.state == "not-needed" }, "\(report.steps)")
        #expect(try lab.onHost("nft list tables; n nft list tables").standardOutput == "table inet lab\n")
    }

    @Test("a fault of the endpoint's link, address, route or neighbour", arguments: DoctorFault.ownNetwork)
    func ownNetwork(_ fault: DoctorFault) throws { try check(fault) }

    @Test("a fault between endpoints of one bridge", arguments: DoctorFault.sameBridge)
    func sameBridge(_ fault: DoctorFault) throws { try check(fault) }

    @Test("a fault of the host", arguments: DoctorFault.host)
    func host(_ fault: DoctorFault) throws { try check(fault) }

    @Test("a fault of the answer", arguments: DoctorFault.answer)
    func answer(_ fault: DoctorFault) throws { try check(fault) }

    @Test("a fault of IPv6", arguments: DoctorFault.ipv6)
    func ipv6(_ fault: DoctorFault) throws { try check(fault) }

    @Test("--fix runs Egret's own command, and leaves what is others'")
    func fix() throws {
        let lab = try DoctorLab()
        try lab.onHost("nft delete table inet lab")
        let mended = try lab.examine(["--fix"])
        #expect(mended.exitCode == 0 && mended.report.healthy, "\(mended.report)")
        let command = "egret network create br0 --adopt --subnet 192.168.0.0/16 --subnet fd00::/64"
        #expect(mended.report.repairs == [command])
        try lab.onHost("iptables -P FORWARD DROP")
        let (report, exitCode) = try lab.examine(["--fix"])
        #expect(exitCode == 1 && report.repairs == [] && report.finding?.step == "rules")
        #expect(try lab.onHost("iptables -S FORWARD").standardOutput == "-P FORWARD DROP\n")
    }

    @Test("an endpoint is named by a process or a path as well, and its commands enter it so")
    func names() throws {
        let lab = try DoctorLab()
        try lab.onHost("n ip route del default")
        let path = "/run/netns/\(lab.endpoint)"
        let output = try lab.onHost("egret doctor \(path) || true").standardOutput
        let command = "nsenter --net=\(path) ip route add default via 192.168.0.1 dev eth0"
        #expect(output.contains("✗ route") && output.hasSuffix("\n  \(command)\n"), "\(output)")
        #expect(!output.contains("\u{1b}"))
        let script = "\(command); n sleep 20 & sleep 0.3; egret doctor pid:$(pgrep -P $! sleep || echo $!)"
        let mended = try lab.onHost(script + "; status=$?; kill $!; exit $status")
        #expect(mended.status == 0 && mended.standardOutput.hasSuffix("Nothing is in the way.\n"), "\(mended)")
    }

    @Test("without an endpoint the host is looked at")
    func hostCheck() throws {
        let lab = try DoctorLab()
        let fine = try lab.onHost("egret doctor")
        #expect(fine.status == 0 && fine.standardOutput.contains("✓ nf_tables"), "\(fine)")
        try lab.onHost("iptables -P FORWARD DROP")
        let text = try lab.onHost("egret doctor || true").standardOutput
        #expect(text.contains("ip filter FORWARD, made by iptables, drops by policy"), "\(text)")
        #expect(try lab.onHost("nft list tables").standardOutput == "table inet lab\ntable ip filter\n")
        #expect(text.contains("✓ conntrack helpers"), "\(text)")
        try lab.onHost(
            """
            nft 'add table inet h; add ct helper inet h ftp { type "ftp" protocol tcp; }; add chain inet h c'
            nft add rule inet h c ct helper set ftp
            """)
        let helped = try lab.onHost("egret doctor || true").standardOutput
        #expect(helped.contains("inet h has a ct helper, ftp, in use"), "\(helped)")
        try lab.onHost("nft delete table inet h; iptables -t raw -A PREROUTING -p tcp --dport 21 -j CT --helper ftp")
        let assigned = try lab.onHost("egret doctor || true").standardOutput
        #expect(assigned.contains("ip raw PREROUTING assigns the helper ftp"), "\(assigned)")
        try lab.onHost("iptables -t raw -F; iptables -t raw -A PREROUTING -p tcp --dport 21 -j CT --notrack")
        let untracked = try lab.onHost("egret doctor || true").standardOutput
        #expect(untracked.contains("✓ conntrack helpers"), "\(untracked)")
    }

    @Test("the file of a network that is damaged is named, to people and to programs")
    func damagedNetwork() throws {
        let lab = try DoctorLab(.script("egret network create br9 --subnet 10.77.0.0/24"))
        #expect(try lab.onHost("egret doctor").standardOutput.contains("✓ kept networks"))
        try lab.onHost("cd $EGRET_STATE_DIRECTORY/networks-*; cp br9.json ../whole; echo '{' > br9.json")
        for format in ["table", "json"] {
            let output = try lab.onHost("egret doctor -o \(format)")
            #expect(output.status == 1 && output.standardOutput.contains("br9.json is damaged: "), "\(output)")
            #expect(output.standardOutput.contains("; the kernel keeps what it has; mend the file"))
        }
        try lab.onHost("cd $EGRET_STATE_DIRECTORY/networks-*; mv ../whole br9.json")
    }

    @Test(
        "what cannot be looked at ends with 2", arguments: ["nowhere", "pid:0", "ns0 --port 1-2/tcp", "--to 8.8.8.8"])
    func usage(_ arguments: String) throws {
        let lab = try DoctorLab()
        let output = try lab.onHost("egret doctor \(arguments)")
        #expect(output.status == 2 && output.standardOutput == "" && output.standardError.hasPrefix("egret: "))
    }

    /// The finding is the expected one, and its commands, run as they stand, mend it.
    private func check(_ fault: DoctorFault) throws {
        let lab = try DoctorLab()
        let broken = try lab.onHost(fault.script)
        try #require(broken.succeeded, "\(broken.standardError)")
        var (report, exitCode) = try lab.examine(fault.arguments)
        let finding = try #require(report.finding, "\(report)")
        #expect(exitCode == 1 && !report.healthy)
        #expect(finding.step == fault.step, "\(report)")
        #expect(finding.seen.contains(fault.words), "\(finding)")
        guard fault.isMended else { return }
        // Setting an interface down takes its routes with it: what is mended first may uncover what is next.
        for _ in 0..<3 {
            guard let finding = report.finding else { break }
            try #require(!finding.commands.isEmpty, "\(finding)")
            let mended = try lab.onHost(finding.commands.joined(separator: "\n"))
            #expect(mended.succeeded, "\(finding.commands): \(mended.standardError)")
            report = try lab.examine(fault.arguments).report
        }
        #expect(report.finding == nil, "\(report)")
    }

    /// Answers on 80/tcp and 53/udp, in both families.
    private static let servers = """
        import socket, threading
        server = socket.socket(socket.AF_INET6); server.bind(("::", 80)); server.listen()
        names = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); names.bind(("::", 53))
        kept = []
        def accept():
            while True: kept.append(server.accept())
        threading.Thread(target=accept).start()
        while True:
            question, peer = names.recvfrom(512)
            names.sendto(question, peer)
        """
}
