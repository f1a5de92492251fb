// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretCompiler
import EgretLinux
import EgretNftables
import Synchronization

/// What the agent has put into the kernel's ruleset, in a file that outlives the process: the next agent need not read back what
/// nobody has changed meanwhile.
///
/// The file is in memory, like everything that is about the running kernel, and is written with every change. It has one number
/// that says whether it is to be believed: the ruleset's, which the kernel raises with each transaction of anybody's. Where the kernel
/// has that number still, nobody has committed anything since the agent itself knew the kernel to be as the file says. The number
/// is taken away before a change begins, and put back when the kernel is known to be sound. Transactions in between, which
/// add addresses of names, raise it by one each after the kernel has acknowledged: an agent that is killed just before that leaves
/// a number that is too low, and its successor compares everything.
///
/// The number is eight bytes of a file in the page cache, written by one call: a process that is killed leaves the old or the
/// new ones. A machine that stops loses the file; what another start of the machine, another namespace or another build of Egret
/// has written is not believed either.
///
/// ```
///  0                       8           12        16                                    32            64
///  +-----------------------+-----------+---------+-------------------------------------+-------------+
///  | "EgretK01"            | ruleset   | isTidy  | digest of kernel, namespace, build  | zeros       |
///  +-----------------------+-----------+---------+-------------------------------------+-------------+
///  then rows of 48 bytes: kind, number and two further numbers (four bytes each), digest (16), two numbers (eight each)
/// ```
final class KernelRecord: Sendable {
    /// The objects that all endpoints share.
    struct Bases: Hashable, Sendable {
        /// Which of them are there, besides those that always are.
        var hasBridgeTable: Bool
        var hasOutput: Bool
        var hasNames: Bool
        /// The seconds since 1970 for which the times of rules are in the kernel.
        var horizon: ClosedRange<Int64>
        /// The digest of the objects.
        var digest: ContentDigest

        /// The tables that are there.
        var tables: Swift.Set<Table> {
            hasBridgeTable
                ? [HostBase.table, HostBase.frameTable, HostBase.bridgeTable] : [HostBase.table, HostBase.frameTable]
        }
    }

    /// An endpoint.
    struct Endpoint: Hashable, Sendable {
        /// The number of the chains that it shares.
        var profile: Int
        /// The generations of its programs; 0 for none.
        var egress: UInt16
        var ingress: UInt16
        /// The interface that its frames wait in.
        var queueIndex: UInt32?
        /// What else it is to the kernel.
        var digest: ContentDigest
    }

    /// All that the tables hold.
    struct Contents: Hashable, Sendable {
        var bases: Bases
        /// The digests of programs, by generation.
        var programs: [UInt16: ContentDigest] = [:]
        /// By the number of their checks.
        var endpoints: [Int: Endpoint] = [:]
    }

    /// What a former agent has left.
    struct Left: Hashable, Sendable {
        /// The ruleset's number for which it holds.
        var ruleset: UInt32
        /// Whether the tables hold nothing else.
        var isTidy: Bool
        var contents: Contents
    }

    /// What becomes of rows.
    struct Change {
        var bases: Bases?
        var programs: [UInt16: ContentDigest] = [:]
        var endpoints: [Int: Endpoint] = [:]
        /// What is gone.
        var gonePrograms: [UInt16] = []
        var goneEndpoints: [Int] = []
    }

    private struct State {
        /// `nil` as long as nothing is noted.
        var file: Descriptor?
        var left: Left?
        /// The ruleset's number without the agent's own transactions; `nil` while the kernel is not known to be sound.
        var sound: UInt32?
        var isTidy = false
        /// How many transactions the agent has committed.
        var commits: UInt32 = 0
        /// How many others have put addresses of names into the sets of budgets.
        var batches: UInt32 = 0
        /// Where rows are; the first is that of the bases.
        var programs: [UInt16: Int] = [:]
        var endpoints: [Int: Int] = [:]
        var free: [Int] = []
        var count = 1
    }

    private let path: String
    private let identity: ContentDigest
    private let state: Mutex<State>

    /// Reads what a former agent has left.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - identity: The machine's start, the namespace, and the build that writes: what is of others is not read.
    init(path: String, identity: String) {
        self.path = path
        let digest = ContentDigest(of: Array(identity.utf8))
        self.identity = digest
        var state = State()
        if let bytes = try? File.read(path, limit: 1 << 27) { state.left = KernelRecord.decode(bytes, digest) }
        self.state = Mutex(state)
    }

    /// What a former agent has left, once.
    func takeLeft() -> Left? {
        state.withLock { state in
            let left = state.left
            state.left = nil
            return left
        }
    }

    /// Whether a former agent has left anything that nobody has taken yet.
    var hasLeft: Bool { state.withLock { $0.left != nil } }

    // MARK: - Whether it is to be believed

    /// Notes that the kernel may be otherwise from now on.
    func doubt() {
        state.withLock { state in
            state.sound = nil
            if state.file == nil {
                // A former agent's, whatever it says.
                try? File.remove(path)
            } else {
                writeNumber(&state)
            }
        }
    }

