// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretEvaluator
import EgretFlows
import EgretLinux
import EgretNames
import EgretNetlink
import EgretPolicy
import EgretRun

/// One `egret run`, from flags to exit code.
struct RunSession {
    private let options: RunCommand
    /// The signals that Egret found ignored, and the command is to find so.
    private let inheritedIgnored: SignalSet

    init(_ options: RunCommand) {
        self.options = options
        inheritedIgnored = SignalSet.ignored()
    }

    /// Runs the command and reports.
    ///
    /// - Returns: The exit code: the command's, or 125 to 127 if it could not be run.
    func run() -> Int32 {
        // A reader of the report or the log that goes away must not end Egret half-way.
        try? Signal.brokenPipe.setIgnored(true)
        do {
            let standard = try Descriptor.takingStandardNumbers()
            return try withExtendedLifetime(standard) { try runOrThrow() }
        } catch let mistakes as PolicyMistakes {
            Console.error(mistakes.lines)
            Console.error(["egret: nothing was run: the policy has mistakes"])
            return 125
        } catch let failure as RunFailure {
            Console.error(failure.lines)
            return failure.exitCode
        } catch {
            Console.error(["egret: \(error)"])
            return 125
        }
    }

    private func runOrThrow() throws -> Int32 {
        let user = try identity()
        let loaded = try options.policy.load(as: isPrivileged() ? user : nil)
        if options.printsPolicy {
            Console.output(
                PolicyPrinter.yaml(
                    policies: loaded.written.policies, groups: loaded.written.groups.sorted { $0.name < $1.name }))
            return 0
        }
        let command = try commandWords()
        try Privilege.require(
            for: "making a network namespace and its rules",
            advice: "\(Privilege.advice()); the command itself then runs as you"
        )
        Console.error(loaded.warnings)
        try refuseWhatIsNotEnforced(loaded)
        let output = try RunOutput(options, as: user)
        let started = MonotonicInstant.now
        let (place, supervisor) = try makePlace(loaded.set.enforcing, user)
        let ending: Swift.Result<ChildProcess.Status, any Error>
        do {
            output.warn(place.warnings)
            let sandboxed = try self.command(command, user)
            if let signal = try supervisor.earlySignal(ignoring: sandboxed.ignoredSignals) {
                throw EarlySignal(signal: signal)
            }
            let child = try place.start(sandboxed)
            ending = .success(try supervisor.wait(for: child, serving: place.sources(noting: output)))
        } catch {
            ending = .failure(error)
        }
        let report = place.end(noting: output)
        for problem in place.problems { Console.error(["egret: \(problem)"]) }
        if let problem = output.logProblem { Console.error(["egret: \(problem)"]) }
        switch ending {
        case .failure(let early as EarlySignal): return exit(as: .signaled(early.signal, coreDumped: false))
        case .failure(let error): throw explained(error, command)
        case .success(let status):
            do {
                try output.finish(
                    report,
                    names: place.nameReport,
                    budgets: place.budgetUses,
                    policies: loaded.set,
                    command: command,
                    status: status,
                    seconds: started.duration(to: .now).seconds
                )
            } catch {
                // The exit code stays the command's: it did run.
                Console.error(["egret: cannot write the report: \(error)"])
            }
            return exit(as: status)
        }
    }

    /// Ends before anything runs where something written could not be held to.
    private func refuseWhatIsNotEnforced(_ loaded: LoadedPolicies) throws {
        for group in loaded.written.groups {
            guard let feed = group.feed, case .url(let url) = feed.source else { continue }
            throw RunFailure(
                message: "the group \(group.name) takes its list from \(url), and egret run fetches nothing",
                advice: "fetch the list to a file and write feed: { file: /path }, or let the agent enforce the policy")
        }
        for budget in loaded.set.enforcing.policies.flatMap(\.budgets) where budget.period.length != .total {
            throw RunFailure(
                message: "the budget \(budget.name) is per \(budget.period), and a run's budget is for the run alone",
                advice: "write per: total, or let the agent enforce the policy")
        }
    }

