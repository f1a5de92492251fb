// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDNSWire
import EgretLinux
import EgretNames
import Synchronization

/// What endpoints have resolved, in a file: an agent that starts anew goes on with it.
///
/// A line is written before an answer goes to whoever asked. The file is in memory, like everything that is about the running
/// kernel: what matters is that it outlives the process.
final class HoldingsJournal: Sendable {
    /// A holding with its end, in milliseconds since the machine's start.
    private struct Line {
        var link: String
        var holding: NameHolding

        var text: String {
            let ending = holding.isCounted ? " counted" : ""
            return "\(link) \(holding.name) \(holding.address) \(holding.until)\(ending)\n"
        }

        init(_ holding: NameHolding, link: String) { (self.link, self.holding) = (link, holding) }

        /// Reads a line; `nil` if it is none, as the last one of an agent that was killed may be.
        init?(_ text: Substring) {
            let words = text.split(separator: " ")
            guard words.count == 4 || words.count == 5 && words[4] == "counted",
                let name = DNSName(words[1]), let address = IPAddress(words[2]), let until = UInt64(words[3])
            else { return nil }
            self.init(
                NameHolding(name: name, address: address, until: until, isCounted: words.count == 5),
                link: String(words[0]))
        }
    }

    private struct State {
        var file: Descriptor?
        var size = 0
        var sizeAfterTidying = 0
    }

    private let path: String
    private let header: String
    private let state = Mutex(State())

    /// Names the file.
    ///
    /// - Parameters:
    ///   - path: Where it is.
    ///   - bootID: The machine's start: what is of another is not read.
    init(path: String, bootID: String) {
        self.path = path
        header = "boot \(bootID)\n"
    }

    /// What the file has that is not over, by link, each name and address once.
    func read(now: UInt64) -> [String: [NameHolding]] {
        guard let text = try? File.readText(path, limit: 1 << 28), text.hasPrefix(header) else { return [:] }
        // Until when, by what is held.
        var longest: [String: [NameHolding: UInt64]] = [:]
        for text in text.split(separator: "\n").dropFirst() {
            guard let line = Line(text), line.holding.until > now else { continue }
            var held = line.holding
            held.until = 0
            let known = longest[line.link]?[held] ?? 0
            longest[line.link, default: [:]][held] = max(known, line.holding.until)
        }
        return longest.mapValues { holdings in
            holdings.map { held, until in
                NameHolding(name: held.name, address: held.address, until: until, isCounted: held.isCounted)
            }
        }
    }

    /// Notes what answers have given the endpoint at a link.
    ///
    /// - Throws: `LinuxError` if it cannot be written.
    func append(_ holdings: some Sequence<NameHolding>, link: String) throws {
        let bytes = Array(holdings.map { Line($0, link: link).text }.joined().utf8)
        try state.withLock { state in
            if state.file == nil {
                state.file = try Descriptor.open(path, [.writeOnly, .create, .append], mode: 0o600)
            }
            try state.file?.write(bytes)
            state.size += bytes.count
        }
    }

    /// Takes the file away: nobody holds anything.
    func remove() {
        state.withLock { state in
            try? File.remove(path)
            state = State()
        }
    }

    /// Whether the file has grown so much that most of it may be over.
    var isDue: Bool { state.withLock { $0.size > max(1 << 20, 2 * $0.sizeAfterTidying) } }

    /// Writes the file anew.
    ///
    /// - Parameter holdings: What is held now, by link; nothing is noted while it is asked for.
    /// - Throws: `LinuxError` if it cannot be written; the file is then as it was.
    func tidy(_ holdings: () -> [(link: String, holdings: [NameHolding])]) throws {
        try state.withLock { state in
            var bytes = Array(header.utf8)
            for (link, holdings) in holdings() {
                for holding in holdings { bytes += Line(holding, link: link).text.utf8 }
            }
            try File.replace(path, with: bytes, mode: 0o600)
            // What is written now goes to the new one, or nowhere and is told of.
            state.file = nil
            state.file = try Descriptor.open(path, [.writeOnly, .append], mode: 0o600)
            (state.size, state.sizeAfterTidying) = (bytes.count, bytes.count)
        }
    }
}
