// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretDataplane
import EgretLinux
import EgretPolicy
import EgretSources

/// Policies in files, on a host without an agent: whoever changes the endpoints of networks puts them in force.
///
/// Nobody looks after the kernel afterwards. So what needs somebody who does is refused: times, feeds, routes, names and
/// budgets.
public enum FilePolicies {
    /// Holds the endpoints of this host's networks to policies. On return the kernel does.
    ///
    /// - Parameters:
    ///   - paths: The files.
    ///   - runtime: The directory of notes about the running kernel.
    /// - Returns: How many transactions have given the kernel's ruleset another number; `nil` if nobody has counted.
    /// - Throws: `APIError` if a file cannot be read, if something is wrong with what it says, or if an agent runs, or has
    ///   run and left policies in the kernel; an error of the kernel's otherwise. The kernel is as it was then.
    @discardableResult
    public static func enforce(_ paths: Swift.Set<String>, runtime: String = "/run/egret") throws -> Int? {
        try Directory.make(runtime, mode: 0o755)
        let namespace = try NetworkNamespace.currentCookie()
        guard let lock = try FileLock.tryAcquire("\(runtime)/agent-\(namespace).lock") else {
            throw APIError(
                "conflict", "an agent runs here, which holds endpoints to policies of its own",
                advice: "give it the policies, egret apply -f FILE, and leave \u{201c}policy\u{201d} out")
        }
        let note = FilePolicies.note(runtime, namespace)
        let isThere = File.exists(note)
        if paths.isEmpty && !isThere { return 0 }
        let isOurs = try isThere && File.read(note) != takenOver
        let reading = try read(paths.sorted())
        let enforcement = try KernelEnforcement(directory: "\(runtime)/bridges", routes: "\(runtime)/routes")
        enforcement.dataplane.tellCommits { _ in }
        if try !isOurs && enforcement.holdsPolicies() {
            throw APIError(
                "conflict", "an agent has left its policies in the kernel, and does not run",
                advice: "start it: it holds containers and others that no file knows of")
        }
        try File.replace(note, with: [], mode: 0o600, synchronized: false)
        var catalog = reading.catalog
        catalog.networkDefault = .allow
        let source = try NetworkEndpoints(links: WatchedLinks())
        let state = DesiredState(
            catalog: catalog, endpoints: try source.endpoints(), namespaces: reading.namespaces,
            nodes: reading.nodes)
        _ = try enforcement.take(to: state, at: WallTime.now.seconds)
        try source.note(hasPolicies: !paths.isEmpty)
        if paths.isEmpty { try File.remove(note) }
        withExtendedLifetime(lock) {}
        return enforcement.commits
    }

    /// What says that it is files whose policies are in the kernel; an agent that takes them over takes it away.
    static func note(_ runtime: String, _ namespace: UInt64) -> String { "\(runtime)/files-\(namespace)" }

    /// What is written there while an agent takes them over: whichever policies are in the kernel then, files do not replace
    /// them.
    static let takenOver = Array("agent\n".utf8)

    /// Checks what files say, and changes nothing.
    ///
    /// - Parameter paths: The files.
    /// - Throws: `APIError` if a file cannot be read, or something is wrong with what it says.
    public static func check(_ paths: [String]) throws { _ = try read(paths) }

    private static func read(_ paths: [String]) throws -> PolicyReading {
        let files = try paths.map { path throws(APIError) in
            do {
                return SourceFile(name: path, text: try File.readText(path))
            } catch {
                throw APIError("invalid", "the policies cannot be read: \(error)")
            }
        }
        let reading = try PolicyReading(
            DocumentIndex.read(files).documents, timeZones: SystemTimeZones.database())
        let policies = reading.catalog.egressPolicies
        if let policy = policies.first(where: { $0.hasSchedules || $0.hasTimedLimits }) {
            throw needsAgent("times", of: policy.name)
        }
        if let policy = policies.first(where: { !$0.routes.isEmpty }) { throw needsAgent("routes", of: policy.name) }
        if let policy = policies.first(where: { !$0.budgets.isEmpty }) { throw needsAgent("budgets", of: policy.name) }
        if let list = reading.catalog.priceLists.first { throw needsAgent("prices", of: list.name) }
        if reading.catalog.hasNames { throw needsAgent("names", of: paths.joined(separator: ", ")) }
        if let group = reading.catalog.groups.first(where: { $0.feed != nil }) {
            throw needsAgent("the feed", of: group.name)
        }
        return reading
    }

    private static func needsAgent(_ what: String, of name: String) -> APIError {
        APIError(
            "invalid", "\(what) of \(name) need an agent, which looks after them",
            advice: "start the agent, and give it the policies: egret apply -f FILE")
    }
}
