// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretLinux

/// What Egret knows across processes of one host, which is one network namespace: who runs, and which switches of
/// the host were moved. It lies in memory (`/run`) and is gone with the last run.
///
/// Every method but ``lock()`` asks that the caller hold the lock.
public struct StateDirectory: Sendable {
    /// Where all hosts' directories lie.
    public static let root = "/run/egret"

    private let path: String

    /// A run's place among the others, held until this goes.
    public struct Claim: Sendable {
        /// What is known of the run.
        public fileprivate(set) var record: RunRecord
        fileprivate let lock: FileLock
    }

    /// Names the directory of the network namespace that the calling thread is in. Nothing is made yet.
    public init() throws(LinuxError) {
        let identity = try Namespace.current(.network).identity
        path = "\(StateDirectory.root)/net-\(identity.device)-\(identity.inode)"
    }

    /// Waits for the host's lock; the directory exists from then on, until ``removeIfEmpty()``.
    public func lock() throws(LinuxError) -> FileLock {
        while true {
            guard try makeDirectory(), let lock = try acquire() else { continue }
            // Whoever held it before may have removed the directory.
            let held = try File.status("/proc/self/fd/\(lock.descriptor.number)")
            if let named = try? File.status(lockPath), named.inode == held.inode { return lock }
        }
    }

    private var lockPath: String { path + "/lock" }

    /// Makes the directory; `false` if another host's last run removed the one above it meanwhile.
    private func makeDirectory() throws(LinuxError) -> Bool {
        do throws(LinuxError) {
            try Directory.make(path, mode: 0o700)
            return true
        } catch {
            if error.errno == .noEntry || error.errno == .notDirectory { return false }
            throw error
        }
    }

    private func acquire() throws(LinuxError) -> FileLock? {
        do {
            return try FileLock.acquire(lockPath)
        } catch {
            if error.errno == .noEntry { return nil }
            throw error
        }
    }

    /// Records whose process is gone. Each stays until ``forget(_:)``.
    public func deadRuns() throws(LinuxError) -> [RunRecord] {
        var dead: [RunRecord] = []
        for slot in try slots() {
            guard let lock = try FileLock.tryAcquire(recordPath(slot)) else { continue }
            if let record = RunRecord(text: try File.readText(recordPath(slot))), record.slot == slot {
                dead.append(record)
            } else {
                // Its process ended before it had made anything.
                try File.remove(recordPath(slot))
            }
            withExtendedLifetime(lock) {}
        }
        return dead
    }

    /// Whether any run, a dead one included, or a network is there.
    ///
    /// - Parameter record: A run that does not count.
    /// - Returns: `false` if what runs and networks share can go.
    /// - Throws: An error that names the directory.
    public func isInUse(besides record: RunRecord? = nil) throws(LinuxError) -> Bool {
        let names = try Directory.names(in: path)
        return names.contains { $0.hasPrefix(StateDirectory.networkPrefix) }
            || StateDirectory.slots(names).contains { $0 != record?.slot }
    }

    private static let networkPrefix = "network-"

    /// Notes that a network needs what runs and networks share. The caller holds the lock.
    public func note(network name: String) throws(LinuxError) {
        try File.write(path + "/" + StateDirectory.networkPrefix + name, [], mode: 0o600)
    }

    /// The ruleset's number when networks' rules were known to be right; `nil` if it is not known.
    public var rulesetGeneration: UInt32? {
        (try? File.readText(path + "/ruleset")).flatMap { UInt32($0.split(separator: "\n").first ?? "") }
    }

    /// Notes that networks' rules are right, and the ruleset's number now. The caller holds the lock.
    public func note(rulesetGeneration number: UInt32) throws(LinuxError) {
        try File.write(path + "/ruleset", Array("\(number)\n".utf8), mode: 0o600)
    }

    /// The networks that are noted.
    public func notedNetworks() throws(LinuxError) -> [String] {
        try Directory.names(in: path).filter { $0.hasPrefix(StateDirectory.networkPrefix) }
            .map { String($0.dropFirst(StateDirectory.networkPrefix.count)) }
    }

    /// Notes that a network is gone. The caller holds the lock.
    public func forget(network name: String) throws(LinuxError) {
        try File.remove(path + "/" + StateDirectory.networkPrefix + name)
    }