    /// Waits for the host's lock, which can be interrupted; from then on nothing interrupts half-way.
    private func makePlace(_ policies: PolicySet, _ user: UserIdentity) throws -> (RunPlace, Supervisor) {
        // What is said with the command stands before what is written in files.
        let named = options.resolvers.isEmpty ? policies.nameServers.map { NameServer($0) } : options.resolvers
        let servers = try ConfiguredServers(named, authorities: options.resolverAuthorities)
        let host = try RunHost()
        let lock = try host.state.lock()
        do {
            let supervisor = try Supervisor()
            let place = try RunPlace(
                on: host,
                lockedBy: lock,
                policies: policies,
                user: user,
                resolvers: servers,
                nameDenial: options.nameDenial.denial,
                nameLimits: try options.nameLimits.limits(),
                exposedSockets: options.exposedSockets
            )
            return (place, supervisor)
        } catch {
            // A step may have failed before there was anything but the directory.
            try? host.state.removeIfEmpty()
            throw error
        }
    }

    private func commandWords() throws -> [String] {
        var words = options.command
        if words.first == "--" {
            words.removeFirst()
        } else if let first = words.first, first.hasPrefix("-") {
            throw RunFailure.unknownOption(first)
        }
        if words.isEmpty {
            throw RunFailure(
                message: "no command was given", advice: "write it after --: egret run --allow … -- curl …")
        }
        return words
    }

    /// Whether this process has rights that the command's user may lack; then policy files are read with the user's.
    private func isPrivileged() throws -> Bool {
        if CurrentProcess.isRoot { return true }
        return try CapabilitySet.effective().contains(.setUser)
    }

    /// Who the command runs as: `--user`, or whoever called sudo, or the caller.
    private func identity() throws -> UserIdentity {
        guard let name = try options.user ?? callerOfSudo() else { return try UserIdentity.current() }
        guard let user = try UserIdentity.lookUp(name) else {
            throw RunFailure(message: "there is no user \(name)", advice: "see getent passwd")
        }
        return user
    }

    /// The user who called sudo; one without an entry in the user database has the group that sudo tells.
    private func callerOfSudo() throws -> String? {
        let environment = Environment.current
        guard let user = environment["SUDO_UID"] else { return nil }
        guard let group = environment["SUDO_GID"], let number = UInt32(user),
            try UserIdentity.lookUp(number: number) == nil
        else { return user }
        return "\(user):\(group)"
    }

    /// The command's words byte for byte: the last arguments of this process.
    private static func native(_ words: [String]) -> [NativeString] {
        let arguments = NativeString.processArguments.suffix(words.count)
        return arguments.map(\.description) == words ? Array(arguments) : words.map { NativeString($0) }
    }

    /// The command with the caller's environment; what sudo or `--user` made untrue about the user is put right.
    private func command(_ words: [String], _ user: UserIdentity) throws -> SandboxedCommand {
        var environment = Environment.current
        if user.user != CurrentProcess.realUser {
            environment["HOME"] = user.home
            environment["USER"] = user.name ?? "\(user.user)"
            environment["LOGNAME"] = user.name ?? "\(user.user)"
            environment["SHELL"] = user.shell
            environment["MAIL"] = nil
        }
        let arguments = RunSession.native(words)
        return SandboxedCommand(
            command: Command(arguments[0], arguments: arguments, environment: environment),
            user: user,
            workingDirectory: try CurrentProcess.workingDirectory(),
            ignoredSignals: inheritedIgnored
        )
    }

    private func explained(_ error: any Error, _ command: [String]) -> any Error {
        guard let error = error as? LinuxError, error.operation == "run" else { return error }
        return RunFailure.cannotExecute(command[0], error)
    }

    /// Ends as the command ended: by its code, or by the signal that ended it.
    private func exit(as status: ChildProcess.Status) -> Int32 {
        if case .signaled(let signal, _) = status {
            // Returns only if the signal does not end a process.
            try? CurrentProcess.succumb(to: signal)
        }
        return status.exitCodeOfShell
    }
}

/// A signal that came before the command could have had it.
private struct EarlySignal: Error {
    var signal: Signal
}

extension Duration {
    fileprivate var seconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}
