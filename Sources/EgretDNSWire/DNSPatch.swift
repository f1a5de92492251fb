// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Changes to a message's bytes where they are, for messages that have been read without an error.
///
/// Places that are not in the message are left alone.
public enum DNSPatch {
    /// Writes the id.
    public static func setID(_ id: UInt16, in message: inout [UInt8]) {
        set(id, at: 0, in: &message)
    }

    /// Writes the first question's name, which has the same length as the one that is there.
    public static func setQuestionName(_ name: DNSName, in message: inout [UInt8]) {
        guard message.count >= 12 + name.wire.count else { return }
        message.replaceSubrange(12..<(12 + name.wire.count), with: name.wire)
    }

    /// Lowers the payload size of the OPT pseudo-record to at most `limit`.
    public static func limitPayloadSize(_ limit: UInt16, _ layout: DNSLayout, in message: inout [UInt8]) {
        guard let place = layout.optionsClassPlace, place + 2 <= message.count else { return }
        let size = UInt16(message[place]) << 8 | UInt16(message[place + 1])
        if size > limit { set(limit, at: place, in: &message) }
    }

    /// Lowers the lifetimes of all records to at most `limit` seconds; one with the top bit set is zero (RFC 2181,
    /// section 8).
    public static func limitLifetimes(_ limit: UInt32, _ layout: DNSLayout, in message: inout [UInt8]) {
        for place in layout.lifetimePlaces where place + 4 <= message.count {
            let value = message[place..<(place + 4)].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            let lowered = value > UInt32(Int32.max) ? 0 : min(value, limit)
            guard lowered < value else { continue }
            set(UInt16(truncatingIfNeeded: lowered >> 16), at: place, in: &message)
            set(UInt16(truncatingIfNeeded: lowered), at: place + 2, in: &message)
        }
    }

    private static func set(_ value: UInt16, at place: Int, in message: inout [UInt8]) {
        guard place + 2 <= message.count else { return }
        message[place] = UInt8(truncatingIfNeeded: value >> 8)
        message[place + 1] = UInt8(truncatingIfNeeded: value)
    }
}
