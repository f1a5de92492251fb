// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// As text, in what the agent keeps and sends.
extension IPAddress: Codable {
    /// Reads its text.
    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let address = IPAddress(text) else {
            throw DecodingError.dataCorrupted(
                DecodingError.Context(codingPath: decoder.codingPath, debugDescription: "“\(text)” is no address"))
        }
        self = address
    }

    /// Writes its text.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
