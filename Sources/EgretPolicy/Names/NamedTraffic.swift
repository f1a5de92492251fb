// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// How a rule lets traffic to its domains out, by protocol and port.
///
/// Where a client says the name, it must say one of the rule's (`checked`). Where none can be read, the address alone
/// decides, and only on what the rule writes out or on the usual ports of protocols that say none (`pinned`). QUIC is
/// answered with a refusal (`answered`), so that clients fall back; where the rule says so its name is read first
/// (`checkedDatagrams`), or it is pinned.
public struct NamedTraffic: Hashable, Sendable {
    /// The ports of TCP on which the client's name is read: sorted, apart.
    public let checked: [PortRange]
    /// The ports of UDP on which the name in QUIC's first packets is read, but for those that `pinned` has: sorted, apart.
    public let checkedDatagrams: [PortRange]
    /// What passes by its address alone.
    public let pinned: [Service]
    /// The ports of UDP on which a refusal, if nothing lets the packet out, is answered: sorted, apart.
    public let answered: [PortRange]
    /// The protocols in which a name is read on checked ports.
    public let spoken: [ApplicationProtocol]
    /// Whether what says no name that can be read passes checked ports by its address.
    public let passesUnverified: Bool

    /// Works out what a rule means. A rule that holds back covers its names altogether and has no such traffic.
    public init(_ rule: EgressRule) {
        let options = rule.naming
        let letsOut = rule.action == .allow || rule.action == .audit
        let tcp = letsOut ? NamedTraffic.tcpPorts(rule) : []
        let listed = options.applications
        let silent =
            listed.isEmpty ? ApplicationProtocol.allCases.filter { !$0.saysName } : listed.filter { !$0.saysName }
        let spoken = listed.isEmpty ? [.tls, .http] : listed.filter(\.saysName)
        let usual = silent.flatMap(\.usualPorts)
        let isUnlimited = rule.services.isEmpty || rule.services.contains(.any(.tcp))
        // Ports that are written out beside protocols that say no name are meant for those.
        let silentPorts = spoken.isEmpty && !isUnlimited ? tcp : tcp.flatMap { $0.intersection(usual) }
        let checked = spoken.isEmpty ? [] : tcp.flatMap { $0.subtracting(usual) }
        let quicPorts = isUnlimited && !checked.isEmpty ? [PortRange(443)] : checked
        let speaksQUIC = spoken.contains(.tls)
        var pinned = silentPorts.map { Service.ports(.tcp, $0) }
        var answered: [PortRange] = []
        if speaksQUIC {
            if options.quic == .pin { pinned += quicPorts.map { .ports(.udp, $0) } } else { answered = quicPorts }
        }
        for service in letsOut ? rule.services : [] {
            switch service {
            case .any(.tcp), .ports(.tcp, _): continue
            case .any(.udp), .ports(.udp, _):
                let ports = service.portRange ?? .all
                if options.quic == .pin {
                    pinned.append(.ports(.udp, ports))
                } else {
                    let rest = ports.subtracting([443])
                    pinned += rest.map { .ports(.udp, $0) }
                    if rest != [ports] { answered.append(PortRange(443)) }
                }
            default: pinned.append(service)
            }
        }
        self.checked = PortRange.merged(sorted: checked.sorted())
        self.answered = PortRange.merged(sorted: answered.sorted())
        // What is read and not allowed is answered as well.
        let checkedDatagrams = options.quic == .check ? self.answered : []
        self.checkedDatagrams = pinned.reduce(checkedDatagrams) { rest, service in
            if case .ports(.udp, let ports) = service { rest.flatMap { $0.subtracting(ports) } } else { rest }
        }
        self.pinned = pinned
        self.spoken = self.checked.isEmpty ? [] : spoken
        passesUnverified = options.whenUnverified == .pin
    }

    /// Whether a name is read on a port of TCP.
    public func checks(_ port: UInt16) -> Bool { checked.contains { $0.contains(port) } }

    /// Whether the name in QUIC's first packets decides on a port of UDP.
    public func checksDatagrams(_ port: UInt16) -> Bool { checkedDatagrams.contains { $0.contains(port) } }

    private static func tcpPorts(_ rule: EgressRule) -> [PortRange] {
        if rule.services.isEmpty { return [.all] }
        let ranges = rule.services.compactMap { service -> PortRange? in
            switch service {
            case .any(.tcp): .all
            case .ports(.tcp, let ports): ports
            default: nil
            }
        }
        return PortRange.merged(sorted: ranges.sorted())
    }
}

extension Service {
    /// The ports of a service that names some.
    fileprivate var portRange: PortRange? {
        if case .ports(_, let ports) = self { ports } else { nil }
    }
}

extension PortRange {
    /// Those of some ports that are in the range.
    fileprivate func intersection(_ ports: [UInt16]) -> [PortRange] {
        ports.filter(contains).sorted().map { PortRange($0) }
    }

    /// The range without another.
    fileprivate func subtracting(_ other: PortRange) -> [PortRange] {
        guard other.lowerBound <= upperBound, lowerBound <= other.upperBound else { return [self] }
        var rest: [PortRange] = []
        if lowerBound < other.lowerBound, let below = PortRange(lowerBound, other.lowerBound - 1) { rest.append(below) }
        if other.upperBound < upperBound, let above = PortRange(other.upperBound + 1, upperBound) { rest.append(above) }
        return rest
    }

    /// The range without some ports.
    fileprivate func subtracting(_ ports: [UInt16]) -> [PortRange] {
        var result: [PortRange] = []
        var next = UInt32(lowerBound)
        for port in ports.filter(contains).sorted() {
            if port > next, let run = PortRange(UInt16(truncatingIfNeeded: next), port - 1) { result.append(run) }
            next = max(next, UInt32(port) + 1)
        }
        if next <= upperBound, let run = PortRange(UInt16(truncatingIfNeeded: next), upperBound) { result.append(run) }
        return result
    }
}
