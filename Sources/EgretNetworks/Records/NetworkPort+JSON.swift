// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

extension NetworkRecord.Port: JSONValue {
    private enum Key: String, JSONKey {
        case count, hostAddress, hostPort, namespace, number, sources, stage, targetPort, transport

        static let names: JSONNames<Key> = JSONNames(optional: [.hostAddress])
    }

    init(reading reader: inout JSONReader) throws(JSONFault) {
        self.init(
            number: 0, namespace: "", transport: "", hostAddress: nil, hostPort: 0, targetPort: 0, count: 0,
            sources: [], stage: .making)
        var members = try JSONMembers(Key.self, &reader)
        while let key = try members.next(&reader) {
            switch key {
            case .count: count = try UInt16(reading: &reader)
            case .hostAddress: hostAddress = try IPAddress(reading: &reader)
            case .hostPort: hostPort = try UInt16(reading: &reader)
            case .namespace: namespace = try String(reading: &reader)
            // The next one has a greater one.
            case .number: number = try Int(UInt32(reading: &reader))
            case .sources: sources = try [IPPrefix](reading: &reader)
            case .stage: stage = try NetworkRecord.Stage(reading: &reader)
            case .targetPort: targetPort = try UInt16(reading: &reader)
            case .transport: transport = try String(reading: &reader)
            }
        }
    }

    func write(to writer: inout JSONWriter) {
        writer.open(.object)
        writer.member(Key.count, count)
        writer.member(Key.hostAddress, hostAddress)
        writer.member(Key.hostPort, hostPort)
        writer.member(Key.namespace, namespace)
        writer.member(Key.number, number)
        writer.member(Key.sources, sources)
        writer.member(Key.stage, stage)
        writer.member(Key.targetPort, targetPort)
        writer.member(Key.transport, transport)
        writer.close(.object)
    }
}
