// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretLinux
public import EgretNetlink
import EgretNetlinkWire
import Synchronization

/// Puts grants into sets of the kernel: elements with a timeout, in sets with `flags timeout`.
///
/// It stays in the network namespace of the thread that made it. Calls may come from any thread, one after the other.
public final class NameSets: Sendable {
    /// Where a rule's addresses go: the name of the set, for an endpoint, a rule and a family.
    public typealias Naming = @Sendable (_ endpoint: Int, _ rule: Int, _ family: AddressFamily) -> String
    /// An endpoint's own addresses of a family, with which the keys of sets begin that several endpoints share.
    public typealias Owning = @Sendable (_ endpoint: Int, _ family: AddressFamily) -> [IPAddress]

    struct State {
        let socket: NetlinkSocket
        var sequence: UInt32 = 1
    }

    /// How batches reach the kernel.
    private enum Way: Sendable {
        /// Through a socket of its own.
        case own(OwnSocket)
        /// Through the socket that owns the table.
        case shared(BatchSender)
    }

    /// A socket, and the next message's number.
    final class OwnSocket: Sendable {
        let state: Mutex<State>
        init(_ socket: sending NetlinkSocket) { state = Mutex(State(socket: socket)) }
    }

    private let way: Way
    let table: String
    /// Whether the table is of the family `netdev`, not `inet`.
    let isOfFrames: Bool
    let naming: Naming
    private let owning: Owning?
    /// Whether an element must be deleted to be renewed; `nil` as long as that is not known.
    let replacesRenewals: Mutex<Bool?>
    /// The endpoints of which the kernel has refused something of late, and for how many more times theirs is committed by itself:
    /// a transaction that fails makes everybody wait who changes anything.
    private let refused = Mutex<[Int: Int]>([:])
    /// What is asked for elements; anybody may, also where a table has an owner.
    let questions: OwnSocket
    /// The port of the netlink socket that changes are made through, where it has one of its own: whoever watches the table
    /// knows them by it.
    public let netlinkPort: UInt32

    /// Opens a socket to the kernel.
    ///
    /// - Parameters:
    ///   - table: The table, of the family `inet`.
    ///   - replacesRenewals: Whether an element must be deleted to be renewed, as before Linux 6.12; `nil` finds out, with
    ///     the first element that is renewed.
    ///   - naming: Where grants go.
    /// - Throws: `LinuxError` if the sockets cannot be had.
    public convenience init(
        table: String = "egret", replacesRenewals: Bool? = nil, naming: @escaping Naming
    ) throws(LinuxError) {
        try self.init(table, replacesRenewals: replacesRenewals, naming: naming)
    }

    /// Opens a socket to the kernel, for sets that are filled with addresses whatever rule they are of: see
    /// ``put(_:for:)``.
    ///
    /// - Parameters:
    ///   - table: The table's name.
    ///   - isOfFrames: Whether it is of the family `netdev`, not `inet`.
    /// - Throws: `LinuxError` if the sockets cannot be had.
    public convenience init(addressesIn table: String, isOfFrames: Bool) throws(LinuxError) {
        try self.init(table, isOfFrames: isOfFrames, naming: { _, _, _ in "" })
    }

    /// The same by the socket of whoever owns the table.
    ///
    /// - Parameters:
    ///   - table: The table's name.
    ///   - isOfFrames: Whether it is of the family `netdev`, not `inet`.
    ///   - sender: The socket.
    /// - Throws: `LinuxError` if a socket cannot be had.
    public convenience init(
        addressesIn table: String, isOfFrames: Bool, by sender: BatchSender
    ) throws(LinuxError) {
        try self.init(table, isOfFrames: isOfFrames, by: sender, naming: { _, _, _ in "" })
    }

    private static func socket() throws(LinuxError) -> sending NetlinkSocket {
        let socket = try NetlinkSocket(.netfilter)
        try socket.setCappedAcknowledgements(true)
        try socket.setReceiveBuffer(bytes: 1 << 20)
        try socket.setReceiveTimeout(.seconds(5))
        return socket
    }

