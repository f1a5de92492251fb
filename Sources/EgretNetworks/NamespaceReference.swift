// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretLinux

/// How somebody names a network namespace.
public enum NamespaceReference: Hashable, Sendable, CustomStringConvertible {
    /// A name that `ip netns` knows: a file in `/run/netns`.
    case name(String)
    /// A process that is in it.
    case process(Int32)
    /// A file of nsfs.
    case path(String)

    /// Where names are files.
    public static let directory = "/run/netns"

    /// Reads `ns0`, `pid:4711`, or a path with a slash in it; `nil` for what cannot be any of them.
    public init?(_ text: String) {
        let text = text.hasPrefix("netns:") ? String(text.dropFirst(6)) : text
        if text.hasPrefix("pid:") {
            guard let number = Int32(text.dropFirst(4)), number > 0 else { return nil }
            self = .process(number)
        } else if text.contains("/") {
            self = .path(text)
        } else if text.isEmpty || text == "." || text == ".." || text.utf8.contains(0) {
            return nil
        } else {
            self = .name(text)
        }
    }

    /// As it is written on the command line.
    public var description: String {
        switch self {
        case .name(let name): name
        case .process(let number): "pid:\(number)"
        case .path(let path): path
        }
    }

    /// The file.
    public var path: String {
        switch self {
        case .name(let name): "\(NamespaceReference.directory)/\(name)"
        case .process(let number): "/proc/\(number)/ns/net"
        case .path(let path): path
        }
    }

    /// Opens the namespace.
    ///
    /// - Throws: ``NetworkProblem`` if there is none.
    public func open() throws(NetworkProblem) -> Namespace {
        do {
            let namespace = try Namespace.open(.network, path: path)
            // Any file can be opened; only a network namespace has a cookie.
            _ = try NamespaceReference.cookie(of: namespace)
            return namespace
        } catch {
            switch self {
            case .name(let name):
                throw NetworkProblem(
                    "there is no network namespace named \(name)",
                    advice: "ip netns list shows those there are; egret network connect --create makes one")
            case .process(let number):
                throw NetworkProblem("process \(number) has no network namespace that can be opened")
            case .path(let path):
                throw NetworkProblem(
                    "\(path) is no network namespace: \(error)",
                    advice: "name a file that is one, as those in \(NamespaceReference.directory) are: "
                        + "ip netns list shows them")
            }
        }
    }

    /// The kernel's cookie of a network namespace: unlike every other's since the machine has started.
    ///
    /// - Parameter namespace: A network namespace.
    /// - Returns: The cookie.
    /// - Throws: An error if it is none.
    public static func cookie(of namespace: Namespace) throws -> UInt64 {
        try namespace.visit { try NetworkNamespace.currentCookie() }
    }
}