    /// Notes a link that is about to be made, until it is noted elsewhere whose it is. There is one at a time: the caller
    /// holds the lock.
    ///
    /// - Parameters:
    ///   - name: Its name.
    ///   - hardwareAddress: Its hardware address, by which it is known from others of that name.
    /// - Throws: An error that names the file.
    public func note(begunLink name: String, _ hardwareAddress: String) throws(LinuxError) {
        try File.write(path + "/link", Array("\(name) \(hardwareAddress)\n".utf8), mode: 0o600)
    }

    /// The link that somebody who was killed was about to make, and may have made; `nil` if there is none.
    public var begunLink: (name: String, hardwareAddress: String)? { link(in: "link") }

    private func link(in file: String) -> (name: String, hardwareAddress: String)? {
        let text = (try? File.readText("\(path)/\(file)")) ?? ""
        let words = text.split(whereSeparator: { $0 == " " || $0 == "\n" }).map(String.init)
        return words.count == 2 ? (name: words[0], hardwareAddress: words[1]) : nil
    }

    /// Forgets the link that was about to be made, if there is one. The caller holds the lock.
    public func forgetBegunLink() throws(LinuxError) {
        try File.remove(path + "/link")
    }

    /// Notes the link of an endpoint that is about to be taken away, until it is kept nowhere. There is one at a time: the
    /// caller holds the lock.
    ///
    /// - Parameters:
    ///   - name: The name of the host's end.
    ///   - hardwareAddress: Its hardware address, by which it is known from others of that name.
    /// - Throws: An error that names the file.
    public func note(endingLink name: String, _ hardwareAddress: String) throws(LinuxError) {
        try File.write(path + "/ending", Array("\(name) \(hardwareAddress)\n".utf8), mode: 0o600)
    }

    /// The link of the endpoint that somebody who was killed was taking away; `nil` if there is none.
    public var endingLink: (name: String, hardwareAddress: String)? { link(in: "ending") }

    /// Forgets the link that was about to be taken away, if there is one. The caller holds the lock.
    public func forgetEndingLink() throws(LinuxError) {
        try File.remove(path + "/ending")
    }

    /// Takes a slot and a generation that no other run has.
    ///
    /// - Parameters:
    ///   - isTaken: Whether something that is not in the directory has the slot.
    ///   - addresses: The addresses that a run in the slot gets; `nil` if there are none.
    /// - Returns: `nil` if every slot is taken.
    /// - Throws: An error that names the file.
    public func claim(
        isTaken: (Int) -> Bool = { _ in false },
        addresses: (Int) -> [IPAddress]?
    ) throws(LinuxError) -> Claim? {
        let taken = Set(try slots())
        var counters = Counters(text: (try? File.readText(path + "/next")) ?? "")
        for offset in 0..<AddressPlanner.slotCount {
            let slot = (counters.slot + offset) % AddressPlanner.slotCount
            if taken.contains(slot) || isTaken(slot) { continue }
            guard let addresses = addresses(slot) else { return nil }
            let record = RunRecord(
                slot: slot, generation: try unusedGeneration(from: counters.generation), addresses: addresses)
            let lock = try FileLock.acquire(recordPath(slot))
            try File.write(recordPath(slot), Array(record.text.utf8), mode: 0o600)
            counters = Counters(slot: slot + 1, generation: record.generation == .max ? 1 : record.generation + 1)
            try File.write(path + "/next", Array(counters.text.utf8), mode: 0o600)
            return Claim(record: record, lock: lock)
        }
        return nil
    }

    /// Notes what a run's rules are called, until the run is forgotten.
    ///
    /// - Parameters:
    ///   - rules: The words.
    ///   - record: The run.
    /// - Throws: An error that names the file.
    public func note(_ rules: RunRules, of record: RunRecord) throws(LinuxError) {
        try File.write(rulesPath(record.slot), Array(rules.text.utf8), mode: 0o600)
    }

    /// What some run has noted of a rule. For this the lock is not needed: a run that ends meanwhile is not there.
    ///
    /// - Parameter name: The name of the rule's chain.
    /// - Returns: The words; `nil` if no run has noted any.
    /// - Throws: An error that names the directory.
    public func words(ofRule name: String) throws(LinuxError) -> String? {
        for file in try Directory.names(in: path).sorted() where file.hasPrefix(StateDirectory.rulesPrefix) {
            guard let text = try? File.readText("\(path)/\(file)") else { continue }
            if let words = RunRules(text: text).words[name] { return words }
        }
        return nil
    }

