// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretAddressing
import EgretAgentClient
import EgretEvaluator
import EgretLinux
import EgretPolicy

extension ExplainCommand {
    /// Says what both ends of connections decide.
    ///
    /// - Throws: `PolicyMistakes` with every mistake of files and flags, or the exit code that `--exit-code` asks for.
    func explainConnections(from source: String) throws {
        let problems = flagProblems()
        // An agent is asked only what can have an answer.
        if policy.files.isEmpty, !problems.isEmpty { throw PolicyMistakes(lines: problems) }
        let files = try ManifestFiles(policy.files, or: agent.client)
        let result = try files.result()
        let lines = files.lines(result.diagnostics)
        if result.hasErrors || !problems.isEmpty { throw PolicyMistakes(lines: lines + problems) }
        var catalog = result.catalog
        if let action = policy.defaultAction ?? files.networkDefault { catalog.networkDefault = action }
        let questions = questions(from: source, result, files.links)
        if !questions.problems.isEmpty { throw PolicyMistakes(lines: lines + questions.problems) }
        let time = try time.map { try MomentText.unixTime($0) } ?? WallTime.now.seconds
        var explainer = ConnectionExplainer(catalog, result.inventory, at: time)
        var answers: [ConnectionAnswer] = []
        for group in questions.questions {
            var found: [ConnectionAnswer] = []
            for question in group {
                do throws(ExplainProblem) {
                    found += try explainer.answers(question)
                } catch {
                    let line = ExplainCommand.line(about: "--from \(source)", error.message, error.suggestion)
                    throw PolicyMistakes(lines: lines + [line])
                }
            }
            answers += ConnectionAnswer.joined(found)
        }
        for question in questions.names {
            do throws(ExplainProblem) {
                answers.append(
                    try explainer.answer(from: question.source, to: question.name, question.service, question.text))
            } catch {
                let line = ExplainCommand.line(about: "--port \(question.text)", error.message, error.suggestion)
                throw PolicyMistakes(lines: lines + [line])
            }
        }
        Console.error(lines)
        Console.output(try text(of: answers))
        if setsExitCode && answers.contains(where: { !$0.isAllowed }) { throw ExitCode(1) }
    }

    private func text(of answers: [ConnectionAnswer]) throws -> String {
        switch output {
        case .table: answers.map(\.text).joined()
        case .wide: ConnectionAnswer.table(answers)
        case .json, .yaml:
            if let answer = answers.first, answers.count == 1 {
                try output.text(of: answer.document) ?? ""
            } else {
                try output.text(of: answers.map(\.document)) ?? ""
            }
        }
    }

    /// Flags that have no meaning for a connection between workloads.
    private func flagProblems() -> [String] {
        var problems: [String] = []
        let flags = [
            ("--allow", policy.allow), ("--deny", policy.deny), ("--reject", policy.reject), ("--audit", policy.audit),
        ]
        for (flag, values) in flags where !values.isEmpty {
            problems.append(
                ExplainCommand.line(
                    about: "\(flag) \(values[0])", "the flag makes a policy for a command, and --from is no command",
                    "write the rule in a file"))
        }
        if isHost {
            problems.append(
                ExplainCommand.line(about: "--host", "the flag does not go with --from", "leave one of the two out"))
        }
        return problems
    }

    /// What is asked about a name.
    private struct NameQuestion {
        /// The place of the workload that asks.
        var source: Int
        var name: DomainName
        var service: Service
        /// The port, as it was typed.
        var text: String
    }

    /// The name of the DNS that a destination is, with the port behind it; `nil` if it names something of the files.
    private func domainName(_ text: String, _ finder: NamedEndFinder) -> (name: DomainName, port: String?)? {
        guard case .name(let name, let port)? = try? ExplainTarget(text), (try? finder.find(text)) == nil,
            !finder.isOwn(name.description)
        else { return nil }
        return (name, port)
    }

    /// The questions that one source and one name make.
    private func questions(
        from beginning: [ConnectionEnd], to name: DomainName, _ own: String?, _ problems: inout [String]
    ) -> [NameQuestion] {
        guard case .workload(let place)? = beginning.first else {
            problems.append(
                ExplainCommand.line(
                    about: "--to \(name)", "which names an address asks for no policy of the files says",
                    "name a workload with --from"))
            return []
        }
        return (own.map { [$0] } ?? ports).compactMap { text in
            let read = Service.read(text, at: SourceLocation(file: "--port \(text)", line: 0, column: 1))
            if let problem = read.diagnostic { problems.append(DiagnosticFormatter.format(problem)) }
            return read.service.map { NameQuestion(source: place, name: name, service: $0, text: text) }
        }
    }

    /// The questions, together those of one destination and port, and what is wrong with the flags that make them.
    private func questions(
        from source: String, _ result: PolicyReader.Result, _ links: [Workload.ID: [EndpointLink]]
    ) -> (questions: [[ConnectionQuestion]], names: [NameQuestion], problems: [String]) {
        let finder = NamedEndFinder(inventory: result.inventory, services: result.services)
        let maker = ConnectionQuestions(
            inventory: result.inventory, links: EndpointLinks(result.inventory, links))
        var problems: [String] = []
        var questions: [[ConnectionQuestion]] = []
        var names: [NameQuestion] = []
        let begins = find(source, "--from \(source)", finder, &problems)
        var beginning: [ConnectionEnd]?
        switch begins {
        case .end(let end): beginning = [end]
        case .links(let places): beginning = places.map { ConnectionEnd.workload($0) }
        case .service:
            problems.append(
                ExplainCommand.line(
                    about: "--from \(source)", "a service begins no connections", "name a pod, or what makes pods"))
        case nil: break
        }
        for destination in destinations {
            if let (name, port) = domainName(destination, finder) {
                if let beginning { names += self.questions(from: beginning, to: name, port, &problems) }
                continue
            }
            guard let target = find(destination, "--to \(destination)", finder, &problems), let beginning else {
                continue
            }
            let families = Set([source, destination].compactMap { IPAddress($0)?.family })
            for port in ports {
                do throws(ExplainProblem) {
                    let made = try maker.make(from: beginning, to: target, port: port)
                    questions.append(ExplainCommand.narrowed(made, to: families))
                } catch {
                    let line = ExplainCommand.line(about: "--port \(port)", error.message, error.suggestion)
                    if !problems.contains(line) { problems.append(line) }
                }
            }
        }
        return (questions, names, problems)
    }

    /// The questions about the families of the addresses that their ends were named by.
    private static func narrowed(
        _ questions: [ConnectionQuestion], to families: Set<AddressFamily>
    ) -> [ConnectionQuestion] {
        if families.isEmpty { return questions }
        // Of an endpoint with several links each may carry one family.
        let meant = questions.filter { $0.family.map { families.contains($0) } ?? true }
        return (meant.isEmpty ? questions : meant).map { question in
            var narrowed = question
            narrowed.namedFamilies = families
            return narrowed
        }
    }

    private func find(
        _ text: String, _ flag: String, _ finder: NamedEndFinder, _ problems: inout [String]
    ) -> NamedEnd? {
        do throws(ExplainProblem) {
            return try finder.find(text)
        } catch {
            let diagnostic = Diagnostic(
                .error, code: DiagnosticCode.unknownWorkload, at: SourceLocation(file: flag, line: 0, column: 1),
                error.message, suggestion: error.suggestion)
            problems.append(DiagnosticFormatter.format(diagnostic))
            return nil
        }
    }
}