    /// Notes that the kernel is as the rows say.
    ///
    /// - Parameters:
    ///   - sound: The ruleset's number without the agent's own transactions.
    ///   - isTidy: Whether the tables hold nothing else.
    func vouch(for sound: UInt32, isTidy: Bool) {
        state.withLock { state in
            state.sound = sound
            state.isTidy = isTidy
            writeNumber(&state)
        }
    }

    /// Notes that the agent has committed a transaction that leaves the rows true, or will be followed by ``vouch(for:isTidy:)``.
    ///
    /// - Parameter commits: How many there were.
    func note(commits: Int) {
        state.withLock { state in
            state.commits = UInt32(truncatingIfNeeded: commits)
            if state.sound != nil { writeNumber(&state) }
        }
    }

    /// The same for addresses of names that have come into the sets of budgets, by another connection.
    ///
    /// - Parameter batches: How many transactions there were.
    func note(batches: Int) {
        state.withLock { state in
            state.batches = UInt32(truncatingIfNeeded: batches)
            if state.sound != nil { writeNumber(&state) }
        }
    }

    /// Writes the number. One that cannot be written stays too low for the next transaction, and is not believed.
    private func writeNumber(_ state: inout State) {
        guard let file = state.file else { return }
        var bytes = ByteList()
        bytes.put(state.sound.map { $0 &+ state.commits &+ state.batches } ?? 0)
        bytes.put(UInt32(state.sound != nil && state.isTidy ? 1 : 0))
        do {
            try file.write(bytes.bytes, at: KernelRecord.numberPlace)
        } catch {
            drop(&state)
        }
    }

    private func drop(_ state: inout State) {
        try? File.remove(path)
        let (commits, batches) = (state.commits, state.batches)
        state = State()
        (state.commits, state.batches) = (commits, batches)
    }

    // MARK: - What it says

    /// Whether a program is noted.
    func holds(program: UInt16) -> Bool { state.withLock { $0.programs[program] != nil } }

    /// Takes the file away: there is nothing to be believed until all is noted anew.
    func forget() { state.withLock { drop(&$0) } }

    /// Notes all that the tables hold. Nothing of it is believed before ``vouch(for:isTidy:)``.
    func replace(with contents: Contents) {
        state.withLock { state in
            var fresh = State()
            (fresh.commits, fresh.batches) = (state.commits, state.batches)
            var bytes = ByteList()
            for byte in KernelRecord.magic { bytes.put(byte) }
            bytes.put(UInt64(0))
            bytes.put(identity.high)
            bytes.put(identity.low)
            bytes.fill(to: KernelRecord.headerSize)
            Row(contents.bases).put(into: &bytes)
            for (number, digest) in contents.programs {
                fresh.programs[number] = fresh.count
                fresh.count += 1
                Row(program: number, digest).put(into: &bytes)
            }
            for (slot, endpoint) in contents.endpoints {
                fresh.endpoints[slot] = fresh.count
                fresh.count += 1
                Row(slot, endpoint).put(into: &bytes)
            }
            do {
                try File.replace(path, with: bytes.bytes, mode: 0o600)
                fresh.file = try Descriptor.open(path, .writeOnly)
                state = fresh
            } catch {
                drop(&state)
            }
        }
    }

    /// Notes a change. Where nothing is noted, nothing is.
    ///
    /// - Complexity: O(*n*) in the rows that change.
    func apply(_ change: Change) {
        state.withLock { state in
            guard let file = state.file else { return }
            if state.sound != nil {
                state.sound = nil
                writeNumber(&state)
            }
            do {
                if let bases = change.bases { try file.write(Row(bases).bytes, at: KernelRecord.place(0)) }
                var freed: [Int] = change.gonePrograms.compactMap { state.programs.removeValue(forKey: $0) }
                freed += change.goneEndpoints.compactMap { state.endpoints.removeValue(forKey: $0) }
                for row in freed { try file.write(Row().bytes, at: KernelRecord.place(row)) }
                state.free += freed
                for (number, digest) in change.programs {
                    let row = state.programs[number] ?? KernelRecord.row(&state)
                    state.programs[number] = row
                    try file.write(Row(program: number, digest).bytes, at: KernelRecord.place(row))
                }
                for (slot, endpoint) in change.endpoints {
                    let row = state.endpoints[slot] ?? KernelRecord.row(&state)
                    state.endpoints[slot] = row
                    try file.write(Row(slot, endpoint).bytes, at: KernelRecord.place(row))
                }
            } catch {
                drop(&state)
            }
        }
    }

    /// A row that nothing is in.
    private static func row(_ state: inout State) -> Int {
        if let row = state.free.popLast() { return row }
        state.count += 1
        return state.count - 1
    }
}

// MARK: - Bytes

extension KernelRecord {
    fileprivate static let magic = Array("EgretK01".utf8)
    fileprivate static let numberPlace: Int64 = 8
    fileprivate static let headerSize = 64

