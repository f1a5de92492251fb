// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretNetworks

/// The network namespaces that a target is known by: the one that is its own, and the one that its first process is in.
struct TargetNamespaces {
    /// A namespace, and what tells it from all others since the machine's start.
    struct Place {
        var namespace: Namespace
        var cookie: UInt64

        init(path: String) throws {
            namespace = try Namespace.open(.network, path: path)
            // Any file can be opened; only a network namespace has a cookie.
            cookie = try NamespaceReference.cookie(of: namespace)
        }
    }

    /// The one that its engine has made for it. Where that tells of none, or of none that can be opened here, the one that its
    /// first process is in.
    var own: Place
    /// The one that its first process is in; `nil` if there is none any more.
    var process: Place?

    /// Opens the namespaces of a target.
    ///
    /// - Parameter target: The target. Whether the number of its process is still its own is not asked.
    /// - Throws: An error if there is neither.
    init(of target: AttachedTarget) throws {
        if let sandbox = target.sandbox, TargetNamespaces.isNamespace(sandbox), let place = try? Place(path: sandbox) {
            own = place
            process = try? Place(path: target.path)
        } else {
            let place = try Place(path: target.path)
            own = place
            process = place
        }
    }

    /// Whether a file is a namespace, as all are of one file system. Which file it is a user's engine may say, and to open a
    /// device is to begin something.
    private static func isNamespace(_ path: String) -> Bool {
        guard let file = try? File.status(path), let own = try? File.status("/proc/self/ns/net") else { return false }
        return file.device == own.device
    }

    /// What leads out of the namespace that the first process is in where that is another than the target's own, in words.
    var waysElsewhere: [String] {
        guard let process, process.cookie != own.cookie else { return [] }
        let links = (try? NamespaceLink.all(in: process.namespace)) ?? []
        let found = links.compactMap { link in
            link.hostIndex == nil ? link.wayOut : "\(link.name) leads to this host, where it has no policies"
        }
        return found.map { "in the network that its first process has gone to, \($0)" }
    }
}
