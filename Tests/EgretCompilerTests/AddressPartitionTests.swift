// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy
import Testing

@testable import EgretCompiler

@Suite("The address space, cut into pieces")
struct AddressPartitionTests {
    /// The pieces as text: `lower-upper explicit/builtIn`.
    private func pieces(_ rules: EgressRule...) throws -> [String] {
        var partition = AddressPartition<UInt32>()
        var result: [String] = []
        let matches = rules.map { AddressMatch<UInt32>($0, family: .ipv4, groups: [:]) }
        partition.forEachPiece(of: matches) { piece, coverages in
            let coverage = coverages[piece.coverage]
            let ends = [piece.lower, piece.upper].map { IPv4Address(rawValue: $0).description }
            result.append("\(ends.joined(separator: "-")) \(coverage.explicit)\(coverage.builtIn)")
        }
        return result
    }

    private func allow(_ prefix: String, except: [String] = []) throws -> EgressRule {
        let block = AddressBlock(try #require(IPPrefix(prefix)), except: except.compactMap { IPPrefix($0) })
        return EgressRule(action: .allow, destinations: [.block(block)])
    }

    @Test("nested blocks make a piece before, one inside and one behind")
    func nested() throws {
        #expect(
            try pieces(allow("10.0.0.0/8"), allow("10.0.0.128/25")) == [
                "10.0.0.0-10.0.0.127 [0][]", "10.0.0.128-10.0.0.255 [0, 1][]", "10.0.1.0-10.255.255.255 [0][]",
            ])
    }

    @Test("neighbouring blocks make two pieces, and the same block twice makes one")
    func adjacent() throws {
        #expect(
            try pieces(allow("10.0.0.0/25"), allow("10.0.0.128/25")) == [
                "10.0.0.0-10.0.0.127 [0][]", "10.0.0.128-10.0.0.255 [1][]",
            ])
        #expect(try pieces(allow("10.0.0.0/25"), allow("10.0.0.0/25")) == ["10.0.0.0-10.0.0.127 [0, 1][]"])
    }

    @Test("the last address of the space ends the last piece")
    func top() throws {
        #expect(
            try pieces(allow("255.255.255.255/32"), allow("240.0.0.0/4")) == [
                "240.0.0.0-255.255.255.254 [1][]", "255.255.255.255-255.255.255.255 [0, 1][]",
            ])
    }

    @Test("a rule for everything is in no piece, and one with exceptions is")
    func everything() throws {
        #expect(try pieces(allow("0.0.0.0/0")) == [])
        #expect(try pieces(EgressRule(action: .deny)) == [])
        #expect(
            try pieces(allow("0.0.0.0/0", except: ["0.0.0.0/32", "128.0.0.0/32", "255.255.255.255/32"])) == [
                "0.0.0.1-127.255.255.255 [0][]", "128.0.0.1-255.255.255.254 [0][]",
            ])
        #expect(try pieces(allow("10.0.0.0/24", except: ["10.0.0.0/25", "10.0.0.128/25"])) == [])
    }

    @Test("an address that a rule writes out and covers by a group is written out")
    func groups() throws {
        let block = AddressBlock(try #require(IPPrefix("169.254.0.0/17")))
        let rule = EgressRule(action: .allow, destinations: [.builtIn(.linkLocal), .block(block)])
        let pieces = try pieces(rule)
        #expect(pieces.first == "169.254.0.0-169.254.127.255 [0][]")
        #expect(pieces.dropFirst().allSatisfy { $0.hasSuffix("[][0]") })
        #expect(pieces.count > 1)
    }

    @Test("the whole of IPv6 with holes at its ends is cut without a trap")
    func wholeOfIPv6() throws {
        let last = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"
        let matches = [AddressMatch<UInt128>(try allow("::/0", except: ["::/128", last]), family: .ipv6, groups: [:])]
        var partition = AddressPartition<UInt128>()
        var pieces: [(UInt128, UInt128)] = []
        partition.forEachPiece(of: matches) { piece, _ in pieces.append((piece.lower, piece.upper)) }
        #expect(pieces.count == 1)
        #expect(pieces.first.map { $0.0 == 1 && $0.1 == .max - 1 } == true)
    }
}
