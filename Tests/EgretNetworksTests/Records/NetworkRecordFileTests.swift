// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretTesting
import Testing

@testable import EgretNetworks

/// Of a file, what is put in place of what, and what is said of it.
private let damages: [(String, String, String)] = [
    ("\"version\" : 1", "\"version\" : \"1\"", "here has to be a number"),
    ("\"version\" : 1", "\"version\" : null", "it has no “version”"),
    ("\"version\" : 1", "\"version\" : 1,", "there is a comma too many before this"),
    ("\"version\" : 1", "\"version\" : 1 2", "here has to be a comma or the end"),
    ("\"version\" : 1\n}", "\"version\" : 1\n}}", "it goes on after its end"),
    ("\"name\" : \"br0\"", "\"name\" : 7", "here has to be a text in quotation marks"),
    ("\"name\" : \"br0\"", "\"name\" \"br0\"", "here has to be a colon"),
    ("\"name\" : \"br0\"", "\"name\" : \"br0\", \"name\" : \"br0\"", "“name” is there twice"),
    ("\"name\" : \"br0\"", "\"name\" : \"b\\x\"", "this is no escape"),
    ("\"name\" : \"br0\"", "\"name\" : \"b\\u12g4\"", "this is no escape"),
    ("\"name\" : \"br0\"", "\"name\" : \"b\\u12\"", "this is no escape"),
    ("\"name\" : \"br0\"", "\"name\" : \"\\ud83d\"", "this is half a character"),
    ("\"name\" : \"br0\"", "\"name\" : \"\\ude00\\ud83d\"", "this is half a character"),
    ("\"name\" : \"br0\"", "\"name\" : \"b\nr0\"", "a control character is in a text"),
    ("\"name\" : \"br0\",", "", "it has no “name”"),
    ("\"mode\" : \"bridge\"", "\"mode\" : \"tunnel\"", "“tunnel” is no mode"),
    ("\"stage\" : \"removing\"", "\"stage\" : \"gone\"", "“gone” is no stage"),
    ("\"tool\" : \"ufw\"", "\"tool\" : \"pf\"", "“pf” is no tool"),
    ("\"isAdopted\" : false", "\"isAdopted\" : 0", "here has to be true or false"),
    ("\"isAdopted\" : false", "\"isAdopted\" : falsy", "this is no value"),
    ("\"mtu\" : 1400", "\"mtu\" : -1", "the number is not in 0 to 4294967295"),
    ("\"mtu\" : 1400", "\"mtu\" : 4294967296", "the number is not in 0 to 4294967295"),
    ("\"mtu\" : 1400", "\"mtu\" : 1400.0", "here has to be a whole number"),
    ("\"mtu\" : 1400", "\"mtu\" : 14e2", "here has to be a whole number"),
    ("\"mtu\" : 1400", "\"mtu\" : 01400", "this is no number"),
    ("\"cookie\" : 18446744073709551615", "\"cookie\" : 18446744073709551616", "the number is not in"),
    ("\"cookie\" : 0", "\"cookie\" : 99999999999999999999999999", "the number is not in"),
    ("\"order\" : 1", "\"order\" : -9223372036854775809", "the number is not in"),
    ("\"order\" : 1", "\"order\" : 9223372036854775807", "the number is not in 0 to 4294967295"),
    ("\"number\" : 2", "\"number\" : 9223372036854775807", "the number is not in 0 to 4294967295"),
    ("\"hostPort\" : 8080", "\"hostPort\" : 65536", "the number is not in 0 to 65535"),
    ("\"10.9.0.2\"", "\"10.9.0.256\"", "“10.9.0.256” is no address"),
    ("\"10.9.0.2\"", "{}", "here has to be a text in quotation marks"),
    ("\"10.9.0.0/24\"", "\"10.9.0.0/33\"", "“10.9.0.0/33” is no block"),
    ("\"last\" : \"192.0.2.9\"", "\"last\" : \"192.0.2.1\"", "192.0.2.7 to 192.0.2.1 is no run of addresses"),
    ("\"last\" : \"192.0.2.9\"", "\"last\" : \"::\"", "192.0.2.7 to :: is no run of addresses"),
    ("\"passages\" : [", "\"passages\" : [7,", "here has to be an object"),
    ("\"app\" : ", "\"egret.dev/runtime\" : ", "“egret.dev/runtime” is there twice"),
    ("\"app\" : ", "\"x\" : null, \"app\" : ", "here has to be a text in quotation marks"),
    ("\"mtu\" : 1400", "\"x\" : 0.", "here has to be a digit"),
    ("\"mtu\" : 1400", "\"x\" : 1e+", "here has to be a digit"),
    ("\"mtu\" : 1400", "\"x\" : -", "this is no value"),
    ("\"mtu\" : 1400", "\"x\" : [1,]", "there is a comma too many before this"),
    ("\"mtu\" : 1400", "\"x\" : [1 2]", "here has to be a comma or the end"),
    ("\"mtu\" : 1400", "\"x\" : {\"a\" : 1]}", "here has to be a comma or the end"),
    ("\"mtu\" : 1400", "\"x\" : {1 : 1}", "here has to be a text in quotation marks"),
    ("\"mtu\" : 1400", "\"x\" : nil", "this is no value"),
    ("\"mtu\" : 1400", "\"x\" : \"\\q\"", "this is no escape"),
    ("\"mtu\" : 1400", "\"\\q\" : 1", "this is no escape"),
]

