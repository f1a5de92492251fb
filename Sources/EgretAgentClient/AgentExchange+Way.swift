// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import NIOCore
import NIOPosix
import NIOSSL

extension AgentExchange {
    /// How an agent is reached.
    enum Way {
        /// By a socket that is connected to it.
        case socket(Descriptor)
        /// By the network.
        case remote(AgentAddress.Remote)

        /// What TLS takes; `nil` where there is none. A host that is named by address shows a certificate with that.
        func security() throws -> (context: NIOSSLContext, name: String?)? {
            guard case .remote(let remote) = self else { return nil }
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.minimumTLSVersion = .tlsv12
            do {
                if let authorities = remote.authorities { configuration.trustRoots = .file(authorities) }
                configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(remote.certificate).map {
                    .certificate($0)
                }
                configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: remote.key, format: .pem))
                let isAddress = (try? SocketAddress(ipAddress: remote.host, port: remote.port)) != nil
                return (try NIOSSLContext(configuration: configuration), isAddress ? nil : remote.host)
            } catch {
                throw AgentClientError(
                    "the certificates for \(remote.host) cannot be used: \(error)",
                    advice: "give files in PEM with --tls-ca, --tls-cert and --tls-key")
            }
        }

        func connect(_ bootstrap: ClientBootstrap) -> EventLoopFuture<any Channel> {
            switch self {
            case .socket(let socket):
                do {
                    return bootstrap.withConnectedSocket(try socket.numberToGiveAway())
                } catch {
                    return MultiThreadedEventLoopGroup.singleton.next().makeFailedFuture(error)
                }
            case .remote(let remote): return bootstrap.connect(host: remote.host, port: remote.port)
            }
        }

        /// The error in the words of whoever asked.
        func explained(_ error: any Error) -> any Error {
            guard case .remote(let remote) = self, !(error is AgentClientError) else { return error }
            let reason = (error as? NIOConnectionError)?.connectionErrors.first.map { "\($0.error)" } ?? "\(error)"
            return AgentClientError(
                "the agent at \(remote.host):\(remote.port) cannot be reached: \(reason)",
                advice: "is it started with --listen, and let through?")
        }

        /// The two do not trust each other.
        static func distrust(_ error: NIOSSLError) -> AgentClientError {
            AgentClientError(
                "the agent and this client do not trust each other: \(error)",
                advice: "compare the authorities and times of both certificates")
        }
    }
}
