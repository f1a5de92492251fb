// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// A kernel switch of the host that a run needs in a certain position.
///
/// Paths are relative to `/proc/sys`.
public struct HostSwitch: Hashable, Sendable {
    /// The switch, for example `net/ipv4/conf/eth0/forwarding`.
    public var path: String
    /// The position that runs need.
    public var needed: String

    /// Creates a switch.
    public init(_ path: String, needed: String) {
        self.path = path
        self.needed = needed
    }
}

/// What Egret has changed of the host's switches, so that the last run puts it back.
///
/// The ledger is written before a switch is moved: whatever kills Egret, the way back is known.
public struct SwitchLedger: Hashable, Sendable {
    /// One switch that Egret moved.
    public struct Entry: Hashable, Sendable {
        /// The switch, relative to `/proc/sys`.
        public var path: String
        /// Its position before.
        public var original: String
        /// The position that Egret gave it.
        public var ours: String
    }

    /// The switches, in the order in which they were moved.
    public private(set) var entries: [Entry] = []

    /// Creates an empty ledger.
    public init() {}

    /// Reads a ledger back; lines that are none are skipped.
    public init(text: String) {
        // Bytes: there is a line for each endpoint, and characters cost a hundred times as much.
        for line in text.utf8.split(separator: UInt8(ascii: "\n")) {
            let fields = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
            guard fields.count == 3, fields[0].starts(with: "net/".utf8) else { continue }
            let climbs = fields[0].split(separator: UInt8(ascii: "/")).contains { $0.elementsEqual("..".utf8) }
            if climbs { continue }
            entries.append(
                Entry(
                    path: String(Substring(fields[0])), original: String(Substring(fields[1])),
                    ours: String(Substring(fields[2]))))
        }
    }

    /// The ledger as it is stored: a line for each switch.
    public var text: String {
        entries.map { "\($0.path) \($0.original) \($0.ours)\n" }.joined()
    }

    /// Notes the switches that have to move, and returns them.
    ///
    /// A switch that stands where it is needed is left alone, and so is one that is noted already.
    ///
    /// - Parameters:
    ///   - switches: Where switches are needed.
    ///   - position: The switch's present position; `nil` if the kernel has no such switch.
    /// - Returns: The switches that have to move.
    public mutating func prepare(_ switches: [HostSwitch], position: (String) -> String?) -> [HostSwitch] {
        var moves: [HostSwitch] = []
        for item in switches {
            guard let present = position(item.path), present != item.needed else { continue }
            moves.append(item)
            if !entries.contains(where: { $0.path == item.path }) {
                entries.append(Entry(path: item.path, original: present, ours: item.needed))
            }
        }
        return moves
    }

    /// Forgets the switches of an interface that is gone: one that gets its name later is another one.
    ///
    /// - Parameter name: The interface's.
    /// - Returns: Whether there were any.
    public mutating func forget(interface name: String) -> Bool {
        let known = entries.count
        let folders = ["net/ipv4/conf/\(name)/", "net/ipv6/conf/\(name)/"]
        entries.removeAll { entry in folders.contains { entry.path.hasPrefix($0) } }
        return entries.count < known
    }

    /// Where the switches stand that were moved for others than some interfaces.
    ///
    /// - Parameter names: Those of the interfaces.
    /// - Returns: The switches, as they were moved.
    public func moves(besides names: [InterfaceName]) -> [HostSwitch] {
        let names = Set(names.map(\.rawValue))
        // The path of an interface's switch: net, family, conf, name, switch.
        return entries.filter { entry in
            let parts = entry.path.split(separator: "/")
            return parts.count != 5 || !names.contains(String(parts[3]))
        }.map { HostSwitch($0.path, needed: $0.ours) }
    }

    /// Takes a switch out of the ledger that nobody needs any more.
    ///
    /// - Parameters:
    ///   - path: The switch.
    ///   - position: Its present position; `nil` if the kernel has no such switch.
    /// - Returns: The move that puts it back; `nil` if Egret has not moved it, or somebody else has since.
    public mutating func release(_ path: String, position: (String) -> String?) -> HostSwitch? {
        guard let place = entries.firstIndex(where: { $0.path == path }) else { return nil }
        let entry = entries.remove(at: place)
        return position(path) == entry.ours ? HostSwitch(path, needed: entry.original) : nil
    }

    /// The moves that put everything back, last moved first.
    ///
    /// A switch that somebody else has moved since is theirs now and stays.
    public func restoration(position: (String) -> String?) -> [HostSwitch] {
        entries.reversed().compactMap { entry in
            position(entry.path) == entry.ours ? HostSwitch(entry.path, needed: entry.original) : nil
        }
    }
}
