// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretDocuments

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// How a command that prints data prints it.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    /// For people, in the width of a terminal.
    case table
    /// For people, with every column.
    case wide
    /// For programs.
    case json
    /// The same values as JSON, for people and programs.
    case yaml

    /// What `--help` says of the option.
    static let help: ArgumentHelp = ArgumentHelp("How to print: wide has more columns than table.", valueName: "format")

    /// The document as JSON or YAML, keys sorted, with a line feed at its end; `nil` in the formats for people.
    func text(of document: some Encodable) throws -> String? {
        switch self {
        case .table, .wide: return nil
        case .json: return String(decoding: try OutputFormat.json(document), as: UTF8.self) + "\n"
        case .yaml: return try JSONDecoder().decode(DataValue.self, from: OutputFormat.json(document)).yaml
        }
    }

    private static func json(_ document: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(document)
    }
}
