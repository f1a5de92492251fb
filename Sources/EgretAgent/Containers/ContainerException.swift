// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI

/// Containers that may run though they have a way past policies that others may not have.
public enum ContainerException: Hashable, Sendable, CustomStringConvertible {
    /// The one whose endpoint is called so: an engine's name, and its own.
    case name(engine: String, container: String)
    /// Those that were asked to be made of what is called so, as their engine tells: `registry.example/monitor:2`.
    case image(String)
    /// Those whose image has a number that begins so: lower-case hexadecimal digits, 12 of them or more.
    case imageNumber(String)

    private static let prefix = "image:"
    private static let digest = "sha256:"

    /// Reads an exception; `nil` if it is none.
    ///
    /// - Parameter text: `docker/monitor`, `image:registry.example/monitor:2` or `image:sha256:4f53…`. A number may be
    ///   written without `sha256:`.
    public init?(_ text: String) {
        if text.hasPrefix(ContainerException.prefix) {
            let image = String(text.dropFirst(ContainerException.prefix.count))
            let isDigest = image.hasPrefix(ContainerException.digest)
            let digits = isDigest ? String(image.dropFirst(ContainerException.digest.count)) : image
            if (12...64).contains(digits.utf8.count), digits.utf8.allSatisfy(ContainerException.isDigit) {
                self = .imageNumber(digits)
            } else if !isDigest, !image.isEmpty, image.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) {
                self = .image(image)
            } else {
                return nil
            }
        } else {
            let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, parts.allSatisfy(AttachRequest.isName) else { return nil }
            self = .name(engine: parts[0], container: parts[1])
        }
    }

    /// As it is written.
    public var description: String {
        switch self {
        case .name(let engine, let container): "\(engine)/\(container)"
        case .image(let text): ContainerException.prefix + text
        case .imageNumber(let digits): ContainerException.prefix + ContainerException.digest + digits
        }
    }

    /// Whether it is about a container.
    func covers(_ target: AttachedTarget) -> Bool {
        switch self {
        case .name(let engine, let container): target.origin == engine && target.name == container
        case .image(let text): target.image?.text == text
        case .imageNumber(let digits):
            target.image?.identifier?.split(separator: ":").last?.hasPrefix(digits) ?? false
        }
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
    }
}
