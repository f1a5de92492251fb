// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretPolicy
import Foundation

/// The last good list of each URL, on disk: what an agent that starts without the network goes on with, and what going
/// back to a former revision needs.
struct FeedArchive: Sendable {
    /// The directory: a list and a note for each feed, named by the digest of what it is kept as, and for those that no group
    /// names the number of the revision that let them go.
    let directory: String
    /// So many bytes of lists stay that only going back by several revisions may need.
    var room: Int64 = 256 << 20

    /// A list, and what the server told of it.
    struct Kept: Sendable {
        var bytes: [UInt8]
        var validators: FeedFetcher.Validators
    }

    /// What is known of a list besides its lines.
    private struct Note: Codable {
        var url: String
        var digest: String
        var validators: FeedFetcher.Validators
    }

    /// What a feed's list is kept as, the first that does being right: by its URL, and one that must have a certain digest by
    /// that too, so that the URL's next list does not take its place.
    static func keys(of feed: Feed) -> [String] {
        guard case .url(let url) = feed.source else { return [] }
        return (feed.sha256.map { ["\(url) \($0)"] } ?? []) + [url]
    }

    /// The last good list; `nil` if none is kept, or what is kept is damaged.
    func read(_ url: String) -> Kept? {
        guard let text = try? File.read(path(url, "json"), limit: 1 << 16),
            let note = try? JSONDecoder().decode(Note.self, from: Data(text)), note.url == url,
            let bytes = try? File.read(path(url, "list"), limit: Feed.byteLimit),
            SHA256.digest(of: bytes) == note.digest
        else { return nil }
        return Kept(bytes: bytes, validators: note.validators)
    }

    /// Keeps a list.
    func keep(_ kept: Kept, of url: String) throws {
        try Directory.make(directory, mode: 0o700)
        let note = Note(url: url, digest: SHA256.digest(of: kept.bytes), validators: kept.validators)
        try File.replace(path(url, "list"), with: kept.bytes, mode: 0o600, synchronized: true)
        try File.replace(
            path(url, "json"), with: Array(try JSONEncoder().encode(note)), mode: 0o600, synchronized: true)
    }

    /// Forgets the lists that no group needs, but for those that going back may need.
    ///
    /// What the revision in force has let go stays. Of what was let go before, the latest stays as far as there is room,
    /// and only while a revision is kept that may have needed it.
    ///
    /// - Parameters:
    ///   - urls: What the lists of groups in force are kept as.
    ///   - revision: The number of the revision in force.
    ///   - oldest: The number of the oldest revision that is kept.
    func forget(except urls: Swift.Set<String>, in revision: Int, oldest: Int) {
        let needed = Swift.Set(urls.map { FeedArchive.name($0) })
        let names = (try? Directory.names(in: directory)) ?? []
        let files = Dictionary(grouping: names) { String($0.prefix { $0 != "." }) }
        var released: [(stem: String, revision: Int)] = []
        for stem in files.keys {
            if needed.contains(stem) {
                try? File.remove(mark(stem))
            } else {
                released.append((stem, release(stem, in: revision)))
            }
        }
        var rest = room
        for (stem, number) in released.sorted(by: { ($1.revision, $0.stem) < ($0.revision, $1.stem) }) {
            if number < revision { rest -= (try? File.status("\(directory)/\(stem).list"))?.size ?? 0 }
            if number == revision || (oldest < number && number < revision && rest >= 0) { continue }
            for name in files[stem] ?? [] { try? File.remove("\(directory)/\(name)") }
            try? File.remove(mark(stem))
        }
    }

    /// Says which revision has let a list go, and notes it.
    private func release(_ stem: String, in revision: Int) -> Int {
        if let number = (try? File.readText(mark(stem), limit: 64)).flatMap({ Int($0) }) { return number }
        try? File.replace(mark(stem), with: Array("\(revision)".utf8), mode: 0o600)
        return revision
    }

    private func mark(_ stem: String) -> String { "\(directory)/\(stem).past" }

    private static func name(_ url: String) -> String { SHA256.digest(of: Array(url.utf8)) }

    private func path(_ url: String, _ ending: String) -> String { "\(directory)/\(FeedArchive.name(url)).\(ending)" }
}