    /// Puts grants into sets that several endpoints share, by the socket of whoever owns the table.
    ///
    /// - Parameters:
    ///   - table: The table, of the family `inet`.
    ///   - sender: The socket.
    ///   - owning: The addresses of endpoints.
    ///   - naming: Where grants go.
    /// - Throws: `LinuxError` if a socket cannot be had.
    public convenience init(
        table: String, by sender: BatchSender, owning: @escaping Owning, naming: @escaping Naming
    ) throws(LinuxError) {
        try self.init(table, by: sender, owning: owning, naming: naming)
    }

    /// Without a sender, by a socket of its own.
    private init(
        _ table: String, isOfFrames: Bool = false, by sender: BatchSender? = nil, replacesRenewals: Bool? = nil,
        owning: Owning? = nil, naming: @escaping Naming
    ) throws(LinuxError) {
        if let sender {
            way = .shared(sender)
            netlinkPort = 0
        } else {
            let socket = try NameSets.socket()
            netlinkPort = socket.port
            way = .own(OwnSocket(socket))
        }
        questions = OwnSocket(try NameSets.socket())
        self.table = table
        self.isOfFrames = isOfFrames
        self.replacesRenewals = Mutex(replacesRenewals)
        self.owning = owning
        self.naming = naming
    }

    /// Commits grants of endpoints, of each all or none: together, or each one's by themselves where the kernel refuses something
    /// of it. Returns once the kernel has acknowledged: packets after that meet the elements.
    ///
    /// - Parameter lots: What endpoints are given, one lot for each.
    /// - Returns: Why those endpoints have nothing of it that have nothing, as ``commit(_:_:)`` throws.
    public func commit(_ lots: [NameLot]) -> [Int: any Error] {
        let refused = self.refused.withLock(\.self)
        var alone = lots.filter { refused[$0.endpoint] != nil }
        for joint in NameSets.joined(lots.filter { refused[$0.endpoint] == nil }) where !commitJointly(joint) {
            alone += joint
        }
        var failures: [Int: any Error] = [:]
        for lot in alone {
            do {
                try commit(lot.endpoint, lot.grants)
            } catch {
                failures[lot.endpoint] = error
            }
        }
        if !alone.isEmpty { noteRefusals(failures, among: alone) }
        return failures
    }

    /// One whose set is full may have renewals committed between what is refused: a success alone clears nobody.
    private func noteRefusals(_ failures: [Int: any Error], among lots: [NameLot]) {
        refused.withLock { refused in
            for endpoint in lots.map(\.endpoint) {
                if failures[endpoint] != nil {
                    refused[endpoint] = NameSets.timesAlone
                } else if let left = refused[endpoint] {
                    refused[endpoint] = left > 1 ? left - 1 : nil
                }
            }
        }
    }

    /// How many commits of an endpoint the kernel has to take after one that it has refused, until it is committed together with
    /// others' again.
    private static let timesAlone = 16

    /// Commits grants of several endpoints in one transaction.
    ///
    /// - Returns: Whether that is done; otherwise nothing of it is, or may be, and each endpoint's is to be committed by itself.
    private func commitJointly(_ lots: [NameLot]) -> Bool {
        if lots.count < 2 { return false }
        let deletesRenewals = replacesRenewals.withLock(\.self)
        // How this kernel renews is found out with one endpoint's.
        if deletesRenewals == nil, lots.contains(where: { $0.grants.contains(where: \.isRenewal) }) { return false }
        var coming: [String: [ElementBatch.Element]] = [:]
        var going: [String: [ElementBatch.Element]] = [:]
        for lot in lots {
            let parts = elements(lot.endpoint, lot.grants, deletingRenewals: deletesRenewals == true)
            coming.merge(parts.coming, uniquingKeysWith: +)
            going.merge(parts.going, uniquingKeysWith: +)
        }
        do {
            try send(coming: coming, going: going)
            return true
        } catch {
            return false
        }
    }

    /// How many grants go into one transaction of several endpoints': one that is refused is not much to do again.
    static let mostJoined = 512

