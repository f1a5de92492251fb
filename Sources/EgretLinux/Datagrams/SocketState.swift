// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// What a UDP or TCP socket is that another process has opened.
public struct SocketState: Hashable, Sendable {
    /// What it speaks.
    public enum Transport: Hashable, Sendable {
        /// UDP.
        case datagrams
        /// TCP.
        case stream
    }

    /// UDP or TCP; `nil` for something else.
    public var transport: Transport?
    /// Its own address, and with it its family.
    public var own: SocketAddress
    /// Whether it accepts connections.
    public var isListening: Bool
    /// Whether it takes and makes connections under addresses that are not this host's (`IP_TRANSPARENT`).
    public var isTransparent: Bool
    /// The cookie of the network namespace in which it was opened.
    public var networkNamespace: UInt64

    /// Asks the kernel.
    ///
    /// - Parameter descriptor: The socket.
    /// - Throws: ``LinuxError`` if it is none, or not of IPv4 or IPv6.
    public init(of descriptor: Descriptor) throws(LinuxError) {
        var state = egret_socket_state()
        try check(unsafe egret_read_socket(descriptor.number, &state), "look at a socket")
        // IPPROTO_TCP and IPPROTO_UDP.
        switch (state.type, state.protocol) {
        case (egret_sock_dgram, 17): transport = .datagrams
        case (egret_sock_stream, 6): transport = .stream
        default: transport = nil
        }
        own = SocketAddress(state.own)
        isListening = state.is_listening != 0
        isTransparent = state.is_transparent != 0
        networkNamespace = state.network
    }
}
