// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Testing

/// The doctor in a lab made by hand: healthy, and broken in every way that people break it.
@Suite("the doctor", .serialized, .requiresRoot)
struct DoctorTests {
    @Test(
        "a healthy way has no finding, in less than a second",
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
        let (report, exitCode, duration) = try lab.examine(arguments.split(separator: " ").map(String.init))
        #expect(report.finding == nil, "\(report)")
        #expect(report.healthy && exitCode == 0 && report.steps.count == 14)
        #expect(report.steps.allSatisfy { $0.state == "good" || $0.state == "not-needed" }, "\(report.steps)")
        #expect(duration < .seconds(1))
        #expect(try lab.onHost("nft list tables; n nft list tables").standardOutput == "table inet lab\n")
    }

    @Test("a fault of the endpoint's link, address, route or neighbour", arguments: DoctorFault.ownNetwork)
    func ownNetwork(_ fault: DoctorFault) throws { try check(fault) }

    @Test("a fault of the host", arguments: DoctorFault.host)
    func host(_ fault: DoctorFault) throws { try check(fault) }

    @Test("a fault of the answer", arguments: DoctorFault.answer)
    func answer(_ fault: DoctorFault) throws { try check(fault) }

    @Test("a fault of IPv6", arguments: DoctorFault.ipv6)
    func ipv6(_ fault: DoctorFault) throws { try check(fault) }

    /// The finding is the expected one, and its commands, run as they stand, mend it.
    private func check(_ fault: DoctorFault) throws {
        let lab = try DoctorLab()
        let broken = try lab.onHost(fault.script)
        try #require(broken.succeeded, "\(broken.standardError)")
        var (report, exitCode, _) = try lab.examine(fault.arguments)
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