@Suite("Files of networks")
struct NetworkRecordFileTests {
    private func read(_ text: String) throws -> NetworkRecord {
        try NetworkStore.record(Array(text.utf8), of: "/x/br0.json")
    }

    private func text(_ record: NetworkRecord) -> String { String(decoding: record.json, as: UTF8.self) }

    @Test("files that the first version wrote are read")
    func first() throws {
        let (full, bare) = (try RecordFixtures.full(), try RecordFixtures.bare())
        #expect(try read(RecordFixtures.fullAtFirst) == full)
        #expect(try read(RecordFixtures.bareAtFirst) == bare)
    }

    @Test("these are files as the first version wrote them")
    func firstIsFirst() throws {
        for text in [RecordFixtures.fullAtFirst, RecordFixtures.bareAtFirst] {
            let written = try WrittenRecord(json: Array(text.utf8)).json()
            #expect(String(decoding: written, as: UTF8.self) == text)
        }
    }

    @Test("a file has a line for each endpoint and port, in an order that is always the same")
    func now() throws {
        let (full, bare) = (try RecordFixtures.full(), try RecordFixtures.bare())
        #expect(text(full) == RecordFixtures.fullNow)
        #expect(text(bare) == RecordFixtures.bareNow)
        #expect(try read(RecordFixtures.fullNow) == full)
        #expect(try read(RecordFixtures.bareNow) == bare)
    }

    @Test("any network is read as it was written, by Foundation as well, and from what Foundation writes of it")
    func roundTrips() throws {
        var random = RandomRecords(seed: 4)
        for _ in 0..<200 {
            let record = random.record()
            let json = record.json
            let again = try NetworkRecord(json: json)
            #expect(again == record)
            // Strings are equal that are not the same bytes.
            #expect(again.json == json)
            let written = try WrittenRecord(json: json)
            #expect(written.endpoints.map(\.cookie) == record.endpoints.map(\.cookie))
            #expect(written.policyFile == record.policyFile)
            let atFirst = try written.json()
            #expect(try NetworkRecord(json: atFirst).json == json)
        }
    }

    @Test("every name of a member is written once, in alphabetical order")
    func order() throws {
        let lines = RecordFixtures.fullNow.split(separator: "\n").filter { $0.hasPrefix("  \"") }
        #expect(lines == lines.sorted() && Set(lines).count == lines.count)
    }

    @Test(
        "what need not be there may be null",
        arguments: [
            ("\"mtu\" : 1400", "\"mtu\" : null"), ("\"order\" : 1", "\"order\":null"),
            ("\"bridgeIndex\" : 2", "\"bridgeIndex\" : null"), ("\"burstBytes\" : 1250000", "\"burstBytes\" : null"),
            ("\"isPerConnection\" : true", "\"isPerConnection\" : null"),
            ("\"hostAddress\" : \"2001:db8::1\"", "\"hostAddress\" : null"),
            ("\"bridgeHardwareAddress\" : \"02:2a:d0:02:fc:ba\"", "\"bridgeHardwareAddress\" : null"),
        ])
    func null(member: String, nothing: String) throws {
        let file = RecordFixtures.fullNow.replacing(member, with: nothing)
        #expect(file != RecordFixtures.fullNow)
        let record = try read(file)
        let full = try RecordFixtures.full()
        #expect(record != full)
        #expect(!text(record).contains(member))
        // As if it was not there.
        let absent = RecordFixtures.fullNow.replacing(member + ", ", with: "").replacing(member + ",\n  ", with: "")
        #expect(try read(absent) == record)
    }

