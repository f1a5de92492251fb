// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretAgentAPI
import EgretAgentClient
import EgretLinux
import EgretPolicy

/// Which agent a command speaks to.
struct AgentOptions: ParsableArguments {
    @Option(
        name: .customLong("socket"),
        help: ArgumentHelp(
            "The agent's socket. Default: what EGRET_AGENT_SOCKET names, else \(AgentAPI.socketPath).",
            valueName: "path"))
    var socket: String?

    @Option(
        help: ArgumentHelp(
            "Ask the agent at this address by TLS instead; takes --tls-cert and --tls-key.", valueName: "host:port"))
    var address: String?

    @Option(
        name: .customLong("tls-ca"),
        help: ArgumentHelp("Trust the agent at --address by these authorities, in PEM.", valueName: "file"))
    var tlsCA: String?

    @Option(help: ArgumentHelp("The certificate to show the agent at --address, in PEM.", valueName: "file"))
    var tlsCert: String?

    @Option(help: ArgumentHelp("The key of the certificate, in PEM.", valueName: "file"))
    var tlsKey: String?

    func validate() throws {
        if address == nil {
            if [tlsCA, tlsCert, tlsKey].contains(where: { $0 != nil }) {
                throw ValidationError("--tls options go with --address.")
            }
            return
        }
        if socket != nil { throw ValidationError("give --socket or --address, not both.") }
        if tlsCert == nil || tlsKey == nil {
            throw ValidationError("--address takes --tls-cert and --tls-key: the agent answers nobody without.")
        }
        if remote == nil { throw ValidationError("--address takes host:port, such as 192.0.2.1:9463.") }
    }

    private var remote: AgentAddress.Remote? {
        guard let address, let colon = address.lastIndex(of: ":"),
            let port = UInt16(address[address.index(after: colon)...]), let tlsCert, let tlsKey
        else { return nil }
        var host = address[..<colon]
        if host.first == "[", host.last == "]" { host = host.dropFirst().dropLast() }
        if host.isEmpty { return nil }
        return AgentAddress.Remote(
            host: String(host), port: Int(port), authorities: tlsCA, certificate: tlsCert, key: tlsKey)
    }

    /// The agent; nothing is connected yet.
    var client: AgentClient {
        var place = AgentAddress(chosen: socket ?? Environment.current[AgentAPI.socketVariable])
        place.remote = remote
        return AgentClient(place)
    }
}

/// Runs the body of a command that asks the agent, and turns what it throws into words and an exit code: 2 for mistakes in
/// documents, and for everything else 1, or `failure` where 1 is an answer.
func asking(failure: Int32 = 1, _ body: () throws -> Void) throws {
    do {
        try body()
    } catch let code as ExitCode {
        throw code
    } catch let mistakes as PolicyMistakes {
        Console.error(mistakes.lines)
        throw ExitCode(2)
    } catch let failure as RunFailure {
        Console.error(printable(failure.lines))
        throw ExitCode(failure.exitCode)
    } catch let refusal as APIError {
        let diagnostics = printable(refusal.diagnostics ?? [])
        Console.error(diagnostics)
        Console.error(
            printable(RunFailure(message: refusal.message, advice: refusal.advice).lines))
        throw ExitCode(diagnostics.isEmpty ? failure : 2)
    } catch let error as AgentClientError {
        Console.error(printable(RunFailure(message: error.message, advice: error.advice).lines))
        throw ExitCode(failure)
    } catch {
        Console.error(printable(["egret: \(error)"]))
        throw ExitCode(failure)
    }
}

/// Texts that the agent gave, line by line, with nothing in them that a terminal obeys.
func printable(_ texts: [String]) -> [String] {
    texts.flatMap { $0.split(separator: "\n", omittingEmptySubsequences: false) }.map { String($0).withVisibleControls }
}

/// Prints an answer: for programs as it is, for people as lines.
func show(_ document: some Encodable, as output: OutputFormat, _ lines: @autoclosure () -> [String]) throws {
    Console.output(try output.text(of: document) ?? lines().map { $0 + "\n" }.joined())
}
