// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNetlink
import EgretNetlinkWire
public import EgretNftables

/// The kernel's nf_tables as the place where programs are put, read back, and taken away.
///
/// It belongs to the network namespace of its connection. Callers that share a host take the host's lock around
/// changes: two processes would otherwise both find the base objects missing.
public final class Dataplane {
    let connection: NetlinkConnection
    /// The tables that are made so that nobody else may change them as long as the connection is open.
    public var ownTables: Swift.Set<Table> = []

    /// Uses a connection made by `NetlinkConnection.netfilter()`.
    public init(_ connection: NetlinkConnection) {
        self.connection = connection
    }

    /// Puts programs into the kernel in one transaction, and before them the base program and the tables if they
    /// are not there.
    ///
    /// Returns once the kernel has committed. On an error nothing has changed.
    public func install(_ programs: [TableProgram], on base: TableProgram) throws(NetlinkError) {
        var transaction = Transaction()
        let present = Swift.Set(try tables())
        for table in Swift.Set(programs.map(\.table) + [base.table]).subtracting(present).sorted() {
            transaction.append(.addTable, in: table)
        }
        if !present.contains(base.table) {
            for operation in base.installation { transaction.append(operation, in: base.table) }
        }
        for program in programs {
            for operation in program.installation { transaction.append(operation, in: program.table) }
        }
        try connection.commit(transaction, "install the policy")
    }

    /// Commits a transaction that the caller has made.
    public func commit(_ transaction: Transaction) throws(NetlinkError) {
        try connection.commit(transaction, "change the policy")
    }

    /// Moves endpoints from one policy to another: every packet is judged by one of the two, none by a mixture.
    ///
    /// Three transactions: the new policy comes, the endpoints change, the old policy goes. A packet keeps the rules
    /// that it has begun with, but each set it asks answers as of that moment. In one transaction with the change, a
    /// few packets of a busy endpoint would find the new policy's sets still empty, or the old one's empty already,
    /// and meet a default instead of the rule.
    ///
    /// - Parameters:
    ///   - old: The policy that goes.
    ///   - new: The policy that comes.
    ///   - switching: The steps that lead packets to the new policy's chains, for each endpoint that obeys.
    /// - Throws: `NetlinkError`. If the old policy is in force still, nothing of the new one is left.
    public func replace(
        _ old: TableProgram,
        with new: TableProgram,
        switching: [Operation]
    ) throws(NetlinkError) {
        let table = new.table
        let arrival = Transaction(new.installation.map { Transaction.Step($0, in: table) })
        try connection.commit(arrival, "install the new policy")
        do throws(NetlinkError) {
            try connection.commit(Transaction(switching.map { Transaction.Step($0, in: table) }), "change the policy")
        } catch {
            try remove([new])
            throw error
        }
        try remove([old])
    }

    /// Brings the kernel from one state to another in three transactions: what comes, the switch, what goes.
    ///
    /// A packet meets the old state or the new one, never a mixture.
    ///
    /// - Parameters:
    ///   - arrival: Programs that nothing leads to yet; their tables are made if they are not there.
    ///   - switching: What leads packets to them, and away from what goes.
    ///   - departure: Programs that nothing leads to any more. Some of their objects may be gone with their interface.
    ///   - beforeSwitch: Called when the programs that come are there, and nothing leads to them yet.
    ///   - beforeDeparture: Called when nothing leads to them any more, and they are still there.
    /// - Throws: `NetlinkError`. If it is of the first two transactions, the old state is in force and nothing of the new
    ///   one is left; if of the last, the new state is in force.
    public func apply(
        arrival: [TableProgram], switching: Transaction, departure: [TableProgram],
        beforeSwitch: () throws(NetlinkError) -> Void = {}, beforeDeparture: () -> Void = {}
    ) throws(NetlinkError) {
        var coming = Transaction()
        for table in Swift.Set(arrival.map(\.table)).sorted() { coming.append(addition(of: table), in: table) }
        for program in arrival {
            for operation in program.installation { coming.append(operation, in: program.table) }
        }
        try connection.commit(coming, "install the new policies")
        do throws(NetlinkError) {
            try beforeSwitch()
            try connection.commit(switching, "change the policies")
        } catch {
            try remove(arrival)
            throw error
        }
        beforeDeparture()
        do throws(NetlinkError) {
            try remove(departure)
        } catch {
            if error.code != .notFound { throw error }
            for program in departure { try removeRemains(of: program) }
        }
    }

    /// Takes programs out in one transaction, in reverse order.
    public func remove(_ programs: [TableProgram]) throws(NetlinkError) {
        var transaction = Transaction()
        for program in programs.reversed() {
            for operation in program.removal { transaction.append(operation, in: program.table) }
        }
        try connection.commit(transaction, "remove the policy")
    }

    /// Deletes whole tables; those that are not there will do.
    public func removeTables(_ unwanted: [Table]) throws(NetlinkError) {
        let present = Swift.Set(try tables())
        var transaction = Transaction()
        for table in unwanted where present.contains(table) { transaction.append(.deleteTable, in: table) }
        try connection.commit(transaction, "delete the tables")
    }

    /// What a table's named counters have counted, by name; empty if there is no such table.
    public func counters(in table: Table) throws(NetlinkError) -> [String: CounterValue] {
        let records = try objects(in: table)
        var values: [String: CounterValue] = [:]
        values.reserveCapacity(records.count)
        for record in records {
            if case .counter(let packets, let bytes) = record.kind {
                values[record.name] = CounterValue(packets: packets, bytes: bytes)
            }
        }
        return values
    }