    @Test("members come in any order, with any white space, and those of a later version are passed over")
    func freedom() throws {
        let later = #"""
            "later" : {"a" : [1, -2.5e+3, 0.1E-2, true, false, null, "\ud83d\ude00\"", {}, []], "b" : {"c" : {}}}, "é" : "é",
            """#
        let bare = try RecordFixtures.bare()
        let rest = """
            "version":1 , "subnets" : [{\(later)"gateway":"10.8.0.1","block":"10.8.0.0/24"}] , "stage":"waiting",
            "sourceAddresses":[ ],"ports":[\n],"name":"\\u0072\\u0030","mo\\u0064e":"routed","isTranslated":true,
            "isIsolated":false,"isAdopted":false,"endpoints":[],"bootID":"b"}
            """
        let file = "\t{\r\n\(later)\(rest)\r\n\t"
        #expect(try read(file) == bare)
    }

    @Test("escapes stand for characters")
    func escapes() throws {
        let file = RecordFixtures.bareNow.replacing(
            #""bootID" : "b""#, with: #""bootID" : "\"\\\/\b\f\n\r\t\u00e9\u0000\uD83D\uDE00\u001B""#)
        #expect(try read(file).bootID == "\"\\/\u{8}\u{c}\n\r\té\u{0}😀\u{1b}")
    }

    @Test("source addresses of one alone, or not for each connection, are as they always were")
    func sourceUse() throws {
        let no = RecordFixtures.fullNow.replacing("\"isPerConnection\" : true", with: "\"isPerConnection\" : false")
        #expect(try read(no).sourceAddresses.first == AddressPair("192.0.2.7-192.0.2.9"))
    }

    @Test(
        "a damaged file is refused with the place and what is wrong",
        arguments: damages)
    func damaged(part: String, instead: String, words: String) throws {
        let file = RecordFixtures.fullNow.replacing(part, with: instead)
        #expect(file != RecordFixtures.fullNow)
        let problem = #expect(throws: NetworkProblem.self) { try read(file) }
        let message = problem?.message ?? ""
        #expect(message.hasPrefix("/x/br0.json is damaged: line "), "\(message)")
        #expect(message.contains(words), "\(message)")
    }

    @Test("the place is that of the value that is wrong")
    func place() {
        let problem = #expect(throws: NetworkProblem.self) { try read("{\n  \"name\" : 7\n}") }
        #expect(
            problem?.message
                == "/x/br0.json is damaged: line 2, column 12: here has to be a text in quotation marks")
    }

    @Test("bytes that are not UTF-8 are refused, wherever they are")
    func encoding() throws {
        let places = ["\"name\" : \"br0", "\"app\" : \"", "\"x\" : \"", "\"x"]
        for place in places {
            let added = RecordFixtures.fullNow.replacing("\"name\" :", with: "\"x\" : \"\", \"name\" :")
            let range = try #require(added.firstRange(of: place))
            for wrong: [UInt8] in [[0x80], [0xc3], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xc0, 0x80]] {
                let file = Array(added[..<range.upperBound].utf8) + wrong + Array(added[range.upperBound...].utf8)
                let problem = #expect(throws: NetworkProblem.self) { try NetworkStore.record(file, of: "f") }
                #expect(problem?.message.contains("is not UTF-8") == true, "\(place) \(wrong)")
            }
        }
    }

    @Test("values that nobody knows may be within each other so deep, and no deeper, and cost no stack")
    func depth() throws {
        func file(_ depth: Int) -> String {
            let lists = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
            return RecordFixtures.bareNow.replacing("\"bootID\"", with: "\"later\" : \(lists), \"bootID\"")
        }
        let bare = try RecordFixtures.bare()
        #expect(try read(file(JSONReader.greatestDepth)) == bare)
        #expect(throws: NetworkProblem.self) { try read(file(JSONReader.greatestDepth + 1)) }
        for bomb in ["[", "{\"a\":", "{\"version\":", "{\"endpoints\":[", "{\"x\":["] {
            let problem = #expect(throws: NetworkProblem.self) { try read(String(repeating: bomb, count: 200_000)) }
            #expect(problem?.message.contains("is damaged") == true)
        }
    }

    @Test(
        "a file of a later version is told as such, also where it cannot be read as one of this",
        arguments: [
            "{\"version\" : 2}", "{\"endpoints\" : {\"all\" : 7}, \"version\" : 9, \"name\" : null}",
        ])
    func later(text: String) {
        let problem = #expect(throws: NetworkProblem.self) { try read(text) }
        #expect(problem?.message == "/x/br0.json was written by a later egret")
    }
}
