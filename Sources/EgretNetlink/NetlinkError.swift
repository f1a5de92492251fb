// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNetlinkWire

/// What could not be done through netlink, on what, and what the kernel said.
public struct NetlinkError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What kind of failure it is. Room is left for more kinds.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Kind: String {
            case notFound, exists, busy, notPermitted, invalid, unsupported, tooLarge, loop, noMemory
            case overrun, interruptedDump, timedOut, malformed, other
        }

        private let kind: Kind

        /// What the request is about does not exist (`ENOENT`, `ENODEV`, `ESRCH`).
        public static let notFound = Code(kind: .notFound)
        /// What the request would make exists (`EEXIST`).
        public static let exists = Code(kind: .exists)
        /// What the request would delete or take is in use (`EBUSY`).
        public static let busy = Code(kind: .busy)
        /// The process lacks `CAP_NET_ADMIN` in the socket's namespace (`EPERM`, `EACCES`).
        public static let notPermitted = Code(kind: .notPermitted)
        /// The kernel does not take the request as it is (`EINVAL`, `ERANGE`).
        public static let invalid = Code(kind: .invalid)
        /// This kernel was built without what the request needs (`EOPNOTSUPP` and its like).
        public static let unsupported = Code(kind: .unsupported)
        /// The request is larger than the send buffer (`EMSGSIZE`).
        public static let tooLarge = Code(kind: .tooLarge)
        /// Chains jump in a circle, or too deep (`ELOOP`, `EMLINK`).
        public static let loop = Code(kind: .loop)
        /// The kernel has no memory for it (`ENOMEM`).
        public static let noMemory = Code(kind: .noMemory)
        /// The receive buffer was full and answers were lost (`ENOBUFS`): what happened is not known.
        public static let overrun = Code(kind: .overrun)
        /// What was dumped kept changing.
        public static let interruptedDump = Code(kind: .interruptedDump)
        /// No answer came within the socket's time limit.
        public static let timedOut = Code(kind: .timedOut)
        /// A request could not be encoded or an answer not decoded.
        public static let malformed = Code(kind: .malformed)
        /// Another error number.
        public static let other = Code(kind: .other)

        /// The kind's name.
        public var description: String { kind.rawValue }

        private init(kind: Kind) {
            self.kind = kind
        }

        /// The kind that an error number stands for.
        init(errorNumber: Int32) {
            switch errorNumber {
            case 2, 3, 19: self = .notFound
            case 17: self = .exists
            case 16: self = .busy
            case 1, 13: self = .notPermitted
            case 22, 34: self = .invalid
            case 38, 92, 93, 95, 96, 97: self = .unsupported
            case 90: self = .tooLarge
            case 31, 40: self = .loop
            case 12: self = .noMemory
            case 105: self = .overrun
            case 11, 110: self = .timedOut
            default: self = .other
            }
        }
    }

    /// One step of a transaction that the kernel refused.
    public struct StepFailure: Hashable, Sendable, CustomStringConvertible {
        /// The place in the transaction's steps; `nil` for the batch as a whole.
        public var stepIndex: Int?
        /// What the step does, such as `add rule`.
        public var operation: String
        /// What it is about, such as `inet egret / out-4f2a`.
        public var object: String
        /// The error number.
        public var errorNumber: Int32
        /// What the kernel had to say.
        public var kernelMessage: String?

        /// `add rule (inet egret / out-4f2a): ENOENT`.
        public var description: String {
            let text = "\(operation) (\(object)): \(NetlinkErrno.name(errorNumber))"
            return kernelMessage.map { "\(text), “\($0)”" } ?? text
        }
    }

    /// What kind of failure it is.
    public var code: Code
    /// The error number, positive; `nil` if no system call and no answer failed.
    public var errorNumber: Int32?
    /// What was tried, such as `add rule`.
    public var operation: String
    /// What it was tried on, such as `inet egret / out-4f2a`.
    public var object: String
    /// What the kernel had to say (`NLMSGERR_ATTR_MSG`), or the codec.
    public var kernelMessage: String?
    /// Every refused step of a transaction, in order. Empty for other requests.
    public var stepFailures: [StepFailure] = []

    /// The error number's name, such as `ENOENT`.
    public var errorName: String? { errorNumber.map(NetlinkErrno.name) }

    init(_ code: Code, errorNumber: Int32? = nil, _ subject: Subject, _ message: String? = nil) {
        self.code = code
        self.errorNumber = errorNumber
        operation = subject.operation
        object = subject.object
        kernelMessage = message
    }

    init(errorNumber: Int32, _ subject: Subject, _ message: String? = nil) {
        self.init(Code(errorNumber: errorNumber), errorNumber: errorNumber, subject, message)
    }

    init(_ failure: WireError, _ subject: Subject) {
        self.init(.malformed, subject, failure.description)
    }

    /// What was tried, on what, what came back: `add rule (inet egret / out-4f2a) failed: ENOENT (notFound)`.
    public var description: String {
        var text = "\(operation) (\(object)) failed: "
        text += errorName.map { "\($0) (\(code))" } ?? code.description
        if let kernelMessage { text += ", “\(kernelMessage)”" }
        if stepFailures.count > 1 { text += "; and \(stepFailures.count - 1) more steps failed" }
        if code == .overrun { text += "; answers were lost, so read the state back before going on" }
        return text
    }
}

/// What is being tried and on what, for error messages.
struct Subject {
    var operation: String
    var object: String
}
