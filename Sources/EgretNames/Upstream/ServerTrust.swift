// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy
import NIOCore
import NIOSSL

/// Whom servers over TLS must be vouched for by.
public struct ServerTrust: Sendable {
    let context: NIOSSLContext

    /// Trusts the system's authorities.
    ///
    /// - Parameter authorities: A file of certificates in PEM that are trusted besides.
    /// - Throws: An error if the file cannot be used.
    public init(authorities: String? = nil) throws {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        // RFC 7858, section 8: the name of DNS over TLS among protocols.
        configuration.applicationProtocols = ["dot"]
        // A server that is gone says no goodbye, and nobody waits for it.
        configuration.shutdownTimeout = .milliseconds(200)
        if let authorities { configuration.additionalTrustRoots = [.file(authorities)] }
        context = try NIOSSLContext(configuration: configuration)
    }

    /// The end of a connection that goes on only with a server whose certificate is for a name, or for its address where
    /// there is none.
    ///
    /// By itself NIOSSL would take a certificate for the address for one for the name, too.
    func handler(for name: DomainName?) throws -> NIOSSLClientHandler {
        guard let name else { return try NIOSSLClientHandler(context: context, serverHostname: nil) }
        return try NIOSSLClientHandler._makeSSLClientHandler(context: context, serverHostname: name.text) {
            certificate, channel in
            ServerTrust.isFor(name, certificate)
                ? channel.eventLoop.makeSucceededVoidFuture() : channel.eventLoop.makeFailedFuture(OtherName())
        }
    }

    /// A server has a certificate for other names.
    private struct OtherName: Error {}

    /// Whether a certificate is for a name: one of its own, or one below a wildcard that stands for a whole label (RFC 6125,
    /// section 6.4).
    private static func isFor(_ name: DomainName, _ certificate: NIOSSLCertificate) -> Bool {
        let text = name.text
        let parent = text.firstIndex(of: ".").map { text[$0...] }
        return certificate._subjectAlternativeNames().contains { entry in
            guard entry.nameType == .dnsName else { return false }
            let found = unsafe entry.contents.withUnsafeBufferPointer { unsafe String(decoding: $0, as: UTF8.self) }
                .lowercased()
            return found == text || found.first == "*" && found.dropFirst() == parent
        }
    }

    /// What is wrong, in words that a person can use.
    static func words(for error: any Error) -> String {
        switch error {
        case is NIOSSLExtraError, is OtherName: "its certificate is not for this name or address"
        case NIOSSLError.handshakeFailed(let reason):
            "\(reason)".contains("CERTIFICATE_VERIFY_FAILED")
                ? "its certificate is not to be trusted" : "no trust could be established: \(reason)"
        case NIOSSLError.uncleanShutdown: "it ended the connection"
        default: "\(error)"
        }
    }
}
