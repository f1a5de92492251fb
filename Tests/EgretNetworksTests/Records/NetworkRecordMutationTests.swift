// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Testing

@testable import EgretNetworks

/// Files that nobody wrote so: reading them ends, with a network or an error, and never traps.
struct NetworkRecordMutationTests {
    private var files: [[UInt8]] {
        [RecordFixtures.fullNow, RecordFixtures.fullAtFirst, RecordFixtures.bareNow].map { Array($0.utf8) }
    }

    @Test("every beginning of a file that is not the whole is refused")
    func truncation() {
        for file in [RecordFixtures.fullNow, RecordFixtures.bareAtFirst].map({ Array($0.utf8) }) {
            // The last byte ends the last line.
            for count in 0..<(file.count - 1) {
                let problem = #expect(throws: NetworkProblem.self) {
                    try NetworkStore.record(Array(file.prefix(count)), of: "f")
                }
                #expect(problem?.message.hasSuffix("it ends too early") == true, "\(count)")
            }
            #expect(throws: Never.self) { try NetworkStore.record(Array(file.dropLast()), of: "f") }
        }
    }

    @Test("whatever is read of a changed file can be written, and reads the same")
    func mutations() throws {
        var generator = SystemRandomNumberGenerator()
        let marks = Array("\"\\{}[],:-+.eE0u\n\t ntf".utf8) + [0, 0x1f, 0x7f, 0x80, 0xc3, 0xff]
        var read = 0
        for file in files {
            for _ in 0..<1_000 {
                var bytes = file
                for _ in 0..<Int.random(in: 1...3, using: &generator) {
                    let place = Int.random(in: 0..<bytes.count, using: &generator)
                    switch Int.random(in: 0..<5, using: &generator) {
                    case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                    case 1: bytes[place] = marks.randomElement(using: &generator) ?? 0
                    case 2: bytes.remove(at: place)
                    case 3: bytes.insert(marks.randomElement(using: &generator) ?? 0, at: place)
                    default:
                        let end = min(bytes.count, place + Int.random(in: 1...40, using: &generator))
                        let copy = Array(bytes[place..<end])
                        bytes.insert(contentsOf: copy, at: Int.random(in: 0...bytes.count, using: &generator))
                    }
                }
                guard let record = try? NetworkStore.record(bytes, of: "f") else { continue }
                read += 1
                #expect(try NetworkRecord(json: record.json) == record, "\(String(decoding: bytes, as: UTF8.self))")
            }
        }
        #expect(read > 30)
    }

    @Test("noise is never read as a network")
    func noise() {
        var generator = SystemRandomNumberGenerator()
        let marks = Array("\"\\{}[],:0 ".utf8)
        for _ in 0..<5_000 {
            let count = Int.random(in: 0...60, using: &generator)
            let bytes = (0..<count).map { _ in
                Bool.random(using: &generator)
                    ? UInt8.random(in: .min ... .max, using: &generator) : marks.randomElement(using: &generator) ?? 0
            }
            #expect(throws: NetworkProblem.self) { try NetworkStore.record(bytes, of: "f") }
        }
    }
}
