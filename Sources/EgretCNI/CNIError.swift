// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// An error as the CNI specification has it (section "Error").
public struct CNIError: Error, Codable, Hashable, Sendable {
    /// The version that the result is in.
    public var cniVersion: String?
    /// The number of the specification's table, or 100 and above for a plugin's own.
    public var code: Int
    /// What is wrong, in a few words.
    public var msg: String
    /// What is wrong, and what to do, at length.
    public var details: String?

    /// Creates an error.
    public init(_ code: Code, _ message: String, details: String? = nil) {
        self.code = code.rawValue
        msg = message
        self.details = details
    }

    /// The numbers that the specification gives.
    public enum Code: Int, Sendable {
        /// The configuration is in a version that the plugin does not know.
        case incompatibleVersion = 1
        /// The configuration asks for what the plugin does not do.
        case unsupportedField = 2
        /// An environment variable is missing, or wrong.
        case invalidEnvironment = 4
        /// The standard input cannot be read.
        case inputOutput = 5
        /// The configuration is not what it should be as a document.
        case undecodable = 6
        /// The configuration says what cannot be.
        case invalidConfiguration = 7
        /// It does not work now; it may later.
        case tryAgainLater = 11
        /// The plugin cannot serve `ADD`.
        case notAvailable = 50
        /// The policies could not be put in force.
        case notEnforced = 100
        /// The container could not be connected.
        case notConnected = 101
    }
}

extension CNIError {
    /// The error of a call that went on after errors: an answer has one, with all of them in its details.
    ///
    /// - Parameter errors: The errors, in the order in which they came.
    /// - Returns: The error; `nil` if there was none.
    static func joining(_ errors: [CNIError]) -> CNIError? {
        guard let first = errors.first, errors.count > 1 else { return errors.first }
        var whole = first
        whole.msg = "\(first.msg), and \(errors.count - 1) more"
        whole.details = errors.map { error in
            [error.msg, error.details].compactMap(\.self).joined(separator: "; ")
        }.joined(separator: "\n")
        return whole
    }
}
