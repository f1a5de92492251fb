// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNetlinkWire
import EgretNftables
import Testing

@Suite("nf_tables encoding, against the bytes that nft sends for the same text")
struct NftablesEncodeTests {
    private let ours: [NetlinkMessage]
    private let theirs: [NetlinkMessage]

    init() throws {
        ours = try NetlinkMessage.parse(NftablesWire.encode(Fixture.transaction, firstSequence: 0).bytes)
        theirs = try NetlinkMessage.parse(NftablesCapture.batch)
    }

    private func trees(_ messages: [NetlinkMessage], _ type: UInt16, leavingOut: [UInt16] = []) throws -> [MessageTree]
    {
        try messages.filter { $0.type == type }.map {
            try MessageTree($0, headerSize: 4, leavingOut: leavingOut)
        }
    }

    @Test("a batch begins and ends as nft's does")
    func frame() throws {
        #expect(ours.first == theirs.first)
        #expect(ours.first?.type == 0x10 && ours.last?.type == 0x11)
        #expect(ours.last?.payload == theirs.last?.payload)
    }

    @Test("tables, counters and limits are byte for byte those of nft", arguments: [0xa00, 0xa12] as [UInt16])
    func objects(_ type: UInt16) throws {
        #expect(try trees(ours, type) == trees(theirs, type))
        #expect(try !trees(ours, type).isEmpty)
    }

    @Test("chains are those of nft, and a policy is always spelled out")
    func chains() throws {
        #expect(try trees(ours, 0xa03, leavingOut: [5]) == trees(theirs, 0xa03, leavingOut: [5]))
        #expect(try trees(ours, 0xa03).filter { tree in tree.attributes.contains { $0.type == 5 } }.count == 4)
    }

    @Test("sets are those of nft but for numbers and what nft keeps for itself")
    func sets() throws {
        // 7: nft sends a data length of 0 for verdicts. 10: the set's number. 13: nft's own data.
        let left = [7, 10, 13] as [UInt16]
        let sorted: ([MessageTree]) -> [String] = { $0.map(\.description).sorted() }
        #expect(
            try sorted(trees(ours, 0xa09, leavingOut: left)) == sorted(trees(theirs, 0xa09, leavingOut: left))
        )
        #expect(try trees(ours, 0xa09).count == Fixture.sets.count + 1)
    }

    @Test("every kind of statement becomes the expressions that nft makes of its text")
    func rules() throws {
        let inet: (MessageTree) -> Bool = { $0.header[0] == 1 }
        let expected = try trees(theirs, 0xa06).filter(inet)
        let actual = try trees(ours, 0xa06).filter(inet)
        #expect(expected.count == Fixture.rules.count)
        for (index, pair) in zip(actual, expected).enumerated() {
            let mine = pair.0.attributes.map(withoutNumbers)
            #expect(mine == pair.1.attributes.map(withoutNumbers), "\(NftText.render(Fixture.rules[index]))")
        }
    }

    /// A rule's attributes without what differs and does not matter: a lookup's set number, which nft adds; the
    /// operation of a bitwise expression, which is the default one; the terminator behind an object's name.
    private func withoutNumbers(_ tree: AttributeTree) -> AttributeTree {
        var tree = tree
        tree.children = tree.children.map(withoutNumbers)
        guard tree.children.count == 2 else { return tree }
        if tree.children[0].bytes == Array("lookup\0".utf8) { tree.children[1].children.removeAll { $0.type == 4 } }
        if tree.children[0].bytes == Array("bitwise\0".utf8) { tree.children[1].children.removeAll { $0.type == 6 } }
        if tree.children[0].bytes == Array("objref\0".utf8), tree.children[1].children.count == 2 {
            let name = tree.children[1].children[1].bytes
            tree.children[1].children[1].bytes = name.last == 0 ? Array(name.dropLast()) : name
        }
        return tree
    }

    @Test("nft's elements and ours decode to the same ranges")
    func elements() throws {
        for set in Fixture.sets {
            func elements(_ messages: [NetlinkMessage]) throws -> [SetElement] {
                let mine = try messages.filter { message in
                    guard message.type == 0xa0c, message.payload.first == 1 else { return false }
                    return try NetlinkAttribute.parse(message.payload.dropFirst(4))
                        .contains { $0.type == 2 && $0.string() == set.name }
                }
                #expect(!mine.isEmpty)
                return try NftablesWire.decodeElements(mine, keyType: set.keyType, hasIntervals: set.hasIntervals)
            }
            #expect(try elements(ours) == Fixture.elements(of: set))
            // nft sends the elements twice, with and without an end at 0: the same ranges begin twice.
            #expect(try elements(theirs) == Fixture.elements(of: set) || !set.hasIntervals)
        }
    }

    @Test("only the last message before the end asks for an acknowledgement")
    func acknowledgement() throws {
        let asking = ours.filter { $0.flags & NetlinkFlag.acknowledge != 0 }
        #expect(asking.map(\.sequence) == [ours[ours.count - 2].sequence])
    }

    @Test("flags say add, create and append")
    func flags() throws {
        let chains = ours.filter { $0.type == 0xa03 }
        #expect(chains[0].flags == NetlinkFlag.request | NetlinkFlag.create)
        #expect(chains[1].flags == NetlinkFlag.request | NetlinkFlag.create | NetlinkFlag.exclusive)
        let rules = ours.filter { $0.type == 0xa06 }
        #expect(rules[0].flags == NetlinkFlag.request | NetlinkFlag.create | NetlinkFlag.append)
    }

    @Test("dump requests are those of nft")
    func requests() throws {
        let table = Fixture.table
        let pairs: [([UInt8], [UInt8])] = [
            (try NftablesWire.chainsRequest(sequence: 0), NftablesCapture.chainsRequest),
            (try NftablesWire.setsRequest(in: table, sequence: 0), NftablesCapture.setsRequest),
            (try NftablesWire.elementsRequest(of: "four", in: table, sequence: 0), NftablesCapture.elementsRequest),
            (try NftablesWire.objectsRequest(in: table, sequence: 0), NftablesCapture.objectsRequest),
            (try NftablesWire.rulesRequest(in: table, sequence: 0), NftablesCapture.rulesRequest),
            (try NftablesWire.tablesRequest(sequence: 0), NftablesCapture.tablesRequest),
        ]
        for (mine, theirs) in pairs {
            let (mine, theirs) = (try NetlinkMessage.parse(mine)[0], try NetlinkMessage.parse(theirs)[0])
            // nft names an object's type where we ask for all of them.
            let left: [UInt16] = mine.type == 0xa13 ? [3] : []
            #expect(
                try MessageTree(mine, headerSize: 4, leavingOut: left)
                    == MessageTree(theirs, headerSize: 4, leavingOut: left)
            )
            #expect(mine.flags == theirs.flags)
        }
        let generation = try NetlinkMessage.parse(NftablesWire.generationRequest(sequence: 0))[0]
        let theirs = try NetlinkMessage.parse(NftablesCapture.generationRequest)[0]
        #expect(generation.type == theirs.type && generation.payload == theirs.payload)
    }
}
