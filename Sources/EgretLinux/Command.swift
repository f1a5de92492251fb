// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A program to execute, with its arguments and environment.
public struct Command: Hashable, Sendable {
    /// A path if it holds a slash, else a name to be searched for.
    public var program: NativeString
    /// The arguments, the program's own name first.
    public var arguments: [NativeString]
    /// The environment the program gets.
    public var environment: Environment
    /// Where a name is searched for: directories with colons between, an empty one meaning the working directory.
    public var searchPath: String

    /// The search path of a system without `PATH`, as in `confstr(_CS_PATH)`.
    public static let defaultSearchPath = "/bin:/usr/bin"

    /// Describes a program to execute. Without a search path, it is `PATH` of the environment given, as in a shell.
    public init(
        _ program: NativeString,
        arguments: [NativeString],
        environment: Environment = .current,
        searchPath: String? = nil
    ) {
        self.program = program
        self.arguments = arguments
        self.environment = environment
        self.searchPath = searchPath ?? environment["PATH"] ?? Self.defaultSearchPath
    }

    /// The files to try, in order; empty if the name is empty.
    public var candidates: [NativeString] {
        guard !program.bytes.isEmpty else { return [] }
        if program.bytes.contains(UInt8(ascii: "/")) { return [program] }
        return searchPath.utf8.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false).map { directory in
            let prefix = directory.isEmpty ? Array(".".utf8) : Array(directory)
            return NativeString(bytes: prefix + [UInt8(ascii: "/")] + program.bytes)
        }
    }
}

extension LinuxError {
    /// The exit code a shell would end with if executing a command failed so: 127 not found, 126 for all else.
    public var exitCodeOfShell: Int32 {
        errno == .noEntry || errno == .notDirectory ? 127 : 126
    }
}
