// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
import EgretPolicy

/// Reads files of cases.
///
/// ```
/// case a policy without rules keeps everybody out
/// world nine
/// apply
///   apiVersion: networking.k8s.io/v1
///   kind: NetworkPolicy
///   …
/// label pod x/b role=client
/// delete NetworkPolicy x/other
/// check 80/tcp 81/tcp
///   * -> x/* denied
///   x/b -> x/a allowed
/// ```
///
/// `define NAME` gives an indented block a name, and `apply NAME` applies it; definitions last for the file.
/// `world` takes the objects of a file; `apply`, `delete`, `label` and `unlabel` change what is there; `check` says who
/// reaches whom: everybody everybody else, but for the lines below it, of which a later one overrides. An end is
/// `namespace/pod`, with `*` for either, or `*` for all, or an address. `*` leaves out pods in the host's network.
public struct ConformanceFile {
    private let name: String
    private let lines: [Substring]
    private let worlds: (String) throws -> [UInt8]
    private var line = 0
    private var state = ConformanceState()
    private var cases: [ConformanceCase] = []
    private var hasChanged = true
    private var definitions: [String: [UInt8]] = [:]

    /// Reads the cases of a file.
    ///
    /// - Parameters:
    ///   - text: The file.
    ///   - name: Its name, for places.
    ///   - worlds: Gives the manifests of a world by its name.
    /// - Returns: The cases, in order.
    /// - Throws: ``ConformanceError`` for the first thing that is wrong.
    public static func read(
        _ text: String, name: String, worlds: @escaping (String) throws -> [UInt8]
    ) throws -> [ConformanceCase] {
        var file = ConformanceFile(name: name, text: text, worlds: worlds)
        while file.line < file.lines.count { try file.readLine() }
        return file.cases
    }

    /// Reads every case of a directory: `Cases/*.txt`, with the worlds in `Worlds/*.yaml`.
    public static func readAll(in directory: String) throws -> [ConformanceCase] {
        try files(in: directory + "/Cases", endingIn: [".txt"]).sorted().flatMap { name in
            let text = String(decoding: try contents(of: "\(directory)/Cases/\(name)"), as: UTF8.self)
            return try read(text, name: name) { try contents(of: "\(directory)/Worlds/\($0).yaml") }
        }
    }

    private init(name: String, text: String, worlds: @escaping (String) throws -> [UInt8]) {
        self.name = name
        self.worlds = worlds
        lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    }

    private var location: SourceLocation { SourceLocation(file: name, line: line, column: 1) }

    private mutating func readLine() throws {
        let words = lines[line].split(separator: " ").map(String.init)
        let text = lines[line]
        line += 1
        guard let keyword = words.first, !text.hasPrefix("#") else { return }
        if keyword == "case" {
            state = ConformanceState()
            hasChanged = true
            cases.append(
                ConformanceCase(name: words.dropFirst().joined(separator: " "), steps: [], location: location))
            return
        }
        if keyword == "define", words.count == 2 {
            definitions[words[1]] = Array(block().joined(separator: "\n").utf8)
            return
        }
        if cases.isEmpty { throw ConformanceError(location, "no case has begun") }
        if keyword != "check" { hasChanged = true }
        switch (keyword, words.count) {
        case ("world", 2): try state.apply(worlds(words[1]), "\(words[1]).yaml")
        case ("apply", 1): try state.apply(Array(block().joined(separator: "\n").utf8), name)
        case ("apply", 2):
            guard let text = definitions[words[1]] else {
                throw ConformanceError(location, "\(words[1]) is not defined")
            }
            try state.apply(text, name)
        case ("delete", 3):
            if !state.delete(words[1], words[2]) { throw ConformanceError(location, "there is no \(words[2])") }
        case ("label", 4):
            let parts = words[3].split(separator: "=", omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2 else { throw ConformanceError(location, "a label is key=value") }
            state.setLabel(of: words[1], words[2], parts[0], parts[1])
        case ("unlabel", 4): state.setLabel(of: words[1], words[2], words[3], nil)
        case ("check", 2...): try readCheck(words.dropFirst().map(\.self))
        default: throw ConformanceError(location, "unknown line: \(text)")
        }
    }

    /// The lines that are indented by two spaces, without these.
    private mutating func block() -> [Substring] {
        var block: [Substring] = []
        while line < lines.count, lines[line].hasPrefix("  ") || lines[line].isEmpty {
            block.append(lines[line].dropFirst(2))
            line += 1
        }
        return block
    }

    private mutating func readCheck(_ ports: [String]) throws {
        let place = location
        if hasChanged {
            let (catalog, inventory) = try state.read(place)
            let step = ConformanceCase.Step(catalog: catalog, inventory: inventory, location: place)
            cases[cases.count - 1].steps.append(step)
            hasChanged = false
        }
        let services = try ports.map { try ConformanceFile.service($0, place) }
        let steps = cases[cases.count - 1].steps
        guard var step = steps.last else { return }
        var matrix = ConformanceMatrix(step.inventory)
        for text in block() where !text.isEmpty { try matrix.apply(String(text), place) }
        for service in services { step.probes += matrix.probes(service) }
        cases[cases.count - 1].steps[steps.count - 1] = step
    }

    private static func service(_ text: String, _ location: SourceLocation) throws -> ConnectionService {
        switch Service.read(text, at: location).service {
        case .ports(let number, let range)?: return ConnectionService(number, port: range.lowerBound)
        case .icmp(let number, let type)?: return ConnectionService(number, icmpType: type)
        case .any(let number)? where !number.hasPorts: return ConnectionService(number)
        default: throw ConformanceError(location, "\(text) is not one port")
        }
    }
}
