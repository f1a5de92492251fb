// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

extension NetworkRecord.Endpoint: JSONValue {
    private enum Key: String, JSONKey {
        case addresses, attachment, cookie, hardwareAddress, hostHardwareAddress, hostIndex, hostInterface, identity
        case interface, isCreated, namespace, order, rates, sourceAddresses, stage

        static let names: JSONNames<Key> = JSONNames(optional: [.attachment, .identity, .order, .rates])
    }

    init(reading reader: inout JSONReader) throws(JSONFault) {
        self.init(
            namespace: "", cookie: 0, isCreated: false, interface: "", hostInterface: "", hostIndex: 0,
            hardwareAddress: "", hostHardwareAddress: "", addresses: [], sourceAddresses: [], stage: .making)
        var members = try JSONMembers(Key.self, &reader)
        while let key = try members.next(&reader) {
            switch key {
            case .addresses: addresses = try [IPAddress](reading: &reader)
            case .attachment: attachment = try ContainerAttachment(reading: &reader)
            case .cookie: cookie = try UInt64(reading: &reader)
            case .hardwareAddress: hardwareAddress = try String(reading: &reader)
            case .hostHardwareAddress: hostHardwareAddress = try String(reading: &reader)
            case .hostIndex: hostIndex = try UInt32(reading: &reader)
            case .hostInterface: hostInterface = try String(reading: &reader)
            case .identity: identity = try EndpointIdentity(reading: &reader)
            case .interface: interface = try String(reading: &reader)
            case .isCreated: isCreated = try Bool(reading: &reader)
            case .namespace: namespace = try String(reading: &reader)
            // The next one has a greater one.
            case .order: order = try Int(UInt32(reading: &reader))
            case .rates: rates = try [EndpointRate](reading: &reader)
            case .sourceAddresses: sourceAddresses = try [AddressPair](reading: &reader)
            case .stage: stage = try NetworkRecord.Stage(reading: &reader)
            }
        }
    }

    func write(to writer: inout JSONWriter) {
        writer.open(.object)
        writer.member(Key.addresses, addresses)
        writer.member(Key.attachment, attachment)
        writer.member(Key.cookie, cookie)
        writer.member(Key.hardwareAddress, hardwareAddress)
        writer.member(Key.hostHardwareAddress, hostHardwareAddress)
        writer.member(Key.hostIndex, hostIndex)
        writer.member(Key.hostInterface, hostInterface)
        writer.member(Key.identity, identity)
        writer.member(Key.interface, interface)
        writer.member(Key.isCreated, isCreated)
        writer.member(Key.namespace, namespace)
        writer.member(Key.order, order)
        writer.member(Key.rates, rates)
        writer.member(Key.sourceAddresses, sourceAddresses)
        writer.member(Key.stage, stage)
        writer.close(.object)
    }
}

extension ContainerAttachment: JSONValue {
    private enum Key: String, JSONKey {
        case container, interface, network

        static let names: JSONNames<Key> = JSONNames()
    }

    init(reading reader: inout JSONReader) throws(JSONFault) {
        self.init(network: "", container: "", interface: "")
        var members = try JSONMembers(Key.self, &reader)
        while let key = try members.next(&reader) {
            switch key {
            case .container: container = try String(reading: &reader)
            case .interface: interface = try String(reading: &reader)
            case .network: network = try String(reading: &reader)
            }
        }
    }

    func write(to writer: inout JSONWriter) {
        writer.open(.object)
        writer.member(Key.container, container)
        writer.member(Key.interface, interface)
        writer.member(Key.network, network)
        writer.close(.object)
    }
}

extension EndpointRate: JSONValue {
    private enum Key: String, JSONKey {
        case bitsPerSecond, burstBytes, isEgress

        static let names: JSONNames<Key> = JSONNames(optional: [.burstBytes])
    }

    init(reading reader: inout JSONReader) throws(JSONFault) {
        self.init(isEgress: false, bitsPerSecond: 0)
        var members = try JSONMembers(Key.self, &reader)
        while let key = try members.next(&reader) {
            switch key {
            case .bitsPerSecond: bitsPerSecond = try UInt64(reading: &reader)
            case .burstBytes: burstBytes = try UInt64(reading: &reader)
            case .isEgress: isEgress = try Bool(reading: &reader)
            }
        }
    }

    func write(to writer: inout JSONWriter) {
        writer.open(.object)
        writer.member(Key.bitsPerSecond, bitsPerSecond)
        writer.member(Key.burstBytes, burstBytes)
        writer.member(Key.isEgress, isEgress)
        writer.close(.object)
    }
}

extension EndpointIdentity: JSONValue {
    private enum Key: String, JSONKey {
        case group, labels, name, ports

        static let names: JSONNames<Key> = JSONNames()
    }

    init(reading reader: inout JSONReader) throws(JSONFault) {
        self.init(group: "", name: "", labels: [:], ports: [])
        var members = try JSONMembers(Key.self, &reader)
        while let key = try members.next(&reader) {
            switch key {
            case .group: group = try String(reading: &reader)
            case .labels: labels = try [String: String](reading: &reader)
            case .name: name = try String(reading: &reader)
            case .ports: ports = try [Port](reading: &reader)
            }
        }
    }

    func write(to writer: inout JSONWriter) {
        writer.open(.object)
        writer.member(Key.group, group)
        writer.member(Key.labels, labels)
        writer.member(Key.name, name)
        writer.member(Key.ports, ports)
        writer.close(.object)
    }
}

extension EndpointIdentity.Port: JSONValue {
    private enum Key: String, JSONKey {
        case name, number, transport

        static let names: JSONNames<Key> = JSONNames()
    }

    init(reading reader: inout JSONReader) throws(JSONFault) {
        self.init(name: "", transport: "", number: 0)
        var members = try JSONMembers(Key.self, &reader)
        while let key = try members.next(&reader) {
            switch key {
            case .name: name = try String(reading: &reader)
            case .number: number = try UInt16(reading: &reader)
            case .transport: transport = try String(reading: &reader)
            }
        }
    }

    func write(to writer: inout JSONWriter) {
        writer.open(.object)
        writer.member(Key.name, name)
        writer.member(Key.number, number)
        writer.member(Key.transport, transport)
        writer.close(.object)
    }
}
