// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// What an SVCB or HTTPS record says: another name, or how to reach a service (RFC 9460, section 2.2).
public struct ServiceBinding: Hashable, Sendable {
    /// A parameter: a key and bytes whose form depends on the key.
    public struct Parameter: Hashable, Sendable {
        /// The key (IANA, Service Parameter Keys).
        public var key: UInt16
        /// The value.
        public var value: [UInt8]

        /// Creates a parameter.
        public init(key: UInt16, value: [UInt8]) {
            self.key = key
            self.value = value
        }
    }

    /// Key of IPv4 addresses: `ipv4hint`.
    public static let ipv4Hint: UInt16 = 4
    /// Key of what encrypts a TLS hello: `ech`.
    public static let encryptedClientHello: UInt16 = 5
    /// Key of IPv6 addresses: `ipv6hint`.
    public static let ipv6Hint: UInt16 = 6

    /// The order among alternatives; 0 makes the record an alias.
    public var priority: UInt16
    /// The name of the service's host, or of what this is an alias for; the root stands for the owner.
    public var target: DNSName
    /// The parameters, by rising key.
    public var parameters: [Parameter]

    /// Creates a binding.
    public init(priority: UInt16, target: DNSName, parameters: [Parameter] = []) {
        self.priority = priority
        self.target = target
        self.parameters = parameters
    }

    init(from reader: inout DNSReader) throws(DNSWireError) {
        priority = try reader.readUInt16()
        target = try reader.readName()
        parameters = []
        while reader.count > 0 {
            let key = try reader.readUInt16()
            let value = Array(try reader.readBytes(Int(try reader.readUInt16())))
            // Keys in rising order, each once: anything else is malformed (section 2.2).
            if let last = parameters.last, last.key >= key { throw .badLength }
            if key == ServiceBinding.ipv4Hint && !value.count.isMultiple(of: 4) { throw .badLength }
            if key == ServiceBinding.ipv6Hint && !value.count.isMultiple(of: 16) { throw .badLength }
            parameters.append(Parameter(key: key, value: value))
        }
    }

    func encode(into writer: inout DNSWriter) throws(DNSWireError) {
        writer.append(priority)
        writer.append(target, compressed: false)
        for parameter in parameters {
            guard let count = UInt16(exactly: parameter.value.count) else { throw .tooLong }
            writer.append(parameter.key)
            writer.append(count)
            writer.append(contentsOf: parameter.value)
        }
    }

    /// The addresses of the hints, IPv4 first.
    public var addressHints: [IPAddress] {
        parameters.flatMap { parameter -> [IPAddress] in
            switch parameter.key {
            case ServiceBinding.ipv4Hint: ServiceBinding.addresses(parameter.value, .ipv4)
            case ServiceBinding.ipv6Hint: ServiceBinding.addresses(parameter.value, .ipv6)
            default: []
            }
        }
    }

    /// The binding without a key, and without the addresses that are not wanted; a hint that loses all goes.
    public func removing(key: UInt16, keepingHints isWanted: (IPAddress) -> Bool) -> ServiceBinding {
        var result = self
        result.parameters = parameters.compactMap { parameter in
            let family: AddressFamily
            switch parameter.key {
            case key: return nil
            case ServiceBinding.ipv4Hint: family = .ipv4
            case ServiceBinding.ipv6Hint: family = .ipv6
            default: return parameter
            }
            let kept = ServiceBinding.addresses(parameter.value, family).filter(isWanted)
            return kept.isEmpty ? nil : Parameter(key: parameter.key, value: kept.flatMap(ServiceBinding.bytes))
        }
        result.dropMissingFromMandatory(of: parameters)
        return result
    }

    /// `mandatory` (0) may not name what is no longer there (RFC 9460, section 8).
    private mutating func dropMissingFromMandatory(of before: [Parameter]) {
        let removed = Swift.Set(before.map(\.key)).subtracting(parameters.map(\.key))
        guard let place = parameters.firstIndex(where: { $0.key == 0 }), !removed.isEmpty else { return }
        let value = parameters[place].value
        let kept = stride(from: 0, to: value.count - 1, by: 2).filter {
            !removed.contains(UInt16(value[$0]) << 8 | UInt16(value[$0 + 1]))
        }
        parameters[place].value = kept.flatMap { [value[$0], value[$0 + 1]] }
        if kept.isEmpty { parameters.remove(at: place) }
    }

    private static func addresses(_ bytes: [UInt8], _ family: AddressFamily) -> [IPAddress] {
        let width = family.bitWidth / 8
        return stride(from: 0, to: bytes.count - bytes.count % width, by: width).map { start in
            let value = bytes[start..<(start + width)].reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
            return IPAddress(family: family, rawValue: value)
        }
    }

    private static func bytes(_ address: IPAddress) -> [UInt8] {
        let width = address.family.bitWidth
        return stride(from: width - 8, through: 0, by: -8).map {
            UInt8(truncatingIfNeeded: address.rawValue >> UInt128($0))
        }
    }
}
