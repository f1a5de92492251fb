// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

extension Diagnosis {
    /// Explains a finding by what of the endpoint's networks is kept and not there.
    ///
    /// The kernel says where the packet ended, the record why. A deviation that the packet did not end by is nobody's
    /// fault and not told.
    ///
    /// - Parameter deviations: What is kept and not there.
    public mutating func explain(by deviations: [Deviation]) {
        guard let finding, finding.isNetworkFault else { return }
        for kind in Deviation.Kind.allCases {
            guard let deviation = deviations.first(where: { $0.kind == kind }),
                let step = kind.step(explaining: finding.step)
            else { continue }
            let rest = deviations.filter { $0 != deviation }.map(\.words)
            let more = rest.isEmpty ? "" : " So have: \(rest.joined(separator: "; "))."
            let found = step == finding.step ? " The packet: \(finding.seen)." : ""
            replace(
                Finding(
                    step, deviation.words,
                    deviation.isEgrets
                        ? "Egret had made it otherwise, and somebody has changed it.\(more)\(found)"
                        : "It is not Egret's: who has made it makes it again.\(found)",
                    commands: deviation.isEgrets ? [["egret", "network", "restore"]] : []))
            return
        }
    }

    /// Says that a destination outside is out of an isolated network's reach, and by intention: nothing mends that.
    ///
    /// - Parameters:
    ///   - networks: The endpoint's.
    ///   - destination: Where the packet was to go.
    /// - Returns: Whether that is why the packet ended.
    public mutating func respectIsolation(_ networks: [KeptNetwork], to destination: IPAddress) -> Bool {
        guard let finding, [.route, .policy].contains(finding.step), let first = networks.first,
            networks.allSatisfy({ network in
                network.isIsolated && !network.blocks.contains { $0.contains(destination) }
            })
        else { return false }
        replace(
            Finding(
                finding.step, "\(first.name) is isolated, and \(destination) is outside",
                "It was made so: its endpoints reach each other and the host, and nobody else. (\(finding.seen).)"))
        return true
    }

    /// Adds what the policies say of the packet, with the rule, where the kernel does not say otherwise.
    ///
    /// - Parameters:
    ///   - reason: The verdict with the rule and where it stands.
    ///   - isAllowed: Whether they let the packet out.
    public mutating func add(policy reason: String, isAllowed: Bool) {
        guard let place = lines.firstIndex(where: { $0.step == .policy }) else { return }
        switch lines[place].judgment {
        case .good:
            // An address that the endpoint has resolved by a name is allowed in the kernel, and no policy names it.
            if isAllowed { lines[place].judgment = .good(reason) }
        case .bad(var finding):
            let kernel = finding.seen
            finding.seen = isAllowed ? "\(kernel); the policies say: \(reason)" : reason
            if !isAllowed { finding.reason = "In the kernel: \(kernel). \(finding.reason)" }
            lines[place].judgment = .bad(finding)
        case .notNeeded, .unknown: break
        }
    }

    /// Puts a finding in the place of the last, at its step or before it.
    private mutating func replace(_ finding: Finding) {
        lines.removeAll { $0.step.place >= finding.step.place }
        lines.append(Line(step: finding.step, judgment: .bad(finding)))
    }
}
