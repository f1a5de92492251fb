// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension LabelSelector.Requirement: CustomStringConvertible {
    /// As `kubectl` writes it: `app=web`, `tier in (a, b)`, `tier notin (a)`, `app`, `!app`.
    public var description: String {
        switch operation {
        case .isIn where values.count == 1: "\(key)=\(values[0])"
        case .isIn: "\(key) in (\(values.joined(separator: ", ")))"
        case .isNotIn: "\(key) notin (\(values.joined(separator: ", ")))"
        case .exists: key
        case .doesNotExist: "!\(key)"
        }
    }
}

extension LabelSelector: CustomStringConvertible {
    /// The requirements, with commas between them; empty for everything.
    public var description: String { requirements.map(\.description).joined(separator: ", ") }
}

extension WorkloadSelector: CustomStringConvertible {
    /// What it chooses, in a few words: `workloads with app=web named docker/web in the namespace prod`.
    public var description: String {
        var text = "workloads"
        if !labels.requirements.isEmpty { text += " with \(labels)" }
        if !names.isEmpty { text += " named \(Spelling.list(names, conjunction: "or"))" }
        if !namespaces.isEmpty {
            text +=
                " in the namespace\(namespaces.count == 1 ? "" : "s") \(Spelling.list(namespaces, conjunction: "or"))"
        }
        if !namespaceLabels.requirements.isEmpty { text += " in namespaces with \(namespaceLabels)" }
        return self == .everything ? "every workload" : text
    }
}

extension PortName: CustomStringConvertible {
    /// `http` or `http/tcp`.
    public var description: String { `protocol`.map { "\(name)/\($0)" } ?? name }
}
