// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDoctor
import EgretLinux
import EgretNetworks

/// What `--fix` does: the commands of a finding, if they change only what is Egret's.
enum DoctorRepair {
    /// Whether a finding's commands change only what Egret has made, or are Egret's own.
    static func isEgrets(_ finding: Finding, in reference: NamespaceReference) -> Bool {
        if finding.commands.isEmpty { return false }
        if finding.isEgrets { return true }
        guard let networks = try? NetworkHost.read().networks else { return false }
        let endpoints = networks.flatMap(\.endpoints)
        let bridges = networks.filter { $0.mode == .bridge && !$0.isAdopted }.map(\.name)
        let links = endpoints.filter { $0.stage == .ready }.map(\.hostInterface)
        let cookie = NetworkHost.cookie(of: reference)
        let isOwnNamespace = endpoints.contains { $0.cookie != 0 && $0.cookie == cookie }
        return finding.isAbout(
            interfaces: Swift.Set(bridges + links),
            namespaces: isOwnNamespace ? [reference.description, reference.path] : [])
    }

    /// Runs a command and waits for it.
    static func run(_ words: [String]) throws {
        let program = words.first == "egret" ? "/proc/self/exe" : words.first ?? ""
        let command = Command(NativeString(program), arguments: words.map { NativeString($0) })
        // Standard output is the doctor's own.
        let child = try ChildProcess.spawn([
            .duplicate(.standardError, onto: 1), .resetSignals(ignoring: []), .execute(command),
        ])
        let end = try child.waitForEnd()
        guard end == .exited(0) else {
            throw RunFailure(message: "\(words.joined(separator: " ")) failed", advice: nil)
        }
    }
}
