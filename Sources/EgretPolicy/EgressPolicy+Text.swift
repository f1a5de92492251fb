// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

extension Service: CustomStringConvertible {
    /// The spelling that policies use: `443/tcp`, `8000-9000/udp`, `gre`, `icmp/echo-request`, `protocol/253`.
    public var description: String {
        switch self {
        case .any(let proto): proto.description
        case .ports(let proto, let range): "\(range)/\(proto)"
        case .icmp(let proto, let type):
            "\(proto)/\(ICMPTypeName.name(of: type, for: proto) ?? String(type))"
        }
    }
}

extension AddressBlock: CustomStringConvertible {
    /// `10.0.0.0/8` or `10.0.0.0/8 except 10.1.0.0/16, 10.2.0.0/16`.
    public var description: String {
        except.isEmpty ? "\(prefix)" : "\(prefix) except \(except.map(\.description).joined(separator: ", "))"
    }
}

extension Destination: CustomStringConvertible {
    /// The block, or the group's name.
    public var description: String {
        switch self {
        case .block(let block): block.description
        case .builtIn(let group): group.rawValue
        case .group(let name): name
        }
    }
}