    /// Removes a run's record, when everything else of it is gone.
    public func forget(_ record: RunRecord) throws(LinuxError) {
        try File.remove(rulesPath(record.slot))
        try File.remove(recordPath(record.slot))
    }

    /// What was moved of the host's switches.
    public func ledger() -> SwitchLedger {
        SwitchLedger(text: (try? File.readText(path + "/switches")) ?? "")
    }

    /// Stores what was moved; an empty ledger leaves no file.
    public func store(_ ledger: SwitchLedger) throws(LinuxError) {
        if ledger.entries.isEmpty {
            try File.remove(path + "/switches")
        } else {
            try File.replace(path + "/switches", with: Array(ledger.text.utf8), mode: 0o600)
        }
    }

    /// Removes the directory if no run and no network is left in it, and no switch is still to be put back.
    public func removeIfEmpty() throws(LinuxError) {
        if try isInUse() || !ledger().entries.isEmpty { return }
        // What somebody was killed while writing.
        let halves = try Directory.names(in: path).filter { $0.hasSuffix(".new") }
        for name in halves + ["next", "switches", "ruleset", "link", "ending", "lock"] {
            try File.remove("\(path)/\(name)")
        }
        try? Directory.remove(path)
        try? Directory.remove(StateDirectory.root)
    }

    /// Removes the directories of network namespaces that are gone: others get their numbers.
    ///
    /// - Parameter reachable: The namespaces that are there.
    /// - Returns: The directories that were removed.
    /// - Throws: `LinuxError` if a directory cannot be listed or removed.
    public static func collect(reachable: some Collection<Namespace.Identity>) throws(LinuxError) -> [String] {
        guard NetworkNamespace.seesAllProcesses, File.exists(root) else { return [] }
        let known = Set(reachable.map { "net-\($0.device)-\($0.inode)" })
        var removed: [String] = []
        for name in try Directory.names(in: root).sorted() where name.hasPrefix("net-") && !known.contains(name) {
            let path = "\(root)/\(name)"
            guard let lock = try FileLock.tryAcquire(path + "/lock") else { continue }
            for file in try Directory.names(in: path) { try File.remove("\(path)/\(file)") }
            try Directory.remove(path)
            removed.append(path)
            withExtendedLifetime(lock) {}
        }
        return removed
    }

    /// The slots that have records, of dead runs, too.
    public func slots() throws(LinuxError) -> [Int] {
        StateDirectory.slots(try Directory.names(in: path))
    }

    private static func slots(_ names: [String]) -> [Int] {
        names.compactMap { $0.hasPrefix("run-") ? Int($0.dropFirst(4)) : nil }.sorted()
    }

    private func recordPath(_ slot: Int) -> String { "\(path)/run-\(slot)" }

    private static let rulesPrefix = "rules-"

    private func rulesPath(_ slot: Int) -> String { "\(path)/\(StateDirectory.rulesPrefix)\(slot)" }

    /// The numbers of runs' policies; those above are for endpoints of networks.
    private static let runGenerations: ClosedRange<UInt16> = 1...0x7fff

    private func unusedGeneration(from first: UInt16) throws(LinuxError) -> UInt16 {
        var used: Set<UInt16> = []
        for slot in try slots() {
            if let record = RunRecord(text: try File.readText(recordPath(slot))) { used.insert(record.generation) }
        }
        var generation = first
        while !StateDirectory.runGenerations.contains(generation) || used.contains(generation) {
            generation = StateDirectory.runGenerations.contains(generation) ? generation + 1 : 1
        }
        return generation
    }
}

/// Where to look first for a free slot and an unused generation.
private struct Counters {
    var slot: Int
    var generation: UInt16

    init(slot: Int, generation: UInt16) {
        self.slot = slot
        self.generation = generation
    }

    /// Without stored counters, generations begin somewhere else each time: connections of an earlier run may
    /// still be in the kernel's table.
    init(text: String) {
        let words = text.split(whereSeparator: { $0 == " " || $0 == "\n" })
        if words.count == 2, let slot = Int(words[0]), slot >= 0, let generation = UInt16(words[1]) {
            self.init(slot: slot % AddressPlanner.slotCount, generation: generation)
        } else {
            let start = UInt16(truncatingIfNeeded: MonotonicInstant.now.nanoseconds >> 20)
            self.init(slot: 0, generation: max(1, start & 0x7fff))
        }
    }

    var text: String { "\(slot) \(generation)\n" }
}
