// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretTesting
import Testing

/// The test bed itself: what other tests rely on without saying so.
@Suite("the small internet", .serialized, .requiresRoot)
struct TestInternetTests {
    @Test("every web server proves its name with the lab's certificate, over IPv4 and IPv6")
    func webServers() throws {
        try withInternet("itweb") { internet in
            for host in [LabHost.web1, .web2, .friend] {
                for family in ["-4", "-6"] {
                    let name = try #require(host.domainNames.first)
                    for url in ["https://\(name)/", "https://\(name):8443/", "http://\(name)/", "http://\(name):8080/"]
                    {
                        let output = try internet.run(in: .home, ["curl", family, "-sS", "-m", "5", url])
                        #expect(output.standardOutput.hasPrefix("hello from \(host.name) to "), "\(url) \(output)")
                    }
                }
            }
            let bare = try internet.run(
                in: .home, ["curl", "-sS", "-m", "5", "https://[2001:db8:113::10]/bytes/70000"])
            #expect(bare.standardOutput.utf8.count == 70000)
            let wrong = try internet.run(
                in: .home,
                ["curl", "-m", "5", "--resolve", "other.test:443:203.0.113.10"]
                    + ["https://other.test/"])
            #expect(wrong.status == 60, "a certificate for another name must not pass: \(wrong)")
        }
    }

    @Test("the resolver knows every host and refuses the rest of the world")
    func resolver() throws {
        try withInternet("itdns") { internet in
            for host in LabHost.all {
                for name in host.domainNames {
                    let a = try internet.run(in: .home, ["dig", "+short", "A", name])
                    let aaaa = try internet.run(
                        in: .home, ["dig", "+short", "+tcp", "@2001:db8:113::53", "AAAA", name])
                    #expect(a.standardOutput == "\(host.ipv4)\n")
                    #expect(aaaa.standardOutput == "\(host.ipv6)\n")
                }
            }
            let unknown = try internet.run(in: .home, ["dig", "nowhere.example.test"])
            #expect(unknown.standardOutput.contains("status: NXDOMAIN"))
            let foreign = try internet.run(in: .home, ["dig", "www.example.org"])
            #expect(foreign.standardOutput.contains("status: REFUSED"))
            #expect(internet.log(of: .dns).contains("query[A] www.example.test from 192.0.2.2"))
        }
    }

    @Test("echo, push and sink servers do what their names say, and write down who spoke to them")
    func smallServers() throws {
        try withInternet("itecho") { internet in
            #expect(internet.log(of: .attacker).isEmpty)
            for host in [LabHost.web1, .web2, .friend, .attacker] {
                for address in host.addresses {
                    let tcp = try say("tcp \(address)", to: address, 7, in: internet)
                    #expect(tcp == "tcp \(address)")
                    let udp = try say("udp \(address)", to: address, 9999, ["-u", "-W", "1"], in: internet)
                    #expect(udp == "udp \(address)")
                }
            }
            for address in LabHost.attacker.addresses {
                #expect(try say("five!", to: address, 4444, in: internet) == "attacker: 5 bytes\n")
                #expect(try say("six...", to: address, 53, ["-u", "-W", "1"], in: internet) == "attacker: 6 bytes\n")
            }
            let log = internet.log(of: .attacker)
            #expect(log.contains("tcp 4444 from 192.0.2.2 5 bytes b'five!'"))
            #expect(log.contains("udp 53 from 2001:db8:ffff::2 6 bytes b'six...'"))

            let listener = try internet.start(in: .home, ["nc", "-d", "198.51.100.20", "9001"])
            let stopped = listener.wait(timeout: .seconds(2))
            #expect(stopped.timedOut)
            #expect((4...41).contains(stopped.standardOutput.split(separator: "\n").count), "\(stopped)")
        }
    }

    @Test("home has one uplink, routes in both families, and does not forward")
    func homeIsAnOrdinaryMachine() throws {
        try withInternet("ithome") { internet in
            let output = try internet.run(
                in: .home, ["sysctl", "-n", "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"])
            #expect(output.standardOutput == "0\n0\n")
            for family in ["-4", "-6"] {
                let routes = try internet.run(in: .home, ["ip", family, "route", "show", "default"])
                #expect(routes.standardOutput.contains("dev eth0"))
            }
            #expect(try internet.run(in: .home, ["nft", "list", "ruleset"]).standardOutput.isEmpty)
            #expect(try internet.run(in: .home, ["ls", "/run"]).standardOutput == "lock\n")
            #expect(
                try internet.run(in: .home, ["cat", "/etc/resolv.conf"]).standardOutput == "nameserver 203.0.113.53\n")
            for host in LabHost.all where host != .home {
                for address in host.addresses {
                    #expect(try internet.run(in: .home, ["ping", "-c1", "-W1", "\(address)"]).succeeded, "\(address)")
                }
            }
        }
    }

    @Test("two can exist at once, each goes alone, and nothing of either is left")
    func nothingIsLeft() throws {
        let (first, second) = (try TestInternet(name: "ittwoa"), try TestInternet(name: "ittwob"))
        defer {
            first.down()
            second.down()
        }
        try first.up()
        try second.up()
        #expect(throws: LabError.self) { try first.up() }
        let shell = try first.start(in: .home, ["sleep", "60"])
        #expect(first.down() == [])
        #expect(shell.wait().status == 128 + 9, "a process in a lab ends with the lab")
        #expect(first.leftovers() == [])
        #expect(try second.run(in: .home, ["curl", "-sS", "https://www.example.test/"]).succeeded)
        #expect(second.down() == [])
        #expect(second.leftovers() == [])
        #expect(second.down() == [], "taking down what is not there is no error")
        let links = try runProgram(["ip", "-o", "link"]).standardOutput
        #expect(LabHost.all.allSatisfy { !links.contains(": \($0.name)@") }, "\(links)")
        #expect(!(try runProgram(["findmnt", "-rno", "TARGET"]).standardOutput.contains("ittwo")))
    }

    @Test("what a crash in the middle left behind is removed")
    func leftoversOfACrash() throws {
        let internet = try TestInternet(name: "itcrash")
        defer { internet.down() }
        try internet.up()
        let keeper = try internet.run(in: .home, ["cat", "\(internet.directory)/home.pid"]).standardOutput
        _ = try runProgram(["rm", "-rf", internet.directory])
        _ = try runProgram(["ip", "netns", "delete", internet.namespaceName(of: .web2)])
        #expect(internet.leftovers().count > LabHost.all.count, "also the servers of the nameless namespace")
        #expect(internet.down() == [])
        #expect(internet.leftovers() == [])
        let number = keeper.filter(\.isNumber)
        let gone = try runProgram(["ps", "-o", "stat=", "-p", number]).standardOutput
        #expect(gone.isEmpty || gone.hasPrefix("Z"))
    }

    @Test(
        "a name that could reach outside the lab's directory is refused",
        arguments: ["", "..", "a/b", "UP", "waytoolongname"])
    func names(_ name: String) {
        #expect(throws: LabError.self) { try TestInternet(name: name) }
    }

    private func say(
        _ text: String,
        to address: IPAddress,
        _ port: UInt16,
        _ options: [String] = ["-N"],
        in internet: TestInternet
    ) throws -> String {
        let command = ["nc", "-w", "2"] + options + ["\(address)", "\(port)"]
        return try internet.run(in: .home, command, standardInput: text).standardOutput
    }
}
