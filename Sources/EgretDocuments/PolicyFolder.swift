// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Which files of a directory hold documents.
public enum PolicyFolder {
    /// The endings of names that are read.
    public static let endings = [".yaml", ".yml", ".json"]
    /// How deep directories are read.
    public static let depth = 32

    /// Whether a file of this name, without its directories, is read. Hidden files are not.
    public static func isRead(_ name: String) -> Bool {
        !isHidden(name) && endings.contains { name.hasSuffix($0) && name.utf8.count > $0.utf8.count }
    }

    /// Whether the name begins with a dot, as those of editors' and version control's own files do.
    public static func isHidden(_ name: String) -> Bool {
        name.hasPrefix(".")
    }
}
