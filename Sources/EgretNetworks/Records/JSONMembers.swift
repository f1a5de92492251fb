// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The names of an object's members: the cases of an enumeration, in the order in which they are written.
protocol JSONKey: RawRepresentable, CaseIterable, Hashable, Sendable where RawValue == String {
    /// Their bytes, and which of them may be absent.
    static var names: JSONNames<Self> { get }
}

/// The names of an object's members as bytes; 64 at most.
struct JSONNames<Key: JSONKey>: Sendable {
    let keys: [Key]
    let bytes: [[UInt8]]
    /// A bit for each member that has to be there.
    let required: UInt64

    /// - Parameter optional: Members that may be absent.
    init(optional: Set<Key> = []) {
        let all = Array(Key.allCases)
        keys = all
        bytes = all.map { Array($0.rawValue.utf8) }
        var bits: UInt64 = 0
        for (index, key) in all.enumerated() where !optional.contains(key) { bits |= 1 << UInt64(index) }
        required = bits
    }
}

/// Goes through the members of an object.
///
/// They come in any order. Members of other names, as a later egret may have, are passed over; `null` is as if the member
/// was not there. A member that is there twice is refused: nobody knows which of the two was meant.
struct JSONMembers<Key: JSONKey> {
    private let names = Key.names
    private var isFirst = true
    private var seen: UInt64 = 0
    /// The number of the member that is next in the order of writing.
    private var expected = 0

    /// Moves into an object.
    ///
    /// - Parameters:
    ///   - key: The names of its members.
    ///   - reader: Where the object is next.
    /// - Throws: ``JSONFault`` if there is no object.
    init(_ key: Key.Type, _ reader: inout JSONReader) throws(JSONFault) {
        try reader.open(.object)
    }

    /// Moves to the next member's value.
    ///
    /// - Parameter reader: Where the last member's value has ended.
    /// - Returns: The member; `nil` at the object's end, when every member was there that has to be.
    /// - Throws: ``JSONFault`` if what comes is no member, or was there before, or if one is missing.
    mutating func next(_ reader: inout JSONReader) throws(JSONFault) -> Key? {
        while try reader.hasNext(in: .object, isFirst: isFirst) {
            isFirst = false
            let start = reader.position
            guard let index = try reader.readName(among: names.bytes, expected: expected) else {
                try reader.skipValue()
                continue
            }
            if try reader.takeNull() { continue }
            let bit: UInt64 = 1 << UInt64(index)
            guard seen & bit == 0 else {
                throw JSONFault(position: start, words: "“\(names.keys[index].rawValue)” is there twice")
            }
            seen |= bit
            expected = index + 1
            return names.keys[index]
        }
        let missing = (names.required & ~seen).trailingZeroBitCount
        guard missing >= names.keys.count else {
            throw JSONFault(position: reader.position - 1, words: "it has no “\(names.keys[missing].rawValue)”")
        }
        return nil
    }
}
