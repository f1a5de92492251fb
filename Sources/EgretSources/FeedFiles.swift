// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretPolicy

/// Reads the feeds of groups that are files of this machine.
public enum FeedFiles {
    /// Fills in what the files hold.
    ///
    /// - Parameters:
    ///   - groups: Groups with and without feeds. Those with a URL are left as they are.
    ///   - read: How a file is read: with whose rights.
    /// - Returns: The groups, and an error for each file that cannot be used and each of its wrong lines, up to
    ///   `FeedList.keptMistakes`. A group with an error has no list.
    public static func load(
        _ groups: [DestinationGroup], read: (String) throws -> [UInt8]
    ) -> (groups: [DestinationGroup], diagnostics: [Diagnostic]) {
        var loaded = groups
        var diagnostics: [Diagnostic] = []
        for place in loaded.indices {
            guard let feed = loaded[place].feed, case .file(let path) = feed.source else { continue }
            var state = FeedState(feed)
            let change = state.attempt(at: 0) { _ throws(FeedError) in
                do {
                    return try read(path)
                } catch {
                    throw FeedError("\(error)")
                }
            }
            loaded[place].fetched = state.blocks
            if case .closed(let error) = change { diagnostics += FeedFiles.diagnostics(error, path, loaded[place]) }
        }
        return (loaded, diagnostics)
    }

    private static func diagnostics(_ error: FeedError, _ path: String, _ group: DestinationGroup) -> [Diagnostic] {
        let first = Diagnostic(
            .error, code: DiagnosticCode.feed, at: group.location,
            "the feed \(path) of the group \(group.name) cannot be used: \(error.message)",
            suggestion: error.mistakes.isEmpty
                ? "give a file with an address or a CIDR on each line"
                : "correct the lines; nothing is taken from a list with a wrong one")
        return [first]
            + error.mistakes.map { mistake in
                Diagnostic(
                    .error, code: DiagnosticCode.feed, at: SourceLocation(file: path, line: mistake.line, column: 1),
                    mistake.message)
            }
    }
}
