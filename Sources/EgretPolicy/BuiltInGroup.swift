// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

/// The destination groups that need no definition.
///
/// The host is in no group but ``host``: `private` does not open the host's own services, whatever its address.
/// Metadata services are in no group but ``metadata``, for the same reason.
public enum BuiltInGroup: String, Hashable, Sendable, CaseIterable {
    /// Globally reachable unicast addresses.
    case internet
    /// Addresses for private use: RFC 1918, RFC 6598 (shared address space) and RFC 4193 (unique local).
    case `private`
    /// The machine that runs the workload: every address the kernel delivers locally.
    case host
    /// Addresses valid on one link: 169.254.0.0/16 (RFC 3927) and fe80::/10 (RFC 4291).
    case linkLocal = "link-local"
    /// The metadata and credential services of the public clouds.
    case metadata
    /// Multicast and limited broadcast: 224.0.0.0/4, 255.255.255.255 and ff00::/8.
    case multicast

    /// The addresses of the group; empty for ``host``, which is decided by where the kernel delivers.
    public var blocks: [AddressBlock] {
        switch self {
        case .internet: BuiltInGroup.internetBlocks
        case .private: BuiltInGroup.privateBlocks
        case .host: []
        case .linkLocal: BuiltInGroup.linkLocalBlocks
        case .metadata: BuiltInGroup.metadataBlocks
        case .multicast: BuiltInGroup.multicastBlocks
        }
    }

    private static let metadataPrefixes = prefixes(
        "100.100.100.200",  // Alibaba Cloud
        "168.63.129.16",  // Azure platform address
        "169.254.169.254",  // AWS, Azure, GCP, OpenStack, DigitalOcean
        "169.254.170.2",  // AWS ECS task credentials
        "169.254.170.23",  // AWS EKS pod identity
        "192.0.0.192",  // Oracle Cloud (classic)
        "fd00:ec2::23",  // AWS EKS pod identity
        "fd00:ec2::254",  // AWS
        "fd20:ce::254"  // GCP
    )

    private static let metadataBlocks = metadataPrefixes.map { AddressBlock($0) }

    private static let multicastBlocks = blocks("224.0.0.0/4", "255.255.255.255", "ff00::/8")

    private static let linkLocalBlocks = blocks("169.254.0.0/16", "fe80::/10")

    private static let privateBlocks = blocks(
        "10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"
    )

    // The registries of special-purpose addresses (RFC 6890 and its updates) decide what is not global. The
    // documentation blocks stay in: nothing answers there, and examples and test beds use them as the internet.
    private static let internetBlocks =
        blocks(
            "0.0.0.0/0",
            except: prefixes(
                "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
                "192.0.0.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4"
            )
        )
        + blocks(
            "2000::/3",
            // Teredo and 6to4 carry an IPv4 address that no rule here has seen.
            except: prefixes("2001::/32", "2001:2::/48", "2001:10::/28", "2001:20::/28", "2002::/16")
        )

    private static func prefixes(_ texts: String...) -> [IPPrefix] {
        texts.compactMap { IPPrefix($0) }
    }

    /// Blocks without the metadata services.
    private static func blocks(_ texts: String..., except: [IPPrefix] = []) -> [AddressBlock] {
        texts.compactMap { IPPrefix($0) }.map { prefix in
            AddressBlock(prefix, except: (except + metadataPrefixes).filter { prefix.contains($0) })
        }
    }
}