    fileprivate static func place(_ row: Int) -> Int64 { Int64(headerSize + row * Row.size) }

    /// Reads a file; `nil` if it is none of this kernel, namespace and build, if it is not whole, or if it is not to be believed.
    fileprivate static func decode(_ bytes: [UInt8], _ identity: ContentDigest) -> Left? {
        let rows = bytes.count - headerSize
        guard rows >= Row.size, rows % Row.size == 0, Array(bytes.prefix(8)) == magic,
            ContentDigest(high: number(bytes, 16), low: number(bytes, 24)) == identity
        else { return nil }
        let ruleset: UInt32 = number(bytes, 8)
        let flags: UInt32 = number(bytes, 12)
        guard ruleset != 0, flags <= 1, let bases = Row(bytes, at: headerSize).bases else { return nil }
        var contents = Contents(bases: bases)
        for place in stride(from: headerSize + Row.size, to: bytes.count, by: Row.size) {
            let row = Row(bytes, at: place)
            switch row.kind {
            case 0: continue
            case Row.program:
                guard let (generation, digest) = row.program,
                    contents.programs.updateValue(digest, forKey: generation) == nil
                else { return nil }
            case Row.endpoint:
                guard let endpoint = row.endpoint,
                    contents.endpoints.updateValue(endpoint, forKey: Int(row.number)) == nil
                else { return nil }
            default: return nil
            }
        }
        return Left(ruleset: ruleset, isTidy: flags == 1, contents: contents)
    }

    /// A number whose lowest byte is first. All of it is among the bytes.
    fileprivate static func number<Number: FixedWidthInteger>(_ bytes: [UInt8], _ place: Int) -> Number {
        var value: Number = 0
        for offset in (0..<Number.bitWidth / 8).reversed() {
            value = value << 8 | Number(truncatingIfNeeded: bytes[place + offset])
        }
        return value
    }
}

/// A row of the file; all zeros where nothing is in it.
private struct Row {
    static let size = 48
    static let bases: UInt32 = 1
    static let program: UInt32 = 2
    static let endpoint: UInt32 = 3

    var kind: UInt32 = 0
    var number: UInt32 = 0
    var first: UInt32 = 0
    var second: UInt32 = 0
    var digest = ContentDigest(high: 0, low: 0)
    var third: Int64 = 0
    var fourth: Int64 = 0

    init() {}

    init(_ bases: KernelRecord.Bases) {
        kind = Row.bases
        number = (bases.hasBridgeTable ? 1 : 0) | (bases.hasOutput ? 2 : 0) | (bases.hasNames ? 4 : 0)
        digest = bases.digest
        (third, fourth) = (bases.horizon.lowerBound, bases.horizon.upperBound)
    }

    init(program generation: UInt16, _ digest: ContentDigest) {
        kind = Row.program
        number = UInt32(generation)
        self.digest = digest
    }

    init(_ slot: Int, _ endpoint: KernelRecord.Endpoint) {
        kind = Row.endpoint
        number = UInt32(truncatingIfNeeded: slot)
        first = UInt32(truncatingIfNeeded: endpoint.profile)
        second = UInt32(endpoint.egress) << 16 | UInt32(endpoint.ingress)
        digest = endpoint.digest
        third = endpoint.queueIndex.map { Int64($0) } ?? -1
    }

    init(_ bytes: [UInt8], at place: Int) {
        kind = KernelRecord.number(bytes, place)
        number = KernelRecord.number(bytes, place + 4)
        first = KernelRecord.number(bytes, place + 8)
        second = KernelRecord.number(bytes, place + 12)
        digest = ContentDigest(
            high: KernelRecord.number(bytes, place + 16), low: KernelRecord.number(bytes, place + 24))
        third = KernelRecord.number(bytes, place + 32)
        fourth = KernelRecord.number(bytes, place + 40)
    }

    var bases: KernelRecord.Bases? {
        guard kind == Row.bases, number <= 7, third <= fourth else { return nil }
        return KernelRecord.Bases(
            hasBridgeTable: number & 1 != 0, hasOutput: number & 2 != 0, hasNames: number & 4 != 0,
            horizon: third...fourth, digest: digest)
    }

    var program: (generation: UInt16, digest: ContentDigest)? { UInt16(exactly: number).map { ($0, digest) } }

    var endpoint: KernelRecord.Endpoint? {
        guard third == -1 || UInt32(exactly: third) != nil else { return nil }
        return KernelRecord.Endpoint(
            profile: Int(first), egress: UInt16(second >> 16), ingress: UInt16(second & 0xffff),
            queueIndex: UInt32(exactly: third), digest: digest)
    }

    var bytes: [UInt8] {
        var list = ByteList()
        put(into: &list)
        return list.bytes
    }

    func put(into bytes: inout ByteList) {
        bytes.put(kind)
        bytes.put(number)
        bytes.put(first)
        bytes.put(second)
        bytes.put(digest.high)
        bytes.put(digest.low)
        bytes.put(third)
        bytes.put(fourth)
    }
}
