// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What is kept as JSON: it reads itself from a text's bytes and writes itself, with nothing in between.
///
/// `Codable` makes a tree of boxes of every text first: beside 500 endpoints that was 45 % of what `egret-cni` did, for the
/// file is read with each request of a container runtime, and written several times.
protocol JSONValue {
    /// Reads the value that comes next, and moves past it.
    ///
    /// - Parameter reader: Where it stands.
    /// - Throws: ``JSONFault`` if what comes next is no such value.
    init(reading reader: inout JSONReader) throws(JSONFault)

    /// Writes it.
    ///
    /// - Parameter writer: What has been written so far.
    func write(to writer: inout JSONWriter)
}

extension JSONValue where Self: FixedWidthInteger {
    init(reading reader: inout JSONReader) throws(JSONFault) { self = try reader.readInteger(Self.self) }

    func write(to writer: inout JSONWriter) { writer.append(plain: String(self)) }
}

extension Int: JSONValue {}
extension UInt16: JSONValue {}
extension UInt32: JSONValue {}
extension UInt64: JSONValue {}

extension Bool: JSONValue {
    init(reading reader: inout JSONReader) throws(JSONFault) { self = try reader.readBool() }

    func write(to writer: inout JSONWriter) { writer.append(plain: self ? "true" : "false") }
}

extension String: JSONValue {
    init(reading reader: inout JSONReader) throws(JSONFault) { self = try reader.readString() }

    func write(to writer: inout JSONWriter) { writer.append(quoted: self) }
}

extension Array: JSONValue where Element: JSONValue {
    init(reading reader: inout JSONReader) throws(JSONFault) {
        var found: [Element] = []
        try reader.open(.array)
        while try reader.hasNext(in: .array, isFirst: found.isEmpty) { found.append(try Element(reading: &reader)) }
        self = found
    }

    func write(to writer: inout JSONWriter) {
        writer.open(.array)
        for element in self {
            writer.beginElement()
            element.write(to: &writer)
        }
        writer.close(.array)
    }
}

extension Dictionary: JSONValue where Key == String, Value == String {
    init(reading reader: inout JSONReader) throws(JSONFault) {
        var found: [String: String] = [:]
        try reader.open(.object)
        while try reader.hasNext(in: .object, isFirst: found.isEmpty) {
            let start = reader.position
            let name = try reader.readName()
            let value = try reader.readString()
            guard found.updateValue(value, forKey: name) == nil else {
                throw JSONFault(position: start, words: "“\(name)” is there twice")
            }
        }
        self = found
    }

    func write(to writer: inout JSONWriter) {
        writer.open(.object)
        for (name, value) in sorted(by: { $0.key < $1.key }) {
            writer.beginElement()
            writer.append(quoted: name)
            writer.append(plain: " : ")
            writer.append(quoted: value)
        }
        writer.close(.object)
    }
}
