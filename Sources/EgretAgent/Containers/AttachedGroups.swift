// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAgentAPI
import EgretCompiler
import EgretLinux
import EgretPolicy

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A control group that an operator has attached.
struct AttachedGroup: Codable, Hashable, Sendable {
    /// Its group.
    var group: String
    /// Its name in the group.
    var name: String
    /// Its labels.
    var labels: [String: String]
    /// The control group.
    var control: ControlGroup
    /// The unit that it is of; `nil` if it is nothing but itself. A unit that starts again has a new control group, and
    /// is the same endpoint.
    var unit: String?

    /// `group/name`.
    var id: String { "\(group)/\(name)" }
    /// What was attached, as the operator wrote it.
    var target: String { unit.map { "unit:\($0)" } ?? "cgroup:\(control.path)" }
}

/// The control groups that an operator has attached: processes of the host's own network.
///
/// They are kept in a directory that does not outlive the machine's start, as they do not.
final class AttachedGroups {
    private let directory: String
    private var records: [String: AttachedGroup] = [:]

    /// Reads what was attached before.
    ///
    /// - Parameter directory: Where records are kept; it is there for as long as there are any.
    /// - Throws: An error if a record cannot be read: to go on without it would be to take its policies away.
    init(directory: String) throws {
        self.directory = directory
        guard File.exists(directory) else { return }
        for name in try Directory.names(in: directory) where name.hasSuffix(".json") {
            do {
                let data = Data(try File.read("\(directory)/\(name)"))
                let record = try JSONDecoder().decode(AttachedGroup.self, from: data)
                records[record.id] = record
            } catch {
                throw APIError(
                    "failed", "\(directory)/\(name) cannot be read as the record of a control group: \(error)",
                    advice: "the kernel goes on with what it was last given; remove the file, and attach it again")
            }
        }
    }

    /// What is attached, by name.
    var all: [AttachedGroup] { records.values.sorted { $0.id < $1.id } }

    /// What is attached under a name.
    func record(_ id: String) -> AttachedGroup? { records[id] }

    /// Whether a target names a control group.
    static func isGroup(_ target: String) -> Bool { target.hasPrefix("cgroup:") || target.hasPrefix("unit:") }

    /// Attaches a control group, or has one that is attached be labelled otherwise.
    ///
    /// - Throws: `APIError` if there is no such group, or it or its name is another endpoint's.
    func attach(_ request: AttachRequest) throws -> AttachedGroup {
        let isUnit = request.namespace.hasPrefix("unit:")
        let text = String(request.namespace.split(separator: ":", maxSplits: 1).last ?? "")
        let control = try isUnit ? ControlGroup(unit: text) : ControlGroup(text)
        let record = AttachedGroup(
            group: request.group, name: request.name,
            labels: request.labels.filter { !$0.key.hasPrefix(AttachedEndpoints.labelPrefix) }
                .merging([AttachedEndpoints.labelPrefix + "runtime": "attach"]) { $1 },
            control: control, unit: isUnit ? text : nil)
        if let other = records[record.id], other.target != record.target {
            throw APIError(
                "conflict", "\(record.id) is another endpoint, \(other.target)",
                advice: "give it another name, or detach the other one: egret detach \(record.id)")
        }
        if let other = all.first(where: { $0.control.id == control.id && $0.id != record.id }) {
            throw APIError("conflict", "\(control.path) is attached as \(other.id)", advice: "egret detach \(other.id)")
        }
        try keep(record)
        return record
    }

    /// Lets go of a control group. Returns `false` if there is none under that name.
    func detach(_ id: String) throws -> Bool {
        guard records.removeValue(forKey: id) != nil else { return false }
        try File.remove(file(id))
        if records.isEmpty { try? Directory.remove(directory) }
        return true
    }

    /// Puts back what an unsuccessful change has replaced.
    func restore(_ record: AttachedGroup) throws { try keep(record) }

    /// The endpoints that are there. A control group that is gone is forgotten; that of a unit comes again.
    func endpoints() throws -> [AgentEndpoint] {
        try all.compactMap { record in
            var present = try record.control.successor()
            if present?.id == record.control.id { return AgentEndpoint(record) }
            guard let unit = record.unit else {
                _ = try detach(record.id)
                return nil
            }
            // It may be in another slice now.
            if present == nil { present = try ControlGroup.current(ofUnit: unit) }
            guard let present else { return nil }
            var record = record
            record.control = present
            records[record.id] = record
            // Where it cannot be written, the next agent finds the unit's present group by itself.
            try? keep(record)
            return AgentEndpoint(record)
        }
    }

    private func file(_ id: String) -> String {
        let name = id.replacing("%", with: "%25").replacing("/", with: "%2F")
        return "\(directory)/\(name.utf8.count > 200 ? SHA256.digest(of: Array(id.utf8)) : name).json"
    }

    /// Writes a record, and notes it if that can be done.
    private func keep(_ record: AttachedGroup) throws {
        try Directory.make(directory, mode: 0o700)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        try File.replace(file(record.id), with: Array(try encoder.encode(record)), mode: 0o600, synchronized: false)
        records[record.id] = record
    }
}

extension AgentEndpoint {
    /// The endpoint that a control group is; `nil` if it cannot be one.
    init?(_ record: AttachedGroup) {
        guard let interface = InterfaceName("lo") else { return nil }
        self.init(
            workload: Workload(
                Workload.ID(namespace: record.group, name: record.name, kind: "ControlGroup"), labels: record.labels,
                addresses: [], namedPorts: []),
            network: "-", namespace: record.target, interface: interface,
            // Links' numbers are below.
            interfaceIndex: UInt32(truncatingIfNeeded: record.control.id) | 0x8000_0000,
            hardwareAddress: MACAddress(rawValue: 0), addresses: [], control: record.control)
    }

    /// What of its policies cannot be in force because the output hook does not see it; `nil` for none.
    func obstacle(_ enforced: EnforcedEndpoint) -> String? {
        guard self.control != nil else { return nil }
        var found: [String] = []
        if !enforced.ingress.isEmpty {
            found.append("what others begin to it is held to none of \(enforced.ingress.joined(separator: ", "))")
        }
        if enforced.routes != nil { found.append("its packets take no route of a policy's") }
        if !enforced.limits.isEmpty { found.append("its limits do not hold") }
        if enforced.hasNames { found.append("no name is resolved for it, so rules about names open nothing") }
        if enforced.budgets.contains(where: { $0.budget.direction != .egress }) {
            found.append("no budget counts what it is sent")
        }
        if enforced.budgets.contains(where: { !$0.clause.names.isEmpty }) {
            found.append("its budgets for names count nothing")
        }
        if found.isEmpty { return nil }
        return "at the output hook " + found.joined(separator: ", ")
    }
}
