// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNetlinkWire

/// A message as a tree of attributes, sorted by type, so that messages of two programs can be compared whatever
/// order they put attributes in.
struct MessageTree: Equatable, CustomStringConvertible {
    var type: UInt16
    var header: [UInt8]
    var attributes: [AttributeTree]

    /// - Parameters:
    ///   - message: What to read.
    ///   - headerSize: The bytes between the netlink header and the first attribute.
    ///   - leavingOut: Types of attributes at the top that do not count.
    /// - Throws: ``WireError`` if the attributes are malformed.
    init(_ message: NetlinkMessage, headerSize: Int, leavingOut: [UInt16] = []) throws {
        type = message.type
        header = Array(message.payload.prefix(headerSize))
        attributes = try AttributeTree.parse(message.payload.dropFirst(headerSize), headerSize: headerSize)
            .filter { !leavingOut.contains($0.type) }
    }

    var description: String { "\(type) \(header) \(attributes)" }
}

/// An attribute: bytes, or attributes if it is marked as nested.
struct AttributeTree: Equatable, CustomStringConvertible {
    var type: UInt16
    var bytes: [UInt8]
    var children: [AttributeTree]

    var description: String { children.isEmpty ? "\(type): \(bytes)" : "\(type): \(children)" }

    static func parse(_ bytes: ArraySlice<UInt8>, headerSize: Int) throws -> [AttributeTree] {
        var reader = ByteReader(bytes)
        var list: [AttributeTree] = []
        while reader.count > 0 {
            let length = Int(try reader.readHost(UInt16.self, "length"))
            let type = try reader.readHost(UInt16.self, "type")
            let payload = try reader.readBytes(length - 4, "payload")
            reader.skipPadding(-length & 3)
            let isNested = type & 0x8000 != 0
            list.append(
                AttributeTree(
                    type: type & 0x3fff,
                    bytes: isNested ? [] : Array(payload),
                    children: isNested ? try parse(payload, headerSize: headerSize) : []
                )
            )
        }
        // Lists keep their order: their attributes are all of type 1, and the sort is stable.
        return list.enumerated().sorted { ($0.element.type, $0.offset) < ($1.element.type, $1.offset) }.map(\.element)
    }
}
