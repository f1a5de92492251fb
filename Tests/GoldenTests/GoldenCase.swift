// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDocuments
import EgretNetlinkWire
import EgretNftables
import EgretPolicy
import EgretTesting
import Foundation

/// A directory with a `policy.yaml` and what comes of it.
///
/// With a file `endpoints`, the base objects and those endpoints are in the transaction; with a `next.yaml`, they
/// then move to that policy.
struct GoldenCase {
    let name: String
    let transaction: Transaction

    /// Reads the inputs of a case and compiles them.
    init(named name: String) throws {
        self.name = name
        let directory = GoldenCase.directory + "/\(name)"
        let policy = try GoldenCase.compile(directory + "/policy.yaml", generation: 1)
        var transaction = Transaction()
        transaction.append(.addTable, in: BaseProgram.table)
        let endpoints = try GoldenCase.endpoints(directory + "/endpoints")
        if !endpoints.isEmpty {
            transaction.append(.addTable, in: BaseProgram.frameTable)
            transaction.append(BaseProgram.program.installation, in: BaseProgram.table)
        }
        transaction.append(policy.program.installation, in: BaseProgram.table)
        for endpoint in endpoints {
            let program = EndpointProgram(endpoint, obeying: policy, logGroup: GoldenCase.logGroup)
            transaction.append(program.packets.installation, in: BaseProgram.table)
            transaction.append(program.frames.installation, in: BaseProgram.frameTable)
        }
        if FileManager.default.fileExists(atPath: directory + "/next.yaml") {
            let next = try GoldenCase.compile(directory + "/next.yaml", generation: 2)
            transaction.append(next.program.installation, in: BaseProgram.table)
            for endpoint in endpoints {
                let steps = EndpointProgram.switching(endpoint, to: next, logGroup: GoldenCase.logGroup)
                transaction.append(steps, in: BaseProgram.table)
            }
            transaction.append(policy.program.removal, in: BaseProgram.table)
        }
        self.transaction = transaction
    }

    /// The transaction as `nft -f` reads it.
    var script: String { NftText.script(transaction) }

    /// The transaction's bytes in hexadecimal: for each step its nft text, then its messages.
    func hexadecimal() throws -> String {
        let batch = try NftablesWire.encode(transaction, firstSequence: 1)
        var text = ""
        var lastStep: Int?
        var offset = 0
        while offset + 16 <= batch.bytes.count {
            let length = Int(GoldenCase.word(batch.bytes, at: offset))
            let step = batch.stepIndex(forSequence: GoldenCase.word(batch.bytes, at: offset + 8))
            if let step, step != lastStep {
                text +=
                    "\n# \(NftText.script(Transaction([transaction.steps[step]])).prefix(100).split(separator: "\n")[0])\n"
            } else if step == nil {
                text += offset == 0 ? "# begin\n" : "\n# end\n"
            }
            lastStep = step
            let end = max(offset + 16, min(batch.bytes.count, (offset + length + 3) & ~3))
            text += GoldenCase.lines(batch.bytes[offset..<end])
            offset = end
        }
        return text
    }

    static let directory =
        String(#filePath.prefix(upTo: #filePath.lastIndex(of: "/") ?? #filePath.endIndex)) + "/Golden"
    private static let logGroup: UInt16 = 20001

    static func all() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
    }

    private static func compile(_ path: String, generation: UInt16) throws -> PolicyProgram {
        let read = PolicyFiles.read([(path, try contents(of: path))])
        guard !read.hasErrors, let generation = Generation(rawValue: generation) else {
            throw Mistake(text: read.diagnostics.map(DiagnosticFormatter.format).joined(separator: "\n"))
        }
        let policies = PolicySet(policies: read.policies, groups: read.groups)
        return PolicyCompiler.compile(policies, generation: generation, logGroup: logGroup)
    }

    /// A line each: interface, index, hardware address, addresses.
    private static func endpoints(_ path: String) throws -> [Endpoint] {
        guard FileManager.default.fileExists(atPath: path) else { return [] }
        let text = String(decoding: try contents(of: path), as: UTF8.self)
        return try text.split(separator: "\n").map { line in
            let words = line.split(separator: " ")
            guard words.count >= 4, let interface = InterfaceName(words[0]), let index = UInt32(words[1]),
                let hardware = UInt64(words[2].filter { $0 != ":" }, radix: 16)
            else { throw Mistake(text: "\(path): \(line)") }
            return Endpoint(
                interface: interface,
                interfaceIndex: index,
                hardwareAddress: MACAddress(rawValue: hardware),
                addresses: words[3...].compactMap { IPAddress(String($0)) }
            )
        }
    }

    private static func word(_ bytes: [UInt8], at offset: Int) -> UInt32 {
        bytes[offset..<offset + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }

    private static func lines(_ bytes: ArraySlice<UInt8>) -> String {
        stride(from: bytes.startIndex, to: bytes.endIndex, by: 32).map { start in
            let line = bytes[start..<min(start + 32, bytes.endIndex)].map {
                ($0 < 16 ? "0" : "") + String($0, radix: 16)
            }
            return line.joined() + "\n"
        }.joined()
    }
}

/// A case that cannot be read.
struct Mistake: Error {
    var text: String
}

extension Transaction {
    fileprivate mutating func append(_ operations: [EgretNftables.Operation], in table: Table) {
        for operation in operations { append(operation, in: table) }
    }
}
