// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

extension ProbeSocket {
    /// The path that a probe's packets take.
    public struct Path: Hashable, Sendable {
        /// The packet mark, which routing rules look at.
        public var mark: UInt32
        /// The index of the interface; `nil` for whatever routing says.
        public var interfaceIndex: UInt32?
        /// The source address, 4 or 16 bytes in network order; `nil` for the kernel's choice.
        public var source: [UInt8]?

        /// Creates a path.
        public init(mark: UInt32, interfaceIndex: UInt32?, source: [UInt8]?) {
            self.mark = mark
            self.interfaceIndex = interfaceIndex
            self.source = source
        }
    }

    /// Opens a socket whose packets take a path of the caller's choice. Needs `CAP_NET_ADMIN` for the mark.
    ///
    /// - Parameters:
    ///   - transport: What is to be sent.
    ///   - isIPv6: The family.
    ///   - path: The path.
    /// - Throws: ``LinuxError`` if the socket cannot be had or the host does not have the source address.
    public init(_ transport: Transport, isIPv6: Bool, by path: Path) throws(LinuxError) {
        try self.init(transport, isIPv6: isIPv6, source: path.source)
        try check(egret_set_mark(descriptor.number, path.mark), "mark a probe")
        guard let index = path.interfaceIndex else { return }
        try check(
            egret_bind_interface(descriptor.number, Int32(truncatingIfNeeded: index)), "bind a probe to an interface")
    }

    /// Whether a TCP connection has been accepted; `nil` while there is no answer.
    public func isAccepted() throws(LinuxError) -> Bool? {
        var poll = Poll()
        poll.add(descriptor, for: .writable)
        if try poll.wait(timeout: .zero)[descriptor].isEmpty { return nil }
        return pendingError() == nil
    }

    /// Gives a socket its own address, and a port of the kernel's choice.
    static func bind(_ number: Int32, _ source: [UInt8]) throws(LinuxError) {
        var own = egret_endpoint()
        own.family = source.count == 4 ? egret_af_inet : egret_af_inet6
        unsafe withUnsafeMutableBytes(of: &own.address) { bytes in unsafe bytes.copyBytes(from: source.prefix(16)) }
        try check(unsafe egret_bind_endpoint(number, &own), "give a probe its source")
    }
}
