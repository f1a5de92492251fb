// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDocuments
import EgretPolicy
import EgretTesting
import Testing

@testable import EgretCommands

@Suite("output for programs")
struct DataValueTests {
    private struct Sample: Encodable {
        struct Inner: Encodable {
            var list: [Int] = [1, -2]
            var nothing: [String] = []
        }

        var text = "a: b"
        var plain = "443/tcp"
        var word = "yes"
        var number = "1.5"
        var control = "\u{1b}[31m\n\u{202e}\u{e0001}"
        var large = UInt64.max
        var fraction = 4.25
        var flag = true
        var inner = [Inner(), Inner()]
        var nested = [["a"], []]
        var empty: [String: String] = [:]
    }

    private let yaml = """
        control: "\\u001b[31m\\n\\u202e\\U000e0001"
        empty: {}
        flag: true
        fraction: 4.25
        inner:
          - list:
              - 1
              - -2
            nothing: []
          - list:
              - 1
              - -2
            nothing: []
        large: 18446744073709551615
        nested:
          - - a
          - []
        number: "1.5"
        plain: 443/tcp
        text: "a: b"
        word: "yes"

        """

    @Test("YAML has the values of JSON, in block style, with texts that cannot be taken for something else")
    func yamlText() throws {
        #expect(try OutputFormat.yaml.text(of: Sample()) == yaml)
    }

    @Test("a reader of YAML finds what a reader of JSON finds")
    func sameValues() throws {
        func tree(_ format: OutputFormat) throws -> [String] {
            let text = try #require(try format.text(of: Sample()))
            let read = DocumentReader.read(text: Array(text.utf8), file: "x")
            #expect(read.diagnostics == [])
            return read.documents.map { shape($0) }
        }
        #expect(try tree(.yaml) == tree(.json))
    }

    private func shape(_ node: DocumentNode) -> String {
        switch node.content {
        case .null: "null"
        case .boolean(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .string(let value): "'\(value)'"
        case .sequence(let items): "[\(items.map(shape).joined(separator: ","))]"
        case .mapping(let entries): "{\(entries.map { "\($0.key)=\(shape($0.value))" }.joined(separator: ","))}"
        }
    }

    @Test("the formats for people have no document", arguments: [OutputFormat.table, .wide])
    func people(_ format: OutputFormat) throws {
        #expect(try format.text(of: Sample()) == nil)
    }
}