    /// What lets another thread put elements into sets by this one's socket: tables may be its own.
    public var batchSender: BatchSender { connection.batchSender }

    /// Has somebody told of each transaction that is committed by way of this, its ``batchSender`` included.
    ///
    /// - Parameter note: Takes the number of transactions so far, before the next one is sent, on the thread that has committed.
    public func tellCommits(to note: @escaping @Sendable (Int) -> Void) { connection.committed = note }

    /// How many transactions that were committed by way of this have given the ruleset another number; `nil` unless
    /// somebody is told of them: ``tellCommits(to:)``.
    public var commits: Int? { connection.countedCommits }

    /// The ruleset's number without what was committed by way of this: equal numbers mean that nobody else has changed
    /// anything meanwhile.
    ///
    /// - Parameter other: What sends batches by another connection, which are left out too: those alone, and nothing else that
    ///   is committed by that connection.
    /// - Returns: The number.
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    public func foreignGeneration(besides other: BatchSender? = nil) throws(NetlinkError) -> UInt32 {
        let operation = "ask for the ruleset's generation"
        let (message, commits) = try connection.getBetweenCommits(operation, besides: other) {
            sequence throws(WireError) in
            try NftablesWire.generationRequest(sequence: sequence)
        }
        do throws(WireError) {
            let number = try NftablesWire.decodeGeneration(message).identifier
            return number &- UInt32(truncatingIfNeeded: commits)
        } catch {
            throw NetlinkError(malformed: "\(error)", operation: operation)
        }
    }

    /// The ruleset's number, which every change by anybody raises: equal numbers mean that nothing has changed.
    public func rulesetGeneration() throws(NetlinkError) -> UInt32 {
        let message = try connection.get("ask for the ruleset's generation") { sequence throws(WireError) in
            try NftablesWire.generationRequest(sequence: sequence)
        }
        do throws(WireError) {
            return try NftablesWire.decodeGeneration(message).identifier
        } catch {
            throw NetlinkError(malformed: "\(error)", operation: "ask for the ruleset's generation")
        }
    }

    /// The chains of a table, without their rules; none if there is no such table.
    ///
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    /// - Complexity: O(*n*) in the chains of all tables of the family.
    public func chains(in table: Table) throws(NetlinkError) -> [Chain] {
        try chains(of: table.family).filter { $0.table == table }.map(\.chain)
    }

    func chains(of family: TableFamily? = nil) throws(NetlinkError) -> [ChainRecord] {
        try dump("list chains", NftablesWire.decodeChain) { sequence throws(WireError) in
            try NftablesWire.chainsRequest(family: family, sequence: sequence)
        }
    }

    func tables() throws(NetlinkError) -> [Table] { try tableRecords().map(\.table) }

    func tableRecords() throws(NetlinkError) -> [TableRecord] {
        try dump("list tables", NftablesWire.decodeTable) { sequence throws(WireError) in
            try NftablesWire.tablesRequest(sequence: sequence)
        }
    }

    func rules(in table: Table, chain: String? = nil) throws(NetlinkError) -> [RuleRecord] {
        try dump("list rules of \(table)", NftablesWire.decodeRule) { sequence throws(WireError) in
            try NftablesWire.rulesRequest(in: table, chain: chain, sequence: sequence)
        }
    }

    func sets(in table: Table) throws(NetlinkError) -> [SetRecord] {
        try dump("list sets of \(table)", NftablesWire.decodeSet) { sequence throws(WireError) in
            try NftablesWire.setsRequest(in: table, sequence: sequence)
        }
    }

    func objects(in table: Table) throws(NetlinkError) -> [ObjectRecord] {
        do throws(NetlinkError) {
            return try dump("list counters of \(table)", NftablesWire.decodeObject) { sequence throws(WireError) in
                try NftablesWire.objectsRequest(in: table, sequence: sequence)
            }
        } catch {
            if error.code == .notFound { return [] }
            throw error
        }
    }

    /// The elements of a set, by key; none of a set whose key type Egret has no word for.
    func elements(of set: SetRecord) throws(NetlinkError) -> [SetElement] {
        guard let keyType = set.keyType else { return [] }
        let messages = try connection.dump("list elements of \(set.table) \(set.name)") { sequence throws(WireError) in
            try NftablesWire.elementsRequest(of: set.name, in: set.table, sequence: sequence)
        }
        do throws(WireError) {
            return try NftablesWire.decodeElements(
                messages,
                keyType: keyType,
                furtherKeyTypes: set.furtherKeyTypes,
                hasIntervals: set.hasIntervals
            )
        } catch {
            throw NetlinkError(malformed: "\(error)", operation: "list elements of \(set.table) \(set.name)")
        }
    }

    private func dump<Record>(
        _ operation: String,
        _ decode: (NetlinkMessage) throws(WireError) -> Record,
        _ build: NetlinkConnection.Builder
    ) throws(NetlinkError) -> [Record] {
        let messages = try connection.dump(operation, build)
        var records: [Record] = []
        records.reserveCapacity(messages.count)
        do throws(WireError) {
            for message in messages { records.append(try decode(message)) }
        } catch {
            throw NetlinkError(malformed: "\(error)", operation: operation)
        }
        return records
    }
}

/// What a counter has counted.
public struct CounterValue: Hashable, Sendable {
    /// Packets.
    public var packets: UInt64
    /// Bytes, from the network header to the end.
    public var bytes: UInt64

    /// Creates a value.
    public init(packets: UInt64, bytes: UInt64) {
        self.packets = packets
        self.bytes = bytes
    }
}
