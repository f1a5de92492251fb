// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretLinux

/// A descriptor that the service manager has handed to this process at its start (sd_listen_fds(3)): what a former process of
/// the unit had it keep.
public struct HandedDescriptor: Sendable {
    /// What it is called.
    public var name: String
    /// The descriptor.
    public var descriptor: Descriptor

    /// Gives a descriptor a name.
    public init(name: String, descriptor: Descriptor) {
        self.name = name
        self.descriptor = descriptor
    }

    /// The variables that tell of them. They are of no use to anybody once the descriptors are taken.
    public static let variables = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]

    /// More than this are taken for a mistake.
    private static let limit = 1_024

    /// The names of what was handed to a process, in the order of the descriptors.
    ///
    /// - Parameters:
    ///   - environment: The process's environment.
    ///   - process: The process's number.
    /// - Returns: The names; none if what is told is for another process (`LISTEN_PID`), or makes no sense. Without names, or
    ///   if there are more or fewer of them than descriptors, each is `unknown`.
    public static func names(in environment: Environment, of process: Int32) -> [String] {
        guard environment["LISTEN_PID"] == "\(process)", let count = environment["LISTEN_FDS"].flatMap({ Int($0) }),
            (1...limit).contains(count)
        else { return [] }
        let text = environment["LISTEN_FDNAMES"] ?? ""
        let names = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        return names.count == count && text != "" ? names : [String](repeating: "unknown", count: count)
    }

    /// Takes what was handed to this process. To be called once, before there is another thread, and before the process opens
    /// anything: what is promised and was not handed over must not be something of its own.
    ///
    /// - Parameters:
    ///   - environment: The process's environment.
    ///   - process: The process's number.
    ///   - first: The number of the first one.
    ///   - tell: Hears, in a sentence each, of what is promised and not there.
    /// - Returns: The descriptors, which close on exec from now on. Left out is a number at which nothing is open, or what closes
    ///   on exec already: it was not there when this process began.
    public static func takeAll(
        environment: Environment = .current, process: Int32 = CurrentProcess.identifier, first: Int32 = 3,
        telling tell: (String) -> Void = { _ in }
    ) -> [HandedDescriptor] {
        let names = names(in: environment, of: process)
        if names.isEmpty, environment["LISTEN_PID"] == "\(process)", let count = environment["LISTEN_FDS"], count != "0"
        {
            tell("nothing is taken from the service manager: LISTEN_FDS=\(count) is no number of descriptors")
        }
        var handed: [HandedDescriptor] = []
        for (index, name) in names.enumerated() {
            let number = first + Int32(index)
            do throws(LinuxError) {
                handed.append(HandedDescriptor(name: name, descriptor: try Descriptor(inherited: number)))
            } catch {
                let why = error.errno == .exists ? "this process has opened it itself" : "nothing is open there"
                tell("descriptor \(number) is not what the service manager says, \(name): \(why)")
            }
        }
        return handed
    }
}
