// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A network's file as Foundation's coder reads and writes it, which wrote these files at first.
struct WrittenRecord: Codable, Equatable {
    struct Pair: Codable, Equatable {
        var first: String
        var last: String
        var isPerConnection: Bool?
    }

    struct Subnet: Codable, Equatable {
        var block: String
        var gateway: String
    }

    struct Attachment: Codable, Equatable {
        var network: String
        var container: String
        var interface: String
    }

    struct Rate: Codable, Equatable {
        var isEgress: Bool
        var bitsPerSecond: UInt64
        var burstBytes: UInt64?
    }

    struct NamedPort: Codable, Equatable {
        var name: String
        var transport: String
        var number: UInt16
    }

    struct Identity: Codable, Equatable {
        var group: String
        var name: String
        var labels: [String: String]
        var ports: [NamedPort]
    }

    struct Endpoint: Codable, Equatable {
        var namespace: String
        var cookie: UInt64
        var isCreated: Bool
        var interface: String
        var hostInterface: String
        var hostIndex: UInt32
        var hardwareAddress: String
        var hostHardwareAddress: String
        var addresses: [String]
        var sourceAddresses: [Pair]
        var identity: Identity?
        var attachment: Attachment?
        var rates: [Rate]?
        var order: Int?
        var stage: String
    }

    struct Port: Codable, Equatable {
        var number: Int
        var namespace: String
        var transport: String
        var hostAddress: String?
        var hostPort: UInt16
        var targetPort: UInt16
        var count: UInt16
        var sources: [String]
        var stage: String
    }

    struct Passage: Codable, Equatable {
        var tool: String
        var rules: [String]
    }

    var version: Int
    var name: String
    var mode: String
    var subnets: [Subnet]
    var mtu: UInt32?
    var isIsolated: Bool
    var isTranslated: Bool
    var sourceAddresses: [Pair]
    var isAdopted: Bool
    var bridgeIndex: UInt32?
    var bridgeHardwareAddress: String?
    var bootID: String
    var stage: String
    var endpoints: [Endpoint]
    var ports: [Port]
    var passages: [Passage]?
    var policyFile: String?

    /// Reads a file.
    init(json: [UInt8]) throws {
        self = try JSONDecoder().decode(WrittenRecord.self, from: Data(json))
    }

    /// The file, as it was written.
    func json() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(self)) + [UInt8(ascii: "\n")]
    }
}
