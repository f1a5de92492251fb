// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux
import EgretNetworks

/// The commands of other tools, as far as Egret uses them: only when its user asks, and only to add rules of its own.
struct Neighbours {
    /// firewalld takes its time when it is busy; xtables' lock may be held by somebody.
    private static let limit: Duration = .seconds(30)

    /// Runs a tool's command in the plain words that Egret reads.
    static func run(_ program: String, _ arguments: [String]) throws -> ProgramRun {
        var environment = Environment.current
        environment["LC_ALL"] = "C.UTF-8"
        let line = ([program] + arguments).map { NativeString($0) }
        let command = Command(NativeString(program), arguments: line, environment: environment, searchPath: searchPath)
        do throws(LinuxError) {
            return try ProgramRun.run(command, limit: limit)
        } catch {
            guard error.errno == .noEntry else { throw error }
            throw NetworkProblem(
                "the command \(program) is not there", advice: "install it, or leave --allow-through out")
        }
    }

    /// The user's, and where these tools are when the user's has no place for administrators' commands.
    private static var searchPath: String {
        (Environment.current["PATH"].map { $0 + ":" } ?? "") + "/usr/sbin:/sbin:/usr/bin:/bin"
    }

    /// Runs a command that has to succeed.
    @discardableResult
    static func require(_ program: String, _ arguments: [String]) throws -> String {
        let run = try run(program, arguments)
        if run.succeeded { return run.output }
        let line = ([program] + arguments).joined(separator: " ")
        let words = run.output.split(separator: "\n").last.map(String.init) ?? ""
        throw NetworkProblem(
            run.status == nil ? "\(line) did not end within \(limit)" : "\(line) failed: \(words)",
            advice: "leave --allow-through out to do it by hand")
    }

    static func succeeds(_ program: String, _ arguments: [String]) throws -> Bool {
        try run(program, arguments).succeeded
    }
}

// MARK: - iptables and Docker

extension IptablesRules {
    /// Puts what is missing in place.
    ///
    /// - Returns: Whether something was missing.
    func put(_ program: String) throws -> Bool {
        let isComplete = try hasOwnChain(program)
        if !isComplete {
            _ = try Neighbours.run(program, ["-w", "10", "-N", chain])
            try Neighbours.require(program, ["-w", "10", "-F", chain])
            for rule in rules { try Neighbours.require(program, ["-w", "10", "-A", chain] + rule) }
        }
        if try Neighbours.succeeds(program, ["-w", "10", "-C", parent, "-j", chain]) { return !isComplete }
        try Neighbours.require(program, ["-w", "10", "-I", parent, "1", "-j", chain])
        return true
    }

    private func hasOwnChain(_ program: String) throws -> Bool {
        for rule in rules where try !Neighbours.succeeds(program, ["-w", "10", "-C", chain] + rule) { return false }
        return true
    }

    /// Takes away whatever is there.
    func take(_ program: String) throws {
        for arguments in [["-D", parent, "-j", chain], ["-F", chain], ["-X", chain]] {
            _ = try Neighbours.run(program, ["-w", "10"] + arguments)
        }
    }

    /// Whether the tool has its chain.
    func hasParent(_ program: String) throws -> Bool {
        try Neighbours.succeeds(program, ["-w", "10", "-S", parent, "1"])
    }
}

// MARK: - firewalld

extension FirewalldRules {
    /// Puts rules in place, at once and for good.
    ///
    /// - Returns: Whether one was missing.
    static func put(_ rules: [String]) throws -> Bool {
        guard try Neighbours.succeeds("firewall-cmd", ["--state"]) else {
            throw NetworkProblem("firewalld cannot be asked", advice: "firewall-cmd --state says why")
        }
        let hasPolicy = try present([]) != nil
        if try !hasPolicy && settings([]) != settings(["--permanent"]) {
            throw NetworkProblem(
                "firewalld has settings that a reload would undo, and a new policy needs a reload",
                advice: "firewall-cmd --runtime-to-permanent keeps them, firewall-cmd --reload drops them; then again")
        }
        let permanent = try addPermanently(rules)
        // firewalld makes policies only in its permanent configuration, and reads that when it is reloaded. What
        // others have changed for the time being is lost then; Egret does not do that to them.
        if !hasPolicy { try Neighbours.require("firewall-cmd", ["--reload"]) }
        return try add(rules, [], to: present([]) ?? []) || permanent
    }

