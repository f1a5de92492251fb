// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import ArgumentParser
public import EgretAddressing
import EgretLinux
import EgretNames
import EgretPolicy

/// `egret run`.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run a command that can reach only what a policy allows.",
        usage: "egret run [--allow <destination>] … [--policy <file>] [<options>] -- <command> [<argument> …]",
        discussion: """
            The command runs in a network namespace of its own, as you, with your terminal, directory and \
            environment, and without any privilege. What it sends meets the policy in the kernel, from its first \
            instruction on. Nothing is allowed that no rule allows. When it ends, Egret reports what it reached \
            and what was refused, and ends with the command's exit code.

            Exit codes: the command's; 128 and the signal that ended it; 125 if Egret could not run it; 126 if \
            it could not be executed; 127 if it was not found.

            Examples:
              sudo egret run --allow 203.0.113.10:443 -- curl https://203.0.113.10/
              sudo egret run --allow '*.wikimedia.org:443' -- ./fetch.sh
              sudo egret run --allow internet --deny 198.51.100.0/24 -- npm ci
              sudo egret run --allow 203.0.113.53:53/udp --allow internet:443 -- bash
              sudo egret run -f policy.yaml --report json -- make test
            """
    )

    @OptionGroup(title: "Policy") var policy: PolicyOptions

    @Flag(name: .customLong("print-policy"), help: "Print the policy that the flags and files make, and end.")
    var printsPolicy = false

    @Option(
        name: .customLong("user"),
        help: ArgumentHelp(
            "Run as this user, a name or a number; by default who called sudo, else the caller.",
            valueName: "name|uid[:gid]")
    )
    var user: String?

    @Option(
        name: .customLong("dns"),
        help: ArgumentHelp(
            "Resolve names by this server instead of the host's: an address, or udp://, tcp:// or tls:// before it, a "
                + "port behind it, and for TLS #NAME, which its certificate must be for, else for the address. Unless "
                + "the policy is about names, it must be an address alone, and 53/udp to it be allowed. May be given "
                + "more than once: the next is asked where one fails.",
            valueName: "server"
        )
    )
    var resolvers: [NameServer] = []

    @Option(
        name: .customLong("dns-ca"),
        help: ArgumentHelp(
            "Trust these authorities for --dns tls:// too: certificates in PEM.", valueName: "file"))
    var resolverAuthorities: String?

    @Option(
        name: .customLong("dns-denial"),
        help: ArgumentHelp(
            "How a question for a name is answered that no rule allows: that it is refused, or that there is no such "
                + "name, for programs that try again otherwise.",
            valueName: "refused|nxdomain"
        )
    )
    var nameDenial: NameDenial = .refused

    @OptionGroup var nameLimits: NameLimitOptions

    @Option(
        name: .customLong("expose-socket"),
        help: ArgumentHelp(
            "Leave a control socket of the host, such as /run/docker.sock, in the command's reach. It is a way out past "
                + "the policy. May be given more than once.",
            valueName: "path"
        )
    )
    var exposedSockets: [String] = []

    @Option(
        name: .customLong("report"),
        help: ArgumentHelp("How to report when the command has ended.", valueName: "format"))
    var report: ReportFormat = .text

    @Option(
        name: .customLong("report-file"),
        help: ArgumentHelp("Write the report to a file instead of standard error.", valueName: "file")
    )
    var reportFile: String?

    @Option(
        name: .customLong("log-file"),
        help: ArgumentHelp(
            "Write each refused and audited packet to a file as it happens, a JSON line each.", valueName: "file")
    )
    var logFile: String?

    @Argument(
        parsing: .captureForPassthrough, help: ArgumentHelp("The command and its arguments.", valueName: "command"))
    var command: [String] = []

    func validate() throws {
        _ = try nameLimits.limits()
    }

    func run() throws {
        // Everything from the first word that is no option of Egret's is the command's, these two included.
        if let first = command.first, ["--help", "-h"].contains(first) { throw CleanExit.helpRequest(self) }
        let missing = exposedSockets.filter { !$0.hasPrefix("/") || !File.exists($0) }
        for path in missing {
            let reason = path.hasPrefix("/") ? "there is nothing at this path" : "the path must begin with /"
            Console.error(["egret: --expose-socket \(path): \(reason)".withVisibleControls])
        }
        if !missing.isEmpty { throw ExitCode(125) }
        throw ExitCode(RunSession(self).run())
    }
}

/// How questions for names are answered that no rule allows.
enum NameDenial: String, ExpressibleByArgument, CaseIterable {
    case refused
    case nxdomain

    /// The same for the proxy.
    var denial: NameTable.Denial {
        switch self {
        case .refused: .refused
        case .nxdomain: .nameError
        }
    }
}

/// How a run is reported.
enum ReportFormat: String, ExpressibleByArgument, CaseIterable {
    case text
    case json
    case none
}

extension IPAddress: ExpressibleByArgument {
    /// Reads an address of either family.
    public init?(argument: String) {
        self.init(argument)
    }
}
