// swift-tools-version: 6.2
// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import PackageDescription

// Targets stand in the order of the direction rule: a target may import only targets above it.
// `scripts/check-imports` holds every import to that order.

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
]

let package = Package(
    name: "egret",
    products: [
        .executable(name: "egret", targets: ["egret"]),
        .executable(name: "egret-cni", targets: ["egret-cni"]),
        .executable(name: "egret-lab", targets: ["egret-lab"]),
        .executable(name: "egret-bench", targets: ["egret-bench"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.5.0"),
    ],
    targets: [
        // Values: the standard library only.
        .target(name: "EgretAddressing", swiftSettings: strict),
        .target(name: "EgretPolicy", dependencies: ["EgretAddressing"], swiftSettings: strict),
        .target(name: "EgretAgentAPI", swiftSettings: strict),
        .target(name: "EgretResolution", dependencies: ["EgretAddressing", "EgretPolicy"], swiftSettings: strict),
        .target(
            name: "EgretEvaluator",
            dependencies: ["EgretAddressing", "EgretPolicy", "EgretResolution"],
            swiftSettings: strict
        ),
        .target(
            name: "EgretAnalysis",
            dependencies: ["EgretAddressing", "EgretPolicy", "EgretResolution", "EgretEvaluator"],
            swiftSettings: strict
        ),
        .target(name: "EgretNftables", dependencies: ["EgretAddressing"], swiftSettings: strict),
        .target(
            name: "EgretCompiler",
            dependencies: ["EgretAddressing", "EgretPolicy", "EgretNftables"],
            swiftSettings: strict
        ),
        // Bytes: pure codecs.
        .target(
            name: "EgretNetlinkWire",
            dependencies: ["EgretAddressing", "EgretNftables"],
            swiftSettings: strict
        ),
        .target(name: "EgretDNSWire", dependencies: ["EgretAddressing"], swiftSettings: strict),
        .target(name: "EgretGreetingWire", swiftSettings: strict),
        // Text: YAML and JSON into document trees with positions; standard library only.
        .target(
            name: "EgretDocuments",
            dependencies: ["EgretPolicy"],
            swiftSettings: strict
        ),
        // The operating system.
        .target(name: "CEgretLinux"),
        .target(name: "EgretLinux", dependencies: ["CEgretLinux"], swiftSettings: strict),
        .target(
            name: "EgretNetlink",
            dependencies: ["EgretAddressing", "EgretNftables", "EgretNetlinkWire", "EgretLinux"],
            swiftSettings: strict
        ),
        // Engines.
        .target(
            name: "EgretDataplane",
            dependencies: ["EgretAddressing", "EgretNftables", "EgretNetlinkWire", "EgretLinux", "EgretNetlink"],
            swiftSettings: strict
        ),
        .target(
            name: "EgretFlows",
            dependencies: [
                "EgretAddressing", "EgretPolicy", "EgretEvaluator", "EgretNetlinkWire", "EgretLinux", "EgretNetlink",
            ],
            swiftSettings: strict
        ),
        .target(
            name: "EgretRun",
            dependencies: ["EgretAddressing", "EgretNetlinkWire", "EgretLinux", "EgretNetlink"],
            swiftSettings: strict
        ),
        .target(
            name: "EgretRoutes",
            dependencies: [
                "EgretAddressing", "EgretPolicy", "EgretNftables", "EgretCompiler", "EgretNetlinkWire", "EgretLinux",
                "EgretNetlink",
            ],
            swiftSettings: strict
        ),
        .target(
            name: "EgretNetworks",
            dependencies: ["EgretAddressing", "EgretNetlinkWire", "EgretLinux", "EgretNetlink"],
            swiftSettings: strict
        ),
        .target(
            name: "EgretNames",
            dependencies: [
                "EgretAddressing", "EgretPolicy", "EgretEvaluator", "EgretNetlinkWire", "EgretDNSWire",
                "EgretGreetingWire", "EgretLinux", "EgretNetlink",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "CryptoExtras", package: "swift-crypto"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "EgretShaping",
            dependencies: [
                "EgretAddressing", "EgretPolicy", "EgretCompiler", "EgretNetlinkWire", "EgretLinux", "EgretNetlink",
            ],
            swiftSettings: strict
        ),
        .target(
            name: "EgretDoctor",
            dependencies: [
                "EgretAddressing", "EgretNftables", "EgretCompiler", "EgretNetlinkWire", "EgretLinux", "EgretNetlink",
            ],
            swiftSettings: strict
        ),
        // What a machine adds to policies: time zones, feeds.
        .target(
            name: "EgretSources",
            dependencies: ["EgretAddressing", "EgretPolicy", "EgretLinux"],
            swiftSettings: strict
        ),
        // Delivery.
        .target(
            name: "EgretAgent",
            dependencies: [
                "EgretAddressing", "EgretPolicy", "EgretAgentAPI", "EgretResolution", "EgretEvaluator", "EgretNftables",
                "EgretCompiler", "EgretNetlinkWire", "EgretDocuments", "EgretLinux", "EgretNetlink", "EgretDataplane",
                "EgretFlows", "EgretNetworks", "EgretSources", "EgretRun", "EgretRoutes", "EgretShaping", "EgretNames",
                "EgretDNSWire", "EgretGreetingWire",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            swiftSettings: strict
        ),
        // The agent's API from the other side.
        .target(
            name: "EgretAgentClient",
            dependencies: [
                "EgretAgentAPI", "EgretLinux",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "EgretCommands",
            dependencies: [
                "EgretAddressing", "EgretPolicy", "EgretAgentAPI", "EgretResolution", "EgretEvaluator", "EgretAnalysis",
                "EgretNftables", "EgretCompiler", "EgretNetlinkWire", "EgretDocuments", "EgretLinux", "EgretNetlink",
                "EgretDataplane", "EgretFlows", "EgretRun", "EgretRoutes", "EgretShaping", "EgretNetworks",
                "EgretDoctor", "EgretSources", "EgretAgent", "EgretAgentClient", "EgretNames", "EgretDNSWire",
                "EgretGreetingWire",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict
        ),
        // Container runtimes: a small program that they start for each container.
        .target(
            name: "EgretCNI",
            dependencies: [
                "EgretAddressing", "EgretPolicy", "EgretAgentAPI", "EgretDocuments", "EgretLinux", "EgretNetworks",
                "EgretAgent", "EgretAgentClient", "EgretCommands",
            ],
            swiftSettings: strict
        ),
        .executableTarget(name: "egret-cni", dependencies: ["EgretCNI"], swiftSettings: strict),
        .executableTarget(name: "egret", dependencies: ["EgretCommands"], swiftSettings: strict),
        // The test bed: a small internet in namespaces.
        .target(
            name: "EgretTesting",
            dependencies: [
                "EgretAddressing", "EgretPolicy", "EgretEvaluator", "EgretDocuments", "EgretLinux",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "CryptoExtras", package: "swift-crypto"),
            ],
            resources: [
                .embedInCode("Resources/servers.py"), .embedInCode("Resources/resolver.py"),
                .embedInCode("Resources/home.sh"),
            ],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "egret-lab",
            dependencies: [
                "EgretAddressing", "EgretTesting",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict
        ),
        // What `make bench` measures with.
        .executableTarget(
            name: "egret-bench",
            dependencies: [
                "EgretAddressing", "EgretPolicy", "EgretResolution", "EgretEvaluator", "EgretAnalysis",
                "EgretNftables", "EgretCompiler", "EgretDocuments", "EgretLinux", "EgretNetlink", "EgretDataplane",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict
        ),
        // Units: they need nothing.
        .testTarget(name: "EgretAddressingTests", dependencies: ["EgretAddressing"], swiftSettings: strict),
        .testTarget(
            name: "EgretPolicyTests",
            dependencies: [
                "EgretAddressing", "EgretPolicy", "EgretResolution", "EgretEvaluator", "EgretDocuments",
                "EgretSources", "EgretTesting",
                // A second opinion: whatever both parsers read, they must read alike.
                .product(name: "Yams", package: "Yams"),
            ],
            exclude: ["Golden", "GoldenManifests", "Zones"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "EgretResolutionTests",
            dependencies: ["EgretAddressing", "EgretPolicy", "EgretResolution", "EgretEvaluator", "EgretTesting"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "EgretEvaluatorTests",
            dependencies: ["EgretAddressing", "EgretPolicy", "EgretEvaluator"],
            swiftSettings: strict
        ),
        // Policies, pods, and who must reach whom: through the evaluator here, through the kernel elsewhere.
        .testTarget(
            name: "ConformanceTests",
            dependencies: ["EgretAddressing", "EgretPolicy", "EgretResolution", "EgretEvaluator", "EgretTesting"],
            exclude: ["Cases", "Worlds"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "EgretAnalysisTests",
            dependencies: [
                "EgretAddressing", "EgretPolicy", "EgretResolution", "EgretEvaluator", "EgretAnalysis", "EgretTesting",
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "EgretNftablesTests",
            dependencies: ["EgretAddressing", "EgretNftables"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "EgretCompilerTests",
            dependencies: [
                "EgretAddressing", "EgretPolicy", "EgretEvaluator", "EgretNftables", "EgretCompiler", "EgretTesting",
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "EgretCNITests",
            dependencies: ["EgretAgentAPI", "EgretDocuments", "EgretNetworks", "EgretAgentClient", "EgretCNI"],
            swiftSettings: strict
        ),
        .testTarget(name: "EgretLinuxTests", dependencies: ["EgretLinux"], swiftSettings: strict),
        .testTarget(name: "EgretRunTests", dependencies: ["EgretAddressing", "EgretRun"], swiftSettings: strict),
        .testTarget(
            name: "EgretRoutesTests",
            dependencies: ["EgretAddressing", "EgretNetlinkWire", "EgretPolicy", "EgretRoutes"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "EgretNetworksTests",
            dependencies: [
                "EgretAddressing", "EgretLinux", "EgretNetlink", "EgretNetlinkWire", "EgretNetworks", "EgretTesting",
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "EgretDoctorTests",
            dependencies: [
                "EgretAddressing", "EgretNftables", "EgretNetlinkWire", "EgretLinux", "EgretDoctor",
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "EgretDNSWireTests",
            dependencies: ["EgretAddressing", "EgretDNSWire", "EgretGreetingWire"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "EgretNamesTests",
            dependencies: [
                "EgretAddressing", "EgretPolicy", "EgretEvaluator", "EgretDNSWire", "EgretGreetingWire", "EgretLinux",
                "EgretNames", "EgretTesting",
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "EgretFlowsTests",
            dependencies: ["EgretAddressing", "EgretPolicy", "EgretEvaluator", "EgretFlows"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "EgretCommandsTests",
            dependencies: [
                "EgretAddressing", "EgretPolicy", "EgretEvaluator", "EgretDocuments", "EgretLinux", "EgretFlows",
                "EgretAnalysis", "EgretNetworks", "EgretCommands", "EgretTesting", "egret",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            exclude: ["Golden"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "EgretAgentTests",
            dependencies: [
                "EgretAddressing", "EgretPolicy", "EgretAgentAPI", "EgretCompiler", "EgretDocuments", "EgretLinux",
                "EgretDataplane", "EgretFlows", "EgretNetlink", "EgretNetlinkWire", "EgretNetworks", "EgretNftables",
                "EgretShaping", "EgretSources", "EgretDNSWire", "EgretGreetingWire", "EgretNames", "EgretAgent",
                "EgretAgentClient", "EgretTesting", "egret",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            exclude: ["FeedServer.py"],
            swiftSettings: strict
        ),
        // A policy file, the nft text and the bytes that come of it.
        .testTarget(
            name: "GoldenTests",
            dependencies: [
                "EgretAddressing", "EgretPolicy", "EgretNftables", "EgretCompiler", "EgretNetlinkWire",
                "EgretDocuments", "EgretTesting",
            ],
            exclude: ["Golden"],
            swiftSettings: strict
        ),
        // Codecs, against bytes captured from a real kernel.
        .testTarget(
            name: "WireTests",
            dependencies: ["EgretAddressing", "EgretNftables", "EgretNetlinkWire", "EgretLinux", "EgretNetlink"],
            swiftSettings: strict
        ),
        // Compiled policies in a real kernel, packet by packet. Needs root.
        .testTarget(
            name: "KernelTests",
            dependencies: [
                "EgretAddressing", "EgretPolicy", "EgretResolution", "EgretEvaluator", "EgretNftables",
                "EgretCompiler", "EgretNetlinkWire", "EgretLinux", "EgretNetlink", "EgretDataplane", "EgretRoutes",
                "EgretNetworks", "EgretRun", "EgretShaping", "EgretTesting",
            ],
            swiftSettings: strict
        ),
        // What the documentation says of the command line, against the command line.
        .testTarget(name: "ManualTests", dependencies: ["EgretTesting", "egret", "egret-lab"], swiftSettings: strict),
        // The whole, in a small internet of its own. Needs root.
        .testTarget(
            name: "IntegrationTests",
            dependencies: ["EgretAddressing", "EgretTesting", "EgretLinux", "egret"],
            swiftSettings: strict
        ),
    ]
)
