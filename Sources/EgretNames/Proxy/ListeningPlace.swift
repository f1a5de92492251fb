// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretLinux

/// One of the sockets that a proxy has at its port, of which there is one for each family and protocol.
///
/// A socket may outlive its proxy, if somebody else has it open too: what comes to it then waits for the next proxy.
public enum ListeningPlace: String, Hashable, Sendable, CaseIterable {
    /// UDP over IPv4.
    case datagrams4 = "udp4"
    /// UDP over IPv6.
    case datagrams6 = "udp6"
    /// TCP over IPv4.
    case stream4 = "tcp4"
    /// TCP over IPv6.
    case stream6 = "tcp6"

    private var isIPv6: Bool { self == .datagrams6 || self == .stream6 }
    private var isStream: Bool { self == .stream4 || self == .stream6 }

    /// All addresses of the family, at a port.
    func address(_ port: UInt16) -> SocketAddress {
        isIPv6 ? SocketAddress(ipv6: 0, port: port) : SocketAddress(ipv4: 0, port: port)
    }

    /// Opens sockets that have one port. Where none is wanted, one may be free for the first and not for the others: then it is
    /// tried again.
    static func open<Sockets>(
        at wanted: UInt16, _ attempt: () throws(LinuxError) -> Sockets
    ) throws(LinuxError) -> Sockets {
        var last = LinuxError(.again, operation: "find a free port")
        for _ in 0..<(wanted == 0 ? 32 : 1) {
            do throws(LinuxError) { return try attempt() } catch { last = error }
        }
        throw last
    }

    /// Opens a socket at a place of IPv4, and at the same port one at a place of IPv6, if the kernel has that.
    static func openPair(
        _ places: (ListeningPlace, ListeningPlace), at wanted: UInt16,
        _ socket: (ListeningPlace, UInt16) throws(LinuxError) -> InternetSocket
    ) throws(LinuxError) -> [InternetSocket] {
        try open(at: wanted) { () throws(LinuxError) in
            let first = try socket(places.0, wanted)
            let port = try first.ownAddress().port
            do throws(LinuxError) {
                return [first, try socket(places.1, port)]
            } catch {
                // EAFNOSUPPORT: a kernel without IPv6.
                if error.errno == .familyNotSupported { return [first] }
                throw error
            }
        }
    }

    /// Why a socket that somebody has handed over cannot serve here.
    ///
    /// - Parameters:
    ///   - descriptor: The socket.
    ///   - port: The port that it must have.
    ///   - isTransparent: Whether it must be transparent (`IP_TRANSPARENT`), or must not be.
    /// - Returns: The reason as the end of a sentence; `nil` if it can.
    public func mismatch(of descriptor: Descriptor, port: UInt16, isTransparent: Bool) -> String? {
        let state: SocketState
        let namespace: UInt64
        do throws(LinuxError) {
            state = try SocketState(of: descriptor)
            namespace = try NetworkNamespace.currentCookie()
        } catch {
            return "\(error)"
        }
        let transport: SocketState.Transport = isStream ? .stream : .datagrams
        guard state.transport == transport else { return isStream ? "it is not of TCP" : "it is not of UDP" }
        guard state.own.isIPv6 == isIPv6 else { return isIPv6 ? "it is not of IPv6" : "it is not of IPv4" }
        guard state.networkNamespace == namespace else { return "it is in another network namespace" }
        guard state.own == address(port) else { return "it is not at port \(port) of all addresses" }
        guard state.isTransparent == isTransparent else {
            return isTransparent ? "it is not transparent" : "it is transparent"
        }
        return state.isListening == isStream ? nil : "nobody can connect to it"
    }
}
