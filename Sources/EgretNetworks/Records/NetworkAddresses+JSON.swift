// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

extension IPAddress: JSONValue {
    init(reading reader: inout JSONReader) throws(JSONFault) {
        self = try reader.read("address") { IPAddress($0) }
    }

    func write(to writer: inout JSONWriter) { writer.append(quoted: description) }

    /// What a value begins with that gets its addresses from a text: it is whole when they have all been read.
    fileprivate static let unread = IPAddress.v4(IPv4Address(rawValue: 0))
}

extension IPPrefix: JSONValue {
    init(reading reader: inout JSONReader) throws(JSONFault) {
        self = try reader.read("block") { IPPrefix($0) }
    }

    func write(to writer: inout JSONWriter) { writer.append(quoted: description) }
}

extension Subnet: JSONValue {
    private enum Key: String, JSONKey {
        case block, gateway

        static let names: JSONNames<Key> = JSONNames()
    }

    init(reading reader: inout JSONReader) throws(JSONFault) {
        self.init(IPPrefix(IPAddress.unread), gateway: IPAddress.unread)
        var members = try JSONMembers(Key.self, &reader)
        while let key = try members.next(&reader) {
            switch key {
            case .block: block = try IPPrefix(reading: &reader)
            case .gateway: gateway = try IPAddress(reading: &reader)
            }
        }
    }

    func write(to writer: inout JSONWriter) {
        writer.open(.object)
        writer.member(Key.block, block)
        writer.member(Key.gateway, gateway)
        writer.close(.object)
    }
}

extension AddressPair: JSONValue {
    private enum Key: String, JSONKey {
        case first, isPerConnection, last

        static let names: JSONNames<Key> = JSONNames(optional: [.isPerConnection])
    }

    init(reading reader: inout JSONReader) throws(JSONFault) {
        var first = IPAddress.unread
        var last = IPAddress.unread
        var isPerConnection = false
        var members = try JSONMembers(Key.self, &reader)
        let start = reader.position - 1
        while let key = try members.next(&reader) {
            switch key {
            case .first: first = try IPAddress(reading: &reader)
            case .isPerConnection: isPerConnection = try Bool(reading: &reader)
            case .last: last = try IPAddress(reading: &reader)
            }
        }
        guard let pair = AddressPair(first, last) else {
            throw JSONFault(position: start, words: "\(first) to \(last) is no run of addresses")
        }
        self = isPerConnection ? pair.perConnection : pair
    }

    func write(to writer: inout JSONWriter) {
        writer.open(.object)
        writer.member(Key.first, first)
        writer.member(Key.isPerConnection, isPerConnection)
        writer.member(Key.last, last)
        writer.close(.object)
    }
}
