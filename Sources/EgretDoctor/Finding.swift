// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Something that keeps a packet from passing, and what mends it.
public struct Finding: Hashable, Sendable {
    /// Where on the way.
    public var step: Step
    /// What was seen.
    public var seen: String
    /// Why that matters.
    public var reason: String
    /// What mends it: programs with their arguments, to be run in this order on the host. Empty where nothing can be
    /// done here.
    public var commands: [[String]]
    /// Whether the commands change only what is Egret's, or are Egret's own.
    public var isEgrets: Bool
    /// Whether the network is at fault, rather than who was asked.
    public var isNetworkFault = true

    /// Creates a finding.
    public init(_ step: Step, _ seen: String, _ reason: String, commands: [[String]] = [], isEgrets: Bool = false) {
        self.step = step
        self.seen = seen
        self.reason = reason
        self.commands = commands
        self.isEgrets = isEgrets || (!commands.isEmpty && commands.allSatisfy { $0.first == "egret" })
    }

    /// The commands as a shell reads them.
    public var commandLines: [String] {
        commands.map { words in words.map(Finding.quoted).joined(separator: " ") }
    }

    private static func quoted(_ word: String) -> String {
        let plain = word.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "-_./:=,@%+".utf8.contains(byte)
            }
        }
        if plain, !word.isEmpty { return word }
        return "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
}
