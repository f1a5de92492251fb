// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNetlinkWire
import EgretNftables
import Testing

@Suite("sets and maps whose types nft declares by an expression")
struct SetDeclarationTests {
    private static let table = Table(family: .inet, name: "t")

    private static func batch(_ sets: [Set]) throws -> [NetlinkMessage] {
        let steps = sets.map { Transaction.Step(.addSet($0), in: table) }
        return try NetlinkMessage.parse(NftablesWire.encode(Transaction(steps), firstSequence: 1).bytes)
            .filter { $0.type == 0xa09 }
    }

    private static func nft() throws -> [NetlinkMessage] {
        try NetlinkMessage.parse(NftablesCapture.declarations).filter { $0.type == 0xa09 }
    }

    /// What a message says that nft keeps about its set (`NFTA_SET_USERDATA`).
    private static func kept(_ message: NetlinkMessage) throws -> [UInt8]? {
        try NetlinkAttribute.parse(message.payload.dropFirst(4)).first { $0.type == 13 }.map { Array($0.payload) }
    }

    @Test("sets and maps of numbers and moments are those of nft, what it keeps about them included")
    func expressions() throws {
        let ours = try SetDeclarationTests.batch([
            Set("numbers", keyType: .integer, hasIntervals: true),
            Set("moments", keyType: .time, hasIntervals: true),
            Set("number-map", keyType: .integer, hasIntervals: true, mapsToVerdict: true),
            Set("moment-map", keyType: .time, hasIntervals: true, mapsToVerdict: true),
        ])
        let theirs = try SetDeclarationTests.nft()
        // 7: nft sends a data length of 0 for verdicts. 10: the set's number.
        func trees(_ messages: [NetlinkMessage]) throws -> [MessageTree] {
            try messages.map { try MessageTree($0, headerSize: 4, leavingOut: [7, 10]) }
        }
        #expect(ours.count == 4)
        #expect(try trees(ours) == trees(theirs))
        #expect(try ours.map { try SetDeclarationTests.kept($0)?.count } == [34, 22, 56, 44])
    }

    @Test("beside all others stands the byte order of their keys alone", arguments: DataType.allCases)
    func orders(_ type: DataType) throws {
        if type == .integer || type == .time { return }
        let order: UInt32 =
            switch type {
            case .mark, .interfaceIndex, .cgroup: 1
            case .inetProtocol, .icmpType, .icmpv6Type: 0
            default: 2
            }
        let number = unsafe withUnsafeBytes(of: order) { unsafe Array($0) }
        let several = Set("several", concatenating: type, [.inetService])
        let sets = [Set("one", keyType: type), Set("map", keyType: type, mapsToVerdict: true), several]
        let kept = try SetDeclarationTests.batch(sets).map { try SetDeclarationTests.kept($0) }
        let expected: [[UInt8]?] = [[0, 4] + number, [0, 4] + number, [0, 4, 0, 0, 0, 0]]
        #expect(kept == expected)
    }

    @Test("numbers and times as parts of longer keys are refused: nft would not read their declaration")
    func parts() throws {
        for set in [
            Set("s", concatenating: .integer, [.inetService]), Set("s", concatenating: .ipv4Address, [.time]),
        ] {
            #expect(throws: WireError.self) { try SetDeclarationTests.batch([set]) }
        }
    }

    @Test("what nft keeps about a set is not read back: a set without it is the same set")
    func unread() throws {
        for message in try SetDeclarationTests.nft() {
            var bare = message
            // The last attribute: its header, its bytes and what fills them up to four.
            let count = try #require(try SetDeclarationTests.kept(message)).count
            bare.payload = message.payload.dropLast(4 + count + (-count & 3))
            #expect(try SetDeclarationTests.kept(bare) == nil)
            let (read, known) = try (NftablesWire.decodeSet(bare), NftablesWire.decodeSet(message))
            #expect(read == known)
        }
    }
}