    /// - Returns: Whether a rule was missing.
    private static func addPermanently(_ rules: [String]) throws -> Bool {
        if let present = try present(["--permanent"]) { return try add(rules, ["--permanent"], to: present) }
        let place = ["--permanent", "--policy=\(policy)"]
        try Neighbours.require("firewall-cmd", ["--permanent", "--new-policy=\(policy)"])
        try Neighbours.require("firewall-cmd", place + ["--add-ingress-zone=ANY"])
        try Neighbours.require("firewall-cmd", place + ["--add-egress-zone=ANY"])
        return try add(rules, ["--permanent"], to: [])
    }

    private static func add(_ rules: [String], _ scope: [String], to present: [String]) throws -> Bool {
        let missing = rules.filter { !present.contains($0) }
        if missing.isEmpty { return false }
        let options = missing.map { "--add-rich-rule=\($0)" }
        try Neighbours.require("firewall-cmd", scope + ["--policy=\(policy)"] + options)
        return true
    }

    /// The policy's rules; `nil` if there is no such policy.
    private static func present(_ scope: [String]) throws -> [String]? {
        let run = try Neighbours.run("firewall-cmd", scope + ["--policy=\(policy)", "--list-rich-rules"])
        return run.succeeded ? run.output.split(separator: "\n").map(String.init) : nil
    }

    /// Zones whose owners put their interfaces back after a reload.
    private static let tended = ["docker", "libvirt", "libvirt-routed", "nm-shared"]

    /// What a reload changes, in lines. Our policy is the reason to ask.
    private static func settings(_ scope: [String]) throws -> [Substring] {
        var lines: [Substring] = []
        for list in ["--list-all-zones", "--list-all-policies"] {
            var section: Substring = ""
            for line in try Neighbours.require("firewall-cmd", scope + [list]).split(separator: "\n") {
                let isHeader = line.first?.isWhitespace == false
                if isHeader { section = line.prefix { !$0.isWhitespace } }
                let isInterfaces = line.drop(while: \.isWhitespace).hasPrefix("interfaces:")
                if section == policy || isInterfaces && tended.contains(String(section)) { continue }
                lines.append(isHeader ? section : line)
            }
        }
        return lines
    }

    /// Takes rules away, and the policy with the last one. What is then left of the policy until firewalld is reloaded
    /// has no rules.
    static func take(_ rules: [String]) throws {
        for scope in [["--permanent"], []] {
            let present = try present(scope) ?? []
            let options = rules.filter(present.contains).map { "--remove-rich-rule=\($0)" }
            if options.isEmpty { continue }
            try Neighbours.require("firewall-cmd", scope + ["--policy=\(policy)"] + options)
        }
        if try present(["--permanent"]) == [] {
            try Neighbours.require("firewall-cmd", ["--permanent", "--delete-policy=\(policy)"])
        }
    }
}

// MARK: - ufw

extension UfwRules {
    /// Whether a rule is there, whoever added it.
    static func has(_ rule: String) throws -> Bool {
        let lines = try Neighbours.require("ufw", ["show", "added"]).split(separator: "\n")
        return lines.contains { $0 == "ufw route allow \(rule)" || $0.hasPrefix("ufw route allow \(rule) comment ") }
    }

    static func put(_ rule: String, comment: String) throws {
        try Neighbours.require("ufw", ["route", "allow"] + words(rule) + ["comment", comment])
    }

    static func take(_ rule: String) throws {
        _ = try Neighbours.run("ufw", ["route", "delete", "allow"] + words(rule))
    }

    private static func words(_ rule: String) -> [String] { rule.split(separator: " ").map(String.init) }
}
