// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A network as its file has it. The members' names are those of the properties; whatever is `nil` is absent.
///
/// The names stand in alphabetical order, as they are written: files of two moments can be compared.
extension NetworkRecord: JSONValue {
    private enum Key: String, JSONKey {
        case bootID, bridgeHardwareAddress, bridgeIndex, endpoints, isAdopted, isIsolated, isTranslated, mode, mtu, name
        case passages, policyFile, ports, sourceAddresses, stage, subnets, version

        static let names: JSONNames<Key> = JSONNames(
            optional: [.bridgeHardwareAddress, .bridgeIndex, .mtu, .passages, .policyFile])
    }

    /// Reads a file.
    ///
    /// - Parameter json: Its bytes.
    /// - Throws: ``JSONFault`` if they are no network, or if one of a later version cannot be read as one of this.
    init(json: [UInt8]) throws(JSONFault) {
        var reader = JSONReader(json)
        try self.init(reading: &reader)
        try reader.finish()
    }

    /// The bytes of its file.
    var json: [UInt8] {
        var writer = JSONWriter(capacity: 1_024 + endpoints.count * 640 + ports.count * 256)
        write(to: &writer)
        writer.append(plain: "\n")
        return writer.bytes
    }

    init(reading reader: inout JSONReader) throws(JSONFault) {
        self.init(NetworkSpec(name: "", mode: .routed, subnets: []), bootID: "")
        var members = try JSONMembers(Key.self, &reader)
        while let key = try members.next(&reader) {
            switch key {
            case .bootID: bootID = try String(reading: &reader)
            case .bridgeHardwareAddress: bridgeHardwareAddress = try String(reading: &reader)
            case .bridgeIndex: bridgeIndex = try UInt32(reading: &reader)
            case .endpoints: endpoints = try [Endpoint](reading: &reader)
            case .isAdopted: isAdopted = try Bool(reading: &reader)
            case .isIsolated: isIsolated = try Bool(reading: &reader)
            case .isTranslated: isTranslated = try Bool(reading: &reader)
            case .mode: mode = try NetworkSpec.Mode(reading: &reader)
            case .mtu: mtu = try UInt32(reading: &reader)
            case .name: name = try String(reading: &reader)
            case .passages: passages = try [Passage](reading: &reader)
            case .policyFile: policyFile = try String(reading: &reader)
            case .ports: ports = try [Port](reading: &reader)
            case .sourceAddresses: sourceAddresses = try [AddressPair](reading: &reader)
            case .stage: stage = try Stage(reading: &reader)
            case .subnets: subnets = try [Subnet](reading: &reader)
            case .version: version = try Int(reading: &reader)
            }
        }
    }

    func write(to writer: inout JSONWriter) {
        writer.open(.object)
        writer.member(Key.bootID, bootID)
        writer.member(Key.bridgeHardwareAddress, bridgeHardwareAddress)
        writer.member(Key.bridgeIndex, bridgeIndex)
        writer.member(Key.endpoints, endpoints)
        writer.member(Key.isAdopted, isAdopted)
        writer.member(Key.isIsolated, isIsolated)
        writer.member(Key.isTranslated, isTranslated)
        writer.member(Key.mode, mode)
        writer.member(Key.mtu, mtu)
        writer.member(Key.name, name)
        writer.member(Key.passages, passages)
        writer.member(Key.policyFile, policyFile)
        writer.member(Key.ports, ports)
        writer.member(Key.sourceAddresses, sourceAddresses)
        writer.member(Key.stage, stage)
        writer.member(Key.subnets, subnets)
        writer.member(Key.version, version)
        writer.close(.object)
    }

    private enum VersionKey: String, JSONKey {
        case version

        static let names: JSONNames<VersionKey> = JSONNames()
    }

    /// The version that a file says it is of, whatever else it says.
    ///
    /// - Parameter json: Its bytes.
    /// - Returns: The version.
    /// - Throws: ``JSONFault`` if they are no object that has one.
    static func version(json: [UInt8]) throws(JSONFault) -> Int {
        var reader = JSONReader(json)
        var version = 0
        var members = try JSONMembers(VersionKey.self, &reader)
        while try members.next(&reader) != nil { version = try Int(reading: &reader) }
        return version
    }
}

extension NetworkRecord.Stage: JSONValue {
    init(reading reader: inout JSONReader) throws(JSONFault) {
        self = try reader.read("stage") { NetworkRecord.Stage(rawValue: $0) }
    }

    func write(to writer: inout JSONWriter) { writer.append(quoted: rawValue) }
}

extension NetworkSpec.Mode: JSONValue {
    init(reading reader: inout JSONReader) throws(JSONFault) {
        self = try reader.read("mode") { NetworkSpec.Mode(rawValue: $0) }
    }

    func write(to writer: inout JSONWriter) { writer.append(quoted: rawValue) }
}

extension Passage: JSONValue {
    private enum Key: String, JSONKey {
        case rules, tool

        static let names: JSONNames<Key> = JSONNames()
    }

    init(reading reader: inout JSONReader) throws(JSONFault) {
        self.init(.docker)
        var members = try JSONMembers(Key.self, &reader)
        while let key = try members.next(&reader) {
            switch key {
            case .rules: rules = try [String](reading: &reader)
            case .tool: tool = try reader.read("tool") { Tool(rawValue: $0) }
            }
        }
    }

    func write(to writer: inout JSONWriter) {
        writer.open(.object)
        writer.member(Key.rules, rules)
        writer.member(Key.tool, tool.rawValue)
        writer.close(.object)
    }
}
