// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy

/// The image that a container was made of, as policies select by it.
struct ImageReference: Codable, Hashable, Sendable {
    /// What the container was asked to be made of: `registry.example/team/web:1.2`.
    var text: String
    /// The engine's number of it: `sha256:` and 64 hexadecimal digits.
    var identifier: String?

    /// Its name without what stands before the last slash, its tag, and the first 12 digits of its number, which
    /// `docker images` shows; whichever of them can be a label's value.
    ///
    /// The number says what is in the image. The name is what somebody has called it.
    var labels: [String: String] {
        let named = text.split(separator: "@", maxSplits: 1).first ?? ""
        let parts = (named.split(separator: "/").last ?? "").split(separator: ":", maxSplits: 1)
        // Of a container that was made of no image Podman 5 says `sha256:`, with no digits.
        let number = identifier?.split(separator: ":", omittingEmptySubsequences: false).last
        let digits = number?.prefix(12)
        let found: [(String, Substring?)] = [
            ("image", parts.first), ("image-tag", parts.count == 2 ? parts[1] : nil), ("image-id", digits),
        ]
        return Dictionary(
            uniqueKeysWithValues: found.compactMap { key, value in
                value.flatMap { value in
                    let value = String(value)
                    let isValue = !value.isEmpty && LabelSyntax.isValue(value)
                    return isValue ? (AttachedEndpoints.labelPrefix + key, value) : nil
                }
            })
    }
}
