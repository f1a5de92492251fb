// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A message of the DNS (RFC 1035, section 4).
///
/// ```
///   | id | flags | counts of the four sections | questions | answers | authorities | additional |
/// ```
public struct DNSMessage: Hashable, Sendable {
    /// The number by which an answer finds its question.
    public var id: UInt16
    /// Flags, operation and response code.
    public var flags: DNSFlags
    /// What is asked.
    public var questions: [DNSQuestion]
    /// What answers the question.
    public var answers: [DNSRecord]
    /// Who would know.
    public var authorities: [DNSRecord]
    /// What else may be of use; without the OPT pseudo-record.
    public var additional: [DNSRecord]
    /// What the OPT pseudo-record says, where there is one.
    public var extended: ExtendedDNS?

    /// Creates a message.
    public init(id: UInt16, flags: DNSFlags = DNSFlags(rawValue: 0), questions: [DNSQuestion] = []) {
        self.id = id
        self.flags = flags
        self.questions = questions
        answers = []
        authorities = []
        additional = []
        extended = nil
    }

    /// The response code with its extension.
    public var responseCode: DNSResponseCode {
        DNSResponseCode(rawValue: flags.responseCode.rawValue | UInt16(extended?.extendedCode ?? 0) << 4)
    }

    /// Reads a whole message, and nothing may follow it.
    public init(_ bytes: [UInt8]) throws(DNSWireError) {
        (self, _) = try DNSMessage.read(bytes)
    }

    /// Reads a whole message, and where its parts are.
    ///
    /// - Throws: ``DNSWireError`` if it is not well formed, or something follows it.
    /// - Complexity: O(*n*) in the message's length, times the length of a name.
    public static func read(_ bytes: [UInt8]) throws(DNSWireError) -> (DNSMessage, DNSLayout) {
        var reader = DNSReader(bytes)
        var message = DNSMessage(id: try reader.readUInt16())
        var layout = DNSLayout()
        message.flags = DNSFlags(rawValue: try reader.readUInt16())
        var counts: [Int] = []
        for _ in 0..<4 { counts.append(Int(try reader.readUInt16())) }
        for _ in 0..<counts[0] {
            let name = try reader.readName()
            message.questions.append(
                DNSQuestion(
                    name, DNSRecordType(rawValue: try reader.readUInt16()), recordClass: try reader.readUInt16()))
        }
        layout.questionEnd = reader.position
        for _ in 0..<counts[1] { try message.readRecord(&reader, &layout, \.answers, mayBeOptions: false) }
        for _ in 0..<counts[2] { try message.readRecord(&reader, &layout, \.authorities, mayBeOptions: false) }
        for _ in 0..<counts[3] { try message.readRecord(&reader, &layout, \.additional, mayBeOptions: true) }
        guard reader.count == 0 else { throw .badLength }
        return (message, layout)
    }

    private mutating func readRecord(
        _ reader: inout DNSReader,
        _ layout: inout DNSLayout,
        _ section: WritableKeyPath<DNSMessage, [DNSRecord]>,
        mayBeOptions: Bool
    ) throws(DNSWireError) {
        let name = try reader.readName()
        let type = DNSRecordType(rawValue: try reader.readUInt16())
        let classPlace = reader.position
        let recordClass = try reader.readUInt16()
        let timeToLive = try reader.readUInt32()
        var part = try reader.readPart(Int(try reader.readUInt16()))
        if type == .opt {
            // One at most, of the root, among the additional records (RFC 6891, section 6.1.1).
            guard mayBeOptions, extended == nil, name == .root else { throw .badLength }
            extended = try ExtendedDNS(recordClass: recordClass, timeToLive: timeToLive, from: &part)
            layout.optionsClassPlace = classPlace
            return
        }
        var record = DNSRecord(name, type, timeToLive: timeToLive, try DNSRecordData(type, from: &part))
        record.recordClass = recordClass
        layout.lifetimePlaces.append(classPlace + 2)
        self[keyPath: section].append(record)
    }

    /// The message's bytes, names compressed.
    ///
    /// - Throws: ``DNSWireError/tooLong`` if it has none.
    public func encoded() throws(DNSWireError) -> [UInt8] {
        var writer = DNSWriter()
        writer.append(id)
        writer.append(flags.rawValue)
        let extra = additional.count + (extended == nil ? 0 : 1)
        for count in [questions.count, answers.count, authorities.count, extra] {
            guard let count = UInt16(exactly: count) else { throw .tooLong }
            writer.append(count)
        }
        for question in questions {
            writer.append(question.name)
            writer.append(question.type.rawValue)
            writer.append(question.recordClass)
        }
        for section in [answers, authorities, additional] {
            for record in section {
                writer.append(record.name)
                writer.append(record.type.rawValue)
                writer.append(record.recordClass)
                writer.append(record.timeToLive)
                try writer.lengthPrefixed { (writer) throws(DNSWireError) in
                    try record.data.encode(record.type, into: &writer)
                }
            }
        }
        try extended?.encode(into: &writer)
        guard writer.bytes.count <= 65_535 else { throw .tooLong }
        return writer.bytes
    }
}

/// Where the parts of a message are that may be changed in place.
public struct DNSLayout: Hashable, Sendable {
    /// Where the questions end.
    public var questionEnd = 0
    /// Where the lifetimes of the records are, four bytes each, in the order of the sections; without OPT.
    public var lifetimePlaces: [Int] = []
    /// Where the payload size of the OPT pseudo-record is, two bytes.
    public var optionsClassPlace: Int?
}
