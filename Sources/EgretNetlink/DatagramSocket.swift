// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What a connection needs of a netlink socket.
///
/// The socket is bound (to port 0, so that the kernel chooses one: an unbound socket hears no notifications that
/// packets cause), has `NETLINK_EXT_ACK` and, for nf_tables, `NETLINK_CAP_ACK` set, takes datagrams of the kernel
/// only, and retries `EINTR`.
public protocol DatagramSocket {
    /// Sends bytes as one datagram, enlarging the send buffer first if it is too small for them.
    func send(_ bytes: [UInt8]) throws(DatagramError)

    /// Receives one whole datagram, however large.
    ///
    /// - Throws: ``DatagramError`` with `EAGAIN` when nothing came within the socket's time limit, `ENOBUFS` when the
    ///   kernel dropped messages because the receive buffer was full.
    func receive() throws(DatagramError) -> [UInt8]
}

/// A socket call that failed.
public struct DatagramError: Error, Hashable, Sendable {
    /// The error number, positive.
    public var errorNumber: Int32

    /// Creates an error.
    public init(errorNumber: Int32) {
        self.errorNumber = errorNumber
    }
}
