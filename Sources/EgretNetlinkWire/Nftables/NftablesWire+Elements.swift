// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNftables

extension NftablesWire {
    /// Decodes the elements of a set or map from the messages of a dump, sorted by key, ranges rejoined.
    ///
    /// The kernel keeps a range as its first key and, marked as an end, the key behind its last one. A range without
    /// an end reaches the next range's start, or the top. An end without a start is passed over: `nft` leaves one
    /// at key 0. A catch-all element, which Egret never makes, comes out as a range over all keys.
    ///
    /// - Parameters:
    ///   - messages: `NFT_MSG_NEWSETELEM` messages, all of the same set.
    ///   - keyType: The set's key type.
    ///   - furtherKeyTypes: The types of the further parts of a concatenated key.
    ///   - hasIntervals: Whether its keys may be ranges.
    /// - Returns: The elements.
    /// - Throws: ``WireError`` if a message is of another kind or malformed.
    public static func decodeElements(
        _ messages: [NetlinkMessage],
        keyType: DataType,
        furtherKeyTypes: [DataType] = [],
        hasIntervals: Bool
    ) throws(WireError) -> [SetElement] {
        var keys: [KernelElement] = []
        var elements: [SetElement] = []
        let top = UInt128.max >> UInt128(128 - 8 * keyType.byteCount)
        for message in messages {
            let body = try NftablesBody(message, [NftMessage.newElements, NftMessage.deleteElements])
            guard let list = body.find(Nfta.ElementList.elements) else { continue }
            try NetlinkAttribute.forEach(in: list.payload) { (attribute) throws(WireError) in
                let element = try KernelElement(attribute.payload, keyType, furtherKeyTypes)
                if let key = element.key {
                    if hasIntervals {
                        keys.append(KernelElement(key: key, isEnd: element.isEnd, verdict: element.verdict))
                    } else {
                        elements.append(SetElement(key, element.furtherKeys, verdict: element.verdict))
                    }
                } else {
                    elements.append(SetElement(0, top, verdict: element.verdict))
                }
            }
        }
        elements += rejoin(keys, top: top)
        elements.sort()
        return elements
    }

    /// Decodes the verdicts of a map's elements, whatever its keys are; of a plain set's, as many times `nil`.
    ///
    /// - Parameter message: A `NFT_MSG_NEWSETELEM` message.
    /// - Returns: The verdicts, in the order of the elements.
    /// - Throws: ``WireError`` if it is of another kind or malformed.
    public static func decodeVerdicts(_ message: NetlinkMessage) throws(WireError) -> [Verdict?] {
        let body = try NftablesBody(message, [NftMessage.newElements])
        var verdicts: [Verdict?] = []
        guard let list = body.find(Nfta.ElementList.elements) else { return [] }
        try NetlinkAttribute.forEach(in: list.payload) { (element) throws(WireError) in
            var verdict: Verdict?
            try NetlinkAttribute.forEach(in: element.payload) { (attribute) throws(WireError) in
                if attribute.type == Nfta.Element.data { verdict = try Verdict.decode(ofElement: attribute) }
            }
            verdicts.append(verdict)
        }
        return verdicts
    }

    private static func rejoin(_ keys: [KernelElement], top: UInt128) -> [SetElement] {
        let sorted = keys.sorted { left, right in
            guard let leftKey = left.key, let rightKey = right.key, leftKey != rightKey else {
                return left.isEnd && !right.isEnd
            }
            return leftKey < rightKey
        }
        var elements: [SetElement] = []
        var open: (key: UInt128, verdict: Verdict?)?
        for element in sorted {
            guard let key = element.key else { continue }
            if let start = open, key > start.key {
                elements.append(SetElement(start.key, key - 1, verdict: start.verdict))
            }
            open = element.isEnd ? nil : (key, element.verdict)
        }
        if let start = open { elements.append(SetElement(start.key, top, verdict: start.verdict)) }
        return elements
    }
}

extension Verdict {
    /// Decodes what an element of a map leads to; `nil` if that is no verdict.
    fileprivate static func decode(ofElement data: NetlinkAttribute) throws(WireError) -> Verdict? {
        var verdict: Verdict?
        try NetlinkAttribute.forEach(in: data.payload) { (attribute) throws(WireError) in
            if attribute.type == Nfta.Data.verdict { verdict = try Verdict.decode(attribute.payload) }
        }
        return verdict
    }
}

/// One element as the kernel keeps it.
private struct KernelElement {
    /// The key, as a number in host order; `nil` for a catch-all element.
    var key: UInt128?
    /// The further parts of a concatenated key.
    var furtherKeys: [UInt128] = []
    /// Whether it is the key behind a range's last.
    var isEnd = false
    var verdict: Verdict?

    init(key: UInt128, isEnd: Bool, verdict: Verdict?) {
        self.key = key
        self.isEnd = isEnd
        self.verdict = verdict
    }

    init(_ payload: ArraySlice<UInt8>, _ keyType: DataType, _ further: [DataType]) throws(WireError) {
        var flags: UInt32 = 0
        try NetlinkAttribute.forEach(in: payload) { (attribute) throws(WireError) in
            switch attribute.type {
            case Nfta.Element.key:
                let parts = try KernelElement.parts(attribute.payload, [keyType] + further)
                key = parts.first
                furtherKeys = Array(parts.dropFirst())
            case Nfta.Element.data:
                verdict = try Verdict.decode(ofElement: attribute)
            case Nfta.Element.flags:
                flags = try attribute.bigEndian(UInt32.self)
            default:
                break
            }
        }
        isEnd = flags & NftValue.elementIsIntervalEnd != 0
        guard key != nil || flags & NftValue.elementIsCatchAll != 0 else { throw WireError(.missing, "element key") }
    }

    private static func parts(_ payload: ArraySlice<UInt8>, _ types: [DataType]) throws(WireError) -> [UInt128] {
        var parts: [UInt128] = []
        try NetlinkAttribute.forEach(in: payload) { (data) throws(WireError) in
            guard data.type == Nfta.Data.value else { return }
            var reader = ByteReader(data.payload)
            for type in types {
                let bytes = try reader.readBytes(type.byteCount, "a key of \(type)")
                parts.append(
                    type.isHostOrder
                        ? ByteOrder.host(bytes, as: UInt128.self) : ByteOrder.bigEndian(bytes, as: UInt128.self))
                guard types.count > 1 else { continue }
                _ = try reader.readBytes(DataType.padded(type.byteCount) - type.byteCount, "padding of a key")
            }
            guard reader.count == 0 else {
                throw WireError(.badLength, "\(data.payload.count) bytes of key, expected \(types)")
            }
        }
        guard !parts.isEmpty else { throw WireError(.missing, "element key") }
        return parts
    }
}
