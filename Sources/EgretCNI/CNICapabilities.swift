// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCommands
import EgretDocuments
import EgretNetworks
import EgretPolicy

/// What a runtime asks for one container: `runtimeConfig` and `args.cni` (CNI conventions), and `CNI_ARGS`.
struct CNICapabilities {
    private let request: CNIRequest

    init(_ request: CNIRequest) {
        self.request = request
    }

    private var runtime: DataValue { request.configuration["runtimeConfig"] ?? .object([:]) }
    private var given: DataValue { request.configuration["args"]?["cni"] ?? .object([:]) }

    /// The addresses that are asked for (`ips`), with or without the length of their block.
    func addresses() throws(CNIError) -> [IPAddress] {
        var texts = try runtime.texts("ips")
        if texts.isEmpty { texts = try given.texts("ips") }
        if texts.isEmpty, let text = request.arguments["IP"] {
            texts = text.split(separator: ",").map(String.init)
        }
        return try texts.map { text throws(CNIError) in
            guard let address = text.split(separator: "/").first.flatMap({ IPAddress($0) }) else {
                throw CNIError(.invalidConfiguration, "ips: “\(text)” is no address")
            }
            return address
        }
    }

    /// The hardware address that is asked for (`mac`).
    func hardwareAddress() throws(CNIError) -> MACAddress? {
        let (first, second) = (try runtime.text("mac"), try given.text("mac"))
        guard let text = first ?? second ?? request.arguments["MAC"] else { return nil }
        // Neither a group's address nor nobody's can be an interface's (IEEE 802).
        guard let address = MACAddress(text: text), address.rawValue >> 40 & 1 == 0, address.rawValue != 0 else {
            throw CNIError(.invalidConfiguration, "mac: “\(text)” cannot be an interface's hardware address")
        }
        return address
    }

    /// The name servers that are asked for (`dns`), in the words of a result; `nil` if none are.
    ///
    /// Runtimes ask for `servers` and `searches` (CNI conventions); a result has `nameservers` and `search`.
    func dns() throws(CNIError) -> DataValue? {
        guard let asked = runtime["dns"], asked != .null else { return nil }
        guard case .object(let members) = asked else {
            throw CNIError(.invalidConfiguration, "dns is to be an object")
        }
        let words = ["servers": "nameservers", "searches": "search"]
        var told: [String: DataValue] = [:]
        for (key, value) in members where value != .null && value != .array([]) {
            told[words[key] ?? key] = value
        }
        return told.isEmpty ? nil : .object(told)
    }

    // MARK: - Behind other plugins

    /// Refuses what only the plugin that makes the interface can do: a rate that nobody holds is no limit.
    ///
    /// - Throws: ``CNIError`` with the number 2, which names what is asked for.
    func validateBehindOthers() throws(CNIError) {
        let isAsked: [(name: String, isSo: Bool)] = [
            ("bandwidth", try !rates().isEmpty), ("portMappings", try !ports().isEmpty),
            ("ips", try !runtime.texts("ips").isEmpty), ("mac", try runtime.text("mac") != nil),
        ]
        guard let name = isAsked.first(where: { $0.isSo })?.name else { return }
        throw CNIError(
            .unsupportedField, "\(name) is asked for, which egret-cni does only where it makes the interface",
            details: "take it out of egret-cni's capabilities, or give egret-cni subnets and have it make interfaces")
    }

    // MARK: - Ports

