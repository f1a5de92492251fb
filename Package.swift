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
        .executable(name: "egret-lab", targets: ["egret-lab"]),
        .executable(name: "egret-bench", targets: ["egret-bench"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.5.0"),
    ],
    targets: [
        // Values: the standard library only.
        .target(name: "EgretAddressing", swiftSettings: strict),
        .target(name: "EgretPolicy", dependencies: ["EgretAddressing"], swiftSettings: strict),
        .target(name: "EgretEvaluator", dependencies: ["EgretAddressing", "EgretPolicy"], swiftSettings: strict),
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
            dependencies: ["EgretNftables", "EgretNetlinkWire", "EgretLinux"],
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
            name: "EgretNetworks",
            dependencies: ["EgretAddressing", "EgretNetlinkWire", "EgretLinux", "EgretNetlink"],
            swiftSettings: strict
        ),
        .target(
            name: "EgretDoctor",
            dependencies: [
                "EgretAddressing", "EgretNftables", "EgretNetlinkWire", "EgretLinux", "EgretNetlink",
            ],
            swiftSettings: strict
        ),
        // Delivery.
        .target(
            name: "EgretCommands",
            dependencies: [
                "EgretAddressing", "EgretPolicy", "EgretEvaluator", "EgretNftables", "EgretCompiler",
                "EgretNetlinkWire", "EgretDocuments", "EgretLinux", "EgretNetlink", "EgretDataplane", "EgretFlows",
                "EgretRun", "EgretNetworks", "EgretDoctor",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict
        ),
        .executableTarget(name: "egret", dependencies: ["EgretCommands"], swiftSettings: strict),
        // The test bed: a small internet in namespaces.
        .target(
            name: "EgretTesting",
            dependencies: ["EgretAddressing", "EgretPolicy", "EgretEvaluator", "EgretLinux"],
            resources: [.embedInCode("Resources/servers.py"), .embedInCode("Resources/home.sh")],
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
                "EgretAddressing", "EgretPolicy", "EgretEvaluator", "EgretNftables", "EgretCompiler",
                "EgretDocuments", "EgretLinux", "EgretNetlink", "EgretDataplane",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict
        ),
        // Units: they need nothing.
        .testTarget(name: "EgretAddressingTests", dependencies: ["EgretAddressing"], swiftSettings: strict),
        .testTarget(
            name: "EgretPolicyTests",
            dependencies: [
                "EgretAddressing", "EgretPolicy", "EgretDocuments", "EgretTesting",
                // A second opinion: whatever both parsers read, they must read alike.
                .product(name: "Yams", package: "Yams"),
            ],
            exclude: ["Golden"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "EgretEvaluatorTests",
            dependencies: ["EgretAddressing", "EgretPolicy", "EgretEvaluator"],
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
        .testTarget(name: "EgretLinuxTests", dependencies: ["EgretLinux"], swiftSettings: strict),
        .testTarget(name: "EgretRunTests", dependencies: ["EgretAddressing", "EgretRun"], swiftSettings: strict),
        .testTarget(
            name: "EgretNetworksTests",
            dependencies: ["EgretAddressing", "EgretLinux", "EgretNetworks", "EgretTesting"],
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
            name: "EgretFlowsTests",
            dependencies: ["EgretAddressing", "EgretPolicy", "EgretEvaluator", "EgretFlows"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "EgretCommandsTests",
            dependencies: [
                "EgretAddressing", "EgretPolicy", "EgretEvaluator", "EgretDocuments", "EgretLinux", "EgretFlows",
                "EgretCommands", "EgretTesting", "egret",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
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
                "EgretAddressing", "EgretPolicy", "EgretEvaluator", "EgretNftables", "EgretCompiler",
                "EgretNetlinkWire", "EgretLinux", "EgretNetlink", "EgretDataplane", "EgretTesting",
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
