// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux
import EgretNetlinkWire
import Synchronization

/// How this kernel renews elements.
///
/// Since Linux 6.12 adding an element again gives it the new time. Before, that succeeds and changes nothing: the element
/// must be deleted and added, in one transaction.
extension NameSets {
    /// What can be told from one renewal by adding.
    ///
    /// - Parameters:
    ///   - before: What was left of the element's time, in milliseconds; `nil` if it was not there.
    ///   - after: The same after it was added again.
    ///   - wanted: The time that it was to have.
    /// - Returns: Whether elements must be deleted to be renewed; `nil` if that cannot be told.
    static func mustReplace(before: UInt64?, after: UInt64?, wanted: UInt64) -> Bool? {
        // Times that are nearly the same tell nothing.
        guard let before, let after, wanted > before, wanted - before >= 50 else { return nil }
        return after <= before
    }

    /// What is left of an element's time, in milliseconds; `nil` if it is not there.
    func timeLeft(_ endpoint: Int, _ grant: NameGrant) throws -> UInt64? {
        let set = naming(endpoint, grant.rule, grant.address.family)
        guard let element = elements(endpoint, grant.address, milliseconds: 0).first else { return nil }
        return try timeLeft(element, in: set)
    }

    /// What is left of an element's time, in milliseconds; `nil` if it is not there.
    func timeLeft(_ element: ElementBatch.Element, in set: String) throws -> UInt64? {
        try questions.state.withLock { state in
            let sequence = state.sequence
            state.sequence &+= 1
            try state.socket.send(
                ElementBatch.question(element, in: set, of: table, isOfFrames: isOfFrames, sequence: sequence))
            var left: UInt64?
            while true {
                for message in try NetlinkMessage.parse(try state.socket.receive()) where message.sequence == sequence {
                    guard message.type == NetlinkControl.error else {
                        left = try NameSets.expiration(in: message)
                        continue
                    }
                    let answer = try NetlinkAcknowledgement(message)
                    if answer.isSuccess || answer.errorNumber == Errno.noEntry.rawValue { return left }
                    throw LinuxError(Errno(rawValue: answer.errorNumber), operation: "ask for an address of a name")
                }
            }
        }
    }

    /// `NFTA_SET_ELEM_EXPIRATION` of the first element in a message.
    private static func expiration(in message: NetlinkMessage) throws -> UInt64? {
        // Behind struct nfgenmsg: NFTA_SET_ELEM_LIST_ELEMENTS, and in it NFTA_LIST_ELEM.
        let list = try NetlinkAttribute.parse(message.payload.dropFirst(4)).first { $0.type == 3 }
        let element = try list?.attributes().first { $0.type == 1 }
        return try element?.attributes().first { $0.type == 5 }?.bigEndian(UInt64.self)
    }
}
