// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretLinux
import EgretNetlinkWire

/// What the kernel would not do over netlink, or what could not be asked of it.
public struct NetlinkError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What kind of failure it is, for code that has to decide.
    public struct Code: Hashable, Sendable {
        private enum Value: Hashable, Sendable {
            case notFound, exists, busy, notPermitted, overrun, interruptedDump, unsupported, malformed, other
        }

        private let value: Value

        /// An object that was named does not exist: `ENOENT`, `ENODEV`, `ESRCH`.
        public static let notFound = Code(value: .notFound)
        /// An object that was to be new exists: `EEXIST`.
        public static let exists = Code(value: .exists)
        /// An object is in use: `EBUSY`.
        public static let busy = Code(value: .busy)
        /// The process may not: `EPERM`, `EACCES`.
        public static let notPermitted = Code(value: .notPermitted)
        /// Messages were lost because the socket's buffer was full: `ENOBUFS`.
        public static let overrun = Code(value: .overrun)
        /// What a dump describes kept changing while it was read.
        public static let interruptedDump = Code(value: .interruptedDump)
        /// The kernel lacks a part that is needed: `EOPNOTSUPP`, `EPROTONOSUPPORT`, `EAFNOSUPPORT`.
        public static let unsupported = Code(value: .unsupported)
        /// Bytes that are no netlink message came, or a request could not be put into bytes.
        public static let malformed = Code(value: .malformed)
        /// Any other error number.
        public static let other = Code(value: .other)
    }

    /// What kind of failure it is.
    public var code: Code
    /// The kernel's error number.
    public var errno: Errno?
    /// What was tried, as a phrase with its object: `create link egret3`.
    public var operation: String
    /// What the kernel said besides the number, or what was wrong with the bytes.
    public var kernelMessage: String?
    /// Every step of a transaction that the kernel refused, in order. Empty for other requests.
    public var refusedSteps: [RefusedStep] = []

    /// A step of a transaction that the kernel refused.
    public struct RefusedStep: Hashable, Sendable {
        /// The place in the transaction's steps; `nil` for the transaction as a whole.
        public var index: Int?
        /// The step in nft's words; empty for the whole.
        public var phrase: String
        /// The kernel's error number.
        public var errno: Errno
        /// What the kernel said besides the number.
        public var kernelMessage: String?
    }

    /// `cannot create link egret3: EEXIST (File exists): the kernel's words`.
    public var description: String {
        var text = "cannot \(operation)"
        if let errno { text += ": \(errno)" }
        if let kernelMessage { text += ": \(kernelMessage)" }
        if refusedSteps.count > 1 { text += " (and \(refusedSteps.count - 1) more steps)" }
        return text
    }

    init(code: Code, errno: Errno? = nil, operation: String, kernelMessage: String? = nil) {
        self.code = code
        self.errno = errno
        self.operation = operation
        self.kernelMessage = kernelMessage
    }

    init(_ acknowledgement: NetlinkAcknowledgement, operation: String) {
        let errno = Errno(rawValue: acknowledgement.errorNumber)
        self.init(code: Code(errno), errno: errno, operation: operation, kernelMessage: acknowledgement.text)
    }

    /// A refused transaction, named after the first of its steps that was refused.
    init?(refused steps: [RefusedStep], operation: String) {
        guard let first = steps.first else { return nil }
        self.init(
            code: Code(first.errno),
            errno: first.errno,
            operation: first.phrase.isEmpty ? operation : "\(operation): \(first.phrase)",
            kernelMessage: first.kernelMessage
        )
        refusedSteps = steps
    }

    init(_ error: LinuxError, operation: String) {
        self.init(code: Code(error.errno), errno: error.errno, operation: operation)
    }

    /// An answer that makes no sense.
    public init(malformed message: String, operation: String) {
        self.init(code: .malformed, operation: operation, kernelMessage: message)
    }

    init(_ error: WireError, operation: String) {
        self.init(code: .malformed, operation: operation, kernelMessage: "\(error)")
    }
}

extension NetlinkError.Code {
    init(_ errno: Errno) {
        switch errno.rawValue {
        case 2, 3, 19: self = .notFound
        case 17: self = .exists
        case 16: self = .busy
        case 1, 13: self = .notPermitted
        case 105: self = .overrun
        case 93, 95, 97: self = .unsupported
        default: self = .other
        }
    }
}