    /// The ports of the host that are to lead to the container (`portMappings`).
    func ports() throws(CNIError) -> [ContainerNetworks.Port] {
        guard let value = runtime["portMappings"], value != .null else { return [] }
        guard case .array(let items) = value else {
            throw CNIError(.invalidConfiguration, "portMappings is to be a list")
        }
        var ports: [ContainerNetworks.Port] = []
        for item in items {
            let transport = try item.text("protocol")?.lowercased() ?? "tcp"
            guard ["tcp", "udp", "sctp"].contains(transport) else {
                throw CNIError(.invalidConfiguration, "portMappings: \(transport) is none of tcp, udp and sctp")
            }
            // Runtimes tell of ports that are not published as well.
            guard let host = try port(item, "hostPort") else { continue }
            guard let container = try port(item, "containerPort") else {
                throw CNIError(.invalidConfiguration, "portMappings: hostPort \(host) has no containerPort")
            }
            let text = item["hostIP"]?.text ?? ""
            let address = IPAddress(text)
            if !text.isEmpty && address == nil {
                throw CNIError(.invalidConfiguration, "portMappings: “\(text)” is no address")
            }
            // All addresses of that family, and none of the other.
            let isAny = address?.rawValue == 0
            ports.append(
                ContainerNetworks.Port(
                    transport: transport, hostAddress: isAny ? nil : address, family: isAny ? address?.family : nil,
                    hostPort: host, containerPort: container))
        }
        return ports
    }

    private func port(_ item: DataValue, _ key: String) throws(CNIError) -> UInt16? {
        guard let number = try item.number(key), number > 0 else { return nil }
        guard let port = UInt16(exactly: number) else {
            throw CNIError(.invalidConfiguration, "portMappings: \(number) is no port")
        }
        return port
    }

    // MARK: - Rates

    /// The member of `runtimeConfig` that a runtime of Kubernetes puts a pod's annotations into, if it is listed among the
    /// configuration's capabilities.
    private static let annotations = "io.kubernetes.cri.pod-annotations"
    /// What runtimes write who mean no burst in particular: the largest number of 32 bits.
    private static let anyBurst: UInt64 = 2_147_483_647

    /// How fast the container's traffic may be (`bandwidth`, or Kubernetes' annotations).
    func rates() throws(CNIError) -> [EndpointRate] {
        var rates: [EndpointRate] = []
        for (isEgress, direction) in [(true, "egress"), (false, "ingress")] {
            let (asked, annotated) = (try rate(direction, isEgress), try annotated(direction, isEgress))
            if let rate = asked ?? annotated { rates.append(rate) }
        }
        return rates
    }

    private func rate(_ direction: String, _ isEgress: Bool) throws(CNIError) -> EndpointRate? {
        guard let bandwidth = runtime["bandwidth"], bandwidth != .null else { return nil }
        guard case .object = bandwidth else {
            throw CNIError(.invalidConfiguration, "bandwidth is to be an object")
        }
        let burst = try bandwidth.number("\(direction)Burst") ?? 0
        guard let rate = try bandwidth.number("\(direction)Rate"), rate > 0 else {
            if burst == 0 { return nil }
            throw CNIError(.invalidConfiguration, "bandwidth has \(direction)Burst and no \(direction)Rate")
        }
        let isOwn = burst > 0 && burst < CNICapabilities.anyBurst
        return try CNICapabilities.checked(
            EndpointRate(isEgress: isEgress, bitsPerSecond: rate, burstBytes: isOwn ? max(1, burst / 8) : nil),
            "\(direction)Rate")
    }

    private func annotated(_ direction: String, _ isEgress: Bool) throws(CNIError) -> EndpointRate? {
        let key = "kubernetes.io/\(direction)-bandwidth"
        guard let text = try runtime[CNICapabilities.annotations]?.text(key) else { return nil }
        // A quantity of Kubernetes': in it, `m` is a thousandth.
        guard !text.contains("m"), let rate = BitRate(text + "bit") else {
            throw CNIError(.invalidConfiguration, "\(key): “\(text)” is no rate", details: "write 10M, or 1.5G")
        }
        return try CNICapabilities.checked(
            EndpointRate(isEgress: isEgress, bitsPerSecond: rate.bitsPerSecond), key)
    }

    private static func checked(_ rate: EndpointRate, _ field: String) throws(CNIError) -> EndpointRate {
        guard BitRate.limits.contains(BitRate(bitsPerSecond: rate.bitsPerSecond)) else {
            throw CNIError(
                .invalidConfiguration,
                "\(field) is not between \(BitRate.limits.lowerBound) and \(BitRate.limits.upperBound)")
        }
        return rate
    }
}
