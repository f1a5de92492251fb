// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretPolicy
import Foundation

/// The last good list of each URL, on disk: what an agent that starts without the network goes on with.
struct FeedArchive: Sendable {
    /// The directory: a list and a note for each feed, named by the digest of the URL.
    let directory: String

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

    /// Forgets the lists of URLs that no group names.
    func forget(except urls: Swift.Set<String>) {
        let kept = Swift.Set(urls.map { FeedArchive.name($0) })
        for name in (try? Directory.names(in: directory)) ?? [] {
            guard let stem = name.split(separator: ".").first, !kept.contains(String(stem)) else { continue }
            try? File.remove("\(directory)/\(name)")
        }
    }

    private static func name(_ url: String) -> String { SHA256.digest(of: Array(url.utf8)) }

    private func path(_ url: String, _ ending: String) -> String { "\(directory)/\(FeedArchive.name(url)).\(ending)" }
}
