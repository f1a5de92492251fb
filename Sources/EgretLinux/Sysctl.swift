// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A kernel setting under `/proc/sys`, of the network namespace the calling thread is in.
public struct Sysctl: Hashable, Sendable, CustomStringConvertible {
    /// The path below `/proc/sys`, such as `net/ipv4/ip_forward`.
    public let name: String

    /// Names a setting by its path below `/proc/sys`. Slashes, not dots: interface names may hold dots.
    public init(_ name: String) {
        self.name = name
    }

    /// The whole path.
    public var path: String { "/proc/sys/" + name }

    /// The path below `/proc/sys`.
    public var description: String { name }

    /// The value, without white space around it; `nil` if this kernel has no such setting.
    public func read() throws(LinuxError) -> String? {
        do throws(LinuxError) {
            return Self.trim(try File.readText(path))
        } catch {
            if error.errno == .noEntry { return nil }
            throw error
        }
    }

    /// Writes the value.
    public func write(_ value: String) throws(LinuxError) {
        do throws(LinuxError) {
            try Descriptor.open(path, .writeOnly).write(value + "\n")
        } catch {
            throw LinuxError(error.errno, operation: "set \(name) to", object: value)
        }
    }

    private static func trim(_ text: String) -> String {
        let kept = text.drop(while: \.isWhitespace)
        guard let last = kept.lastIndex(where: { !$0.isWhitespace }) else { return "" }
        return String(kept[...last])
    }
}