    /// Lots that are committed together, in their order.
    static func joined(_ lots: [NameLot]) -> [[NameLot]] {
        var joined: [[NameLot]] = []
        var room = 0
        for lot in lots {
            if joined.isEmpty || lot.grants.count > room {
                joined.append([])
                room = mostJoined
            }
            joined[joined.count - 1].append(lot)
            room -= lot.grants.count
        }
        return joined
    }

    /// Commits grants, all or none. Returns once the kernel has acknowledged: packets after that meet the elements.
    ///
    /// - Throws: `LinuxError` or `NetlinkError` with the kernel's first refusal, such as `ENOENT` for a set that is not
    ///   there and `ENFILE` for one that is full.
    public func commit(_ endpoint: Int, _ grants: [NameGrant]) throws {
        switch replacesRenewals.withLock(\.self) {
        case true?: try replace(endpoint, grants)
        case false?: try send(endpoint, grants, deletingRenewals: false)
        case nil:
            guard let renewal = grants.first(where: \.isRenewal) else {
                return try send(endpoint, grants, deletingRenewals: false)
            }
            let before = try timeLeft(endpoint, renewal)
            try send(endpoint, grants, deletingRenewals: false)
            let after = try timeLeft(endpoint, renewal)
            let found = NameSets.mustReplace(before: before, after: after, wanted: renewal.lifetimeMilliseconds)
            replacesRenewals.withLock { $0 = found }
            if found == true { try replace(endpoint, grants) }
        }
    }

    /// Renews by deleting and adding, in one transaction.
    private func replace(_ endpoint: Int, _ grants: [NameGrant]) throws {
        do {
            try send(endpoint, grants, deletingRenewals: true)
        } catch {
            if !NameSets.isAbsence(error) { throw error }
            // An element that was to be replaced has just expired: which one, each tells by itself.
            for grant in grants {
                let isThere = try grant.isRenewal && timeLeft(endpoint, grant) != nil
                try send(endpoint, [grant], deletingRenewals: isThere)
            }
        }
    }

    /// Takes addresses out of shared sets, before another endpoint gets an endpoint's own. What is not there any more, element
    /// or set, will do.
    ///
    /// - Parameter elements: What goes.
    /// - Throws: As ``commit(_:_:)`` does, but for what is not there.
    public func remove(_ elements: some Sequence<NameElement>) throws {
        var all: [String: [ElementBatch.Element]] = [:]
        for element in elements {
            all[element.set, default: []].append(
                ElementBatch.Element(own: element.own, address: element.address, milliseconds: 0))
        }
        try removePresent(all)
    }

    /// Takes elements out of their sets, where they are there.
    func removePresent(_ all: [String: [ElementBatch.Element]]) throws {
        do {
            return try send(coming: [:], going: all)
        } catch {
            if !NameSets.isAbsence(error) { throw error }
        }
        // Something has expired, or a set has gone with its rules. To ask for each costs little; a transaction that fails makes
        // the kernel wait, and everybody who changes anything.
        let left = try present(all)
        do {
            try send(coming: [:], going: left)
        } catch {
            if !NameSets.isAbsence(error) { throw error }
            // Something has expired in between: each by itself, then.
            for (name, elements) in left {
                for element in elements {
                    do {
                        try send(coming: [:], going: [name: [element]])
                    } catch {
                        if !NameSets.isAbsence(error) { throw error }
                    }
                }
            }
        }
    }

    static func isAbsence(_ error: any Error) -> Bool {
        (error as? LinuxError)?.errno == .noEntry || (error as? NetlinkError)?.code == .notFound
    }

    /// Whether the kernel has refused an element as its set is full.
    ///
    /// - Parameter error: What was thrown.
    /// - Returns: Whether it is that, and nothing else.
    public static func isFullSet(_ error: any Error) -> Bool {
        (error as? LinuxError)?.errno == .tableFull || (error as? NetlinkError)?.errno == .tableFull
    }

    private func send(_ endpoint: Int, _ grants: [NameGrant], deletingRenewals: Bool) throws {
        let elements = elements(endpoint, grants, deletingRenewals: deletingRenewals)
        try send(coming: elements.coming, going: elements.going)
    }

