// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
public import EgretPolicy

/// The time zones of this machine: the files of the time zone database, `tzdata`.
public enum SystemTimeZones {
    /// Where the files are unless `TZDIR` says another place.
    public static let standardDirectory = "/usr/share/zoneinfo"

    /// Reads a file: its bytes, or an error that says what failed.
    public typealias Read = @Sendable (String) throws -> [UInt8]

    /// A database that reads a zone's file when a policy names the zone.
    ///
    /// - Parameters:
    ///   - directory: Where the files are; `nil` for `TZDIR` of the environment, or ``standardDirectory``.
    ///   - read: How a file is read, with whose rights; `nil` for this process's.
    /// - Returns: The database; what it has read it keeps.
    public static func database(
        in directory: String? = nil, read: Read? = nil
    ) -> TimeZoneDatabase {
        let variable = Environment.current["TZDIR"].flatMap { $0.hasPrefix("/") ? $0 : nil }
        let place = directory ?? variable ?? standardDirectory
        return TimeZoneDatabase(
            names: { names(in: place) },
            lookUp: { name in
                guard TimeZoneDatabase.isName(name) else { return .unknown }
                guard File.exists(place) else { return .unreadable("there is no \(place)") }
                let path = "\(place)/\(name)"
                guard let status = try? File.status(path), status.kind == .regular else { return .unknown }
                do {
                    return .rules(
                        try TimeZoneRules(tzif: try read?(path) ?? File.read(path, limit: 1 << 20), name: name))
                } catch let error as TimeZoneReadError {
                    return .unreadable("\(path): \(error)")
                } catch {
                    return .unreadable("\(error)")
                }
            }
        )
    }

    /// The names of the zones in a directory, in order: what begins with a capital letter, as zones do, two levels deep.
    private static func names(in directory: String) -> [String] {
        func names(below path: String, _ prefix: String, depth: Int) -> [String] {
            guard let entries = try? Directory.names(in: path) else { return [] }
            return entries.flatMap { entry -> [String] in
                guard let first = entry.unicodeScalars.first, ("A"..."Z").contains(first), !entry.contains(".") else {
                    return []
                }
                guard (try? File.status("\(path)/\(entry)"))?.kind == .directory else { return [prefix + entry] }
                return depth == 0 ? [] : names(below: "\(path)/\(entry)", "\(prefix)\(entry)/", depth: depth - 1)
            }
        }
        return names(below: directory, "", depth: 2).sorted()
    }
}
