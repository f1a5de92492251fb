// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretDNSWire

/// Something that whoever watches an endpoint's names should know.
public enum NameEvent: Hashable, Sendable {
    /// No rule allows the name, or one denies it.
    case denied(DNSName, DNSRecordType)
    /// The name is allowed, but not records of this type.
    case typeDenied(DNSName, DNSRecordType)
    /// The question was sent to a server that the endpoint may not ask.
    case serverDenied(DNSName, IPAddress)
    /// A question was refused because of a limit.
    case limited(DNSName, Limit)
    /// An answer for an allowed name held addresses that are not public, and lost them.
    case addressesRemoved(DNSName, [IPAddress])
    /// A server gave an answer that was not used: it is none to go by, or another server was asked instead.
    case badAnswer(DNSName, String)
    /// The kernel did not take an answer's addresses; the client got no answer.
    case commitFailed(DNSName, String)
    /// A server did not answer in time.
    case timedOut(DNSName, IPAddress)
    /// A server over TLS could not be asked: it has not shown that it is the one, or ended the connection.
    case serverFailed(DNSName, NameServer, String)
    /// Addresses of a name are open to a rule.
    case granted(DNSName, rule: Int, [IPAddress])

    /// What was reached.
    public enum Limit: String, Hashable, Sendable, CaseIterable {
        /// ``NameLimits/nameLength``
        case nameLength = "length of a name"
        /// ``NameLimits/labelCount``
        case labelCount = "labels of a name"
        /// ``NameLimits/questionsPerSecond``
        case questions = "questions per second"
        /// ``NameLimits/newNamesPerMinute``
        case newNames = "new names below a wildcard"
        /// ``NameLimits/newNameBytesPerMinute``
        case newNameBytes = "bytes of names below a wildcard"
        /// ``NameLimits/names`` and ``NameLimits/namesPerRule``
        case names = "names held"
        /// ``NameLimits/addresses`` and ``NameLimits/addressesPerRule``
        case addresses = "addresses held"
        /// ``NameLimits/addressesPerAnswer``: the rest was left out.
        case addressesPerAnswer = "addresses in an answer"
        /// ``NameLimits/pendingQuestions``
        case pending = "questions waiting"
        /// ``NameLimits/connections``
        case connections = "connections"
    }
}