    /// What grants of an endpoint come to, by the sets' names.
    private func elements(
        _ endpoint: Int, _ grants: [NameGrant], deletingRenewals: Bool
    ) -> (coming: [String: [ElementBatch.Element]], going: [String: [ElementBatch.Element]]) {
        var added: [String: [IPAddress: UInt64]] = [:]
        var deleted: [String: Swift.Set<IPAddress>] = [:]
        for grant in grants {
            let name = naming(endpoint, grant.rule, grant.address.family)
            let longest = added[name]?[grant.address] ?? 0
            added[name, default: [:]][grant.address] = max(longest, grant.lifetimeMilliseconds)
            if grant.isRenewal && deletingRenewals { deleted[name, default: []].insert(grant.address) }
        }
        // An endpoint without an address of the family has no use for such addresses.
        let coming = added.mapValues { elements in
            elements.flatMap { self.elements(endpoint, $0.key, milliseconds: $0.value) }
        }
        let going = deleted.mapValues { $0.flatMap { elements(endpoint, $0, milliseconds: 0) } }
        return (coming, going)
    }

    func send(coming: [String: [ElementBatch.Element]], going: [String: [ElementBatch.Element]]) throws {
        if coming.values.allSatisfy(\.isEmpty) && going.values.allSatisfy(\.isEmpty) { return }
        func batch(_ first: UInt32, isEchoed: Bool = false) -> ElementBatch {
            var batch = ElementBatch(
                table: table, isOfFrames: isOfFrames, firstSequence: first, isEchoed: isEchoed)
            for (verb, sets) in [(ElementBatch.Verb.delete, going), (.add, coming)] {
                for (name, elements) in sets {
                    // A message's attribute holds at most 64 KiB.
                    var rest = elements[...]
                    while !rest.isEmpty {
                        batch.append(verb, set: name, Array(rest.prefix(512)))
                        rest = rest.dropFirst(512)
                    }
                }
            }
            return batch
        }
        switch way {
        case .shared(let sender):
            try sender.commit("add addresses to the sets of names") { first in
                var batch = batch(first, isEchoed: true)
                let bytes = batch.finish()
                return RawBatch(
                    bytes: bytes, first: first, end: batch.lastSequence, acknowledged: batch.acknowledgedSequence)
            }
        case .own(let own):
            try own.state.withLock { state in
                var batch = batch(state.sequence)
                try state.socket.send(batch.finish())
                state.sequence = batch.lastSequence
                try wait(for: batch, state.socket)
            }
        }
    }

    func elements(_ endpoint: Int, _ address: IPAddress, milliseconds: UInt64) -> [ElementBatch.Element] {
        guard let owning else { return [ElementBatch.Element(address: address, milliseconds: milliseconds)] }
        return owning(endpoint, address.family).map {
            ElementBatch.Element(own: $0, address: address, milliseconds: milliseconds)
        }
    }

    private func wait(for batch: ElementBatch, _ socket: NetlinkSocket) throws {
        var refusal: Int32 = 0
        while true {
            for message in try NetlinkMessage.parse(try socket.receive())
            where message.type == NetlinkControl.error && batch.contains(message.sequence) {
                let answer = try NetlinkAcknowledgement(message)
                if !answer.isSuccess && refusal == 0 { refusal = answer.errorNumber }
                // The last message's answer is the last, and an error of the batch as a whole the only one.
                let isLast = message.sequence == batch.acknowledgedSequence || !answer.isSuccess
                guard isLast else { continue }
                if refusal == 0 { return }
                throw LinuxError(Errno(rawValue: refusal), operation: "add addresses to the sets of names")
            }
        }
    }
}

/// An element of a set that several endpoints share: an address, and whose it is.
public struct NameElement: Hashable, Sendable {
    /// The set's name.
    public var set: String
    /// The endpoint's own address.
    public var own: IPAddress
    /// The address that it may reach.
    public var address: IPAddress

    /// Creates an element.
    public init(set: String, own: IPAddress, address: IPAddress) {
        self.set = set
        self.own = own
        self.address = address
    }
}
