// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What is spoken on a connection, as `applications` of a rule names it.
public enum ApplicationProtocol: String, Hashable, Sendable, CaseIterable {
    /// TLS, whatever it carries: the client says a name (RFC 6066, section 3).
    case tls
    /// HTTP without TLS, of version 1 or 2: each request says a name.
    case http
    /// SSH.
    case ssh
    /// Mail on its way between servers, and from clients that begin without TLS.
    case smtp
    /// Mail that is fetched.
    case imap
    /// Mail that is fetched.
    case pop3
    /// FTP's control connection.
    case ftp
    /// Git's own protocol.
    case git
    /// rsync's own protocol.
    case rsync
    /// LDAP without TLS from the start.
    case ldap
    /// MySQL and MariaDB.
    case mysql
    /// PostgreSQL.
    case postgresql
    /// Microsoft SQL Server.
    case mssql
    /// Redis and Valkey.
    case redis
    /// MongoDB.
    case mongodb
    /// AMQP 0-9-1 and 1.0.
    case amqp
    /// MQTT.
    case mqtt
    /// NATS.
    case nats

    /// Whether its clients say the server's name where it can be read. Of the others only the address is known.
    public var saysName: Bool { self == .tls || self == .http }

    /// The ports of TCP on which it is expected, of protocols that say no name.
    public var usualPorts: [UInt16] {
        switch self {
        case .tls, .http: []
        case .ssh: [22]
        case .smtp: [25, 587]
        case .imap: [143]
        case .pop3: [110]
        case .ftp: [21]
        case .git: [9_418]
        case .rsync: [873]
        case .ldap: [389]
        case .mysql: [3_306]
        case .postgresql: [5_432]
        case .mssql: [1_433]
        case .redis: [6_379]
        case .mongodb: [27_017]
        case .amqp: [5_672]
        case .mqtt: [1_883]
        case .nats: [4_222]
        }
    }
}
