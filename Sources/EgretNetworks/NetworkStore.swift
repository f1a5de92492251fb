// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretLinux

/// Where networks are kept: a file for each, which survives the machine's restart.
///
/// Each network namespace is a host of its own. The first one, which is there after every restart, has the directory
/// `/var/lib/egret/networks`; every other has one by its cookie, and what an earlier start of the machine left there was
/// another namespace's.
public struct NetworkStore: Sendable {
    /// Where the files lie.
    public let path: String
    /// Whether what is kept is this host's after the machine was restarted.
    public let outlivesRestart: Bool

    /// The environment variable that names another directory than `/var/lib/egret`.
    public static let variable = "EGRET_STATE_DIRECTORY"

    /// Names the directory of the network namespace that the calling thread is in. Nothing is made yet.
    ///
    /// - Parameter chosen: The directory that ``variable`` names, if it does.
    /// - Throws: `LinuxError` if the namespace cannot be told.
    public init(chosen: String? = nil) throws(LinuxError) {
        let chosen = chosen.flatMap { $0.isEmpty ? nil : $0 }
        let root = chosen ?? "/var/lib/egret"
        let isFirst = chosen == nil ? try NetworkNamespace.isFirst() : false
        outlivesRestart = isFirst || chosen != nil
        path = isFirst ? root + "/networks" : "\(root)/networks-\(try NetworkNamespace.currentCookie())"
    }

    /// Waits for the lock on the networks. The directory exists from then on.
    public func lock() throws(LinuxError) -> FileLock {
        try Directory.make(path, mode: 0o700)
        let lock = try FileLock.acquire(path + "/lock")
        // Files that somebody who was killed had not put in place yet. Whoever holds the lock writes alone.
        for name in try Directory.names(in: path) where name.hasSuffix(".new") { try File.remove("\(path)/\(name)") }
        return lock
    }

    /// All networks, by name. The caller holds the lock.
    ///
    /// - Returns: The networks.
    /// - Throws: ``NetworkProblem`` if a file is damaged, of a later version or another's copy, `LinuxError` if it cannot be read.
    public func networks() throws -> [NetworkRecord] {
        try fileNames().map { try record(inFile: $0) }
    }

    /// All networks that can be read, and why others cannot: one file that is damaged keeps nobody from the others.
    ///
    /// Without the lock, a file that somebody removes meanwhile is none.
    ///
    /// - Returns: The networks, and the problems.
    /// - Throws: `LinuxError` if the files cannot be listed.
    public func contents() throws -> NetworkStoreContents {
        var contents = NetworkStoreContents()
        for name in try fileNames() {
            do {
                contents.networks.append(try record(inFile: name))
            } catch let problem as NetworkProblem {
                contents.unreadable[network(ofFile: name)] = problem
            } catch let error as LinuxError {
                if error.errno == .noEntry { continue }
                contents.unreadable[network(ofFile: name)] = NetworkProblem(
                    "\(error)", advice: NetworkStore.adviceOnDamage)
            }
        }
        return contents
    }

    /// The network that a file of the directory describes.
    private func record(inFile name: String) throws -> NetworkRecord {
        let file = "\(path)/\(name)"
        let record = try NetworkStore.record(File.read(file), of: file)
        if record.name == network(ofFile: name) { return record }
        // It would be a second network by that name, and be left when that one is removed.
        throw NetworkProblem(
            "\(file) describes the network \(record.name), whose file is \(record.name).json",
            advice: "move it out of that directory")
    }

    /// The network whose file has a name.
    private func network(ofFile name: String) -> String { String(name.dropLast(".json".count)) }

    /// What to do about a file that is damaged. What the kernel has of a network nobody can take away without its file.
    private static let adviceOnDamage =
        "the kernel keeps what it has; mend the file, or move it away, restart the machine, and make the network anew"

    /// The names of the networks' files.
    func fileNames() throws(LinuxError) -> [String] {
        guard File.exists(path) else { return [] }
        return try Directory.names(in: path).filter { $0.hasSuffix(".json") }
    }

    /// The network that a file describes.
    ///
    /// - Parameters:
    ///   - bytes: What the file holds.
    ///   - file: Its path, for messages.
    /// - Returns: The network.
    /// - Throws: ``NetworkProblem`` if the file is damaged or of a later version.
    static func record(_ bytes: [UInt8], of file: String) throws(NetworkProblem) -> NetworkRecord {
        do throws(JSONFault) {
            let record = try NetworkRecord(json: bytes)
            if record.version <= NetworkRecord.currentVersion { return record }
        } catch {
            // What cannot be read may be what a later version has instead.
            let version = (try? NetworkRecord.version(json: bytes)) ?? NetworkRecord.currentVersion
            guard version > NetworkRecord.currentVersion else {
                throw NetworkProblem(
                    "\(file) is damaged: \(error.text(in: bytes))",
                    advice: adviceOnDamage)
            }
        }
        throw NetworkProblem(
            "\(file) was written by a later egret", advice: "use that one, or one that is newer still")
    }

    /// Keeps a network: the file is replaced whole. Its name is on the disk for certain after ``settle()``.
    ///
    /// Where there is no room for a second file, one that grows by next to nothing is written in its place: a full disk keeps
    /// nobody connected, whose going might make room.
    public func write(_ record: NetworkRecord) throws {
        let (path, bytes) = (file(record.name), record.json)
        do throws(LinuxError) {
            try File.replace(path, with: bytes, mode: 0o600, synchronized: true)
        } catch {
            guard error.errno == .noSpace, let former = try? File.status(path).size,
                Int64(bytes.count) <= former + NetworkStore.leastAddition
            else { throw error }
            try File.overwrite(path, with: bytes, padding: UInt8(ascii: "\n"))
        }
    }

    /// Whatever is added to a network takes more bytes than this; to note that something is going takes less.
    private static let leastAddition: Int64 = 32

    /// Forgets a network.
    public func remove(_ name: String) throws(LinuxError) {
        try File.remove(file(name))
    }

    /// Waits until what was kept and forgotten outlives a power cut. Stores that do not outlive a restart have nothing to wait for.
    ///
    /// - Throws: `LinuxError` if the disk does not take it.
    public func settle() throws(LinuxError) {
        guard outlivesRestart else { return }
        if File.exists(path) { try Directory.synchronize(path) }
        // The directory itself comes and goes with the first and last network.
        guard let end = path.lastIndex(of: "/") else { return }
        try Directory.synchronize(String(path[..<end]))
    }

    /// The machine's present start, as records note it.
    ///
    /// - Returns: What `/proc/sys/kernel/random/boot_id` says (random(4)).
    /// - Throws: `LinuxError` if it cannot be read.
    public static func currentBootID() throws(LinuxError) -> String {
        try File.readText("/proc/sys/kernel/random/boot_id").split(separator: "\n").first.map(String.init) ?? ""
    }

    // MARK: - Policies

    private var policyNote: String { path + "/policies" }

    /// Whether an agent holds policies for the networks' endpoints: none may come without it.
    public var hasPolicies: Bool { File.exists(policyNote) }

    /// Notes whether an agent holds policies for the networks' endpoints; this outlives the agent.
    ///
    /// - Throws: `LinuxError` if it cannot be noted.
    public func note(hasPolicies: Bool) throws(LinuxError) {
        if hasPolicies == self.hasPolicies { return }
        if hasPolicies {
            try Directory.make(path, mode: 0o700)
            try File.write(policyNote, [], mode: 0o600)
        } else {
            try File.remove(policyNote)
        }
    }

    /// Removes the directory if no network is in it. The caller holds the lock.
    public func removeIfEmpty() throws(LinuxError) {
        guard try Directory.names(in: path).allSatisfy({ $0 == "lock" }) else { return }
        try File.remove(path + "/lock")
        try? Directory.remove(path)
    }

    private static let prefix = "networks-"

    /// Removes what is kept for network namespaces that are gone, and the namespaces that Egret had made for their
    /// networks. The first namespace's is never among it.
    ///
    /// - Parameters:
    ///   - chosen: The directory that ``variable`` names, if it does.
    ///   - bootID: The machine's present start.
    ///   - reachable: The cookies of network namespaces that are there.
    /// - Returns: The directories that were removed.
    /// - Throws: `LinuxError` if a directory cannot be listed or removed.
    public static func collect(
        chosen: String? = nil,
        bootID: String,
        reachable: some Collection<UInt64>
    ) throws -> [String] {
        let root = chosen.flatMap { $0.isEmpty ? nil : $0 } ?? "/var/lib/egret"
        guard File.exists(root) else { return [] }
        let candidates = try Directory.names(in: root).filter { name in
            name.hasPrefix(prefix) && UInt64(name.dropFirst(prefix.count)) != nil
        }
        let reachable = Set(reachable)
        var removed: [String] = []
        for name in candidates.sorted() {
            guard let cookie = UInt64(name.dropFirst(prefix.count)), !reachable.contains(cookie) else { continue }
            let store = NetworkStore(path: "\(root)/\(name)")
            if try store.remove(bootID: bootID) { removed.append(store.path) }
        }
        return removed
    }

    private init(path: String) {
        self.path = path
        outlivesRestart = false
    }

    /// Removes everything, unless somebody works on it, or its namespace may be where nobody can see it from here.
    private func remove(bootID: String) throws -> Bool {
        guard let lock = try FileLock.tryAcquire(path + "/lock") else { return false }
        guard let networks = try? networks() else { return false }
        let isPresent = networks.allSatisfy { $0.bootID == bootID }
        if isPresent && !NetworkNamespace.seesAllProcesses { return false }
        for endpoint in networks.filter({ $0.bootID == bootID }).flatMap(\.endpoints) where endpoint.isCreated {
            guard let reference = NamespaceReference(endpoint.namespace), try endpoint.openNamespace() != nil else {
                continue
            }
            try NetworkNamespace.remove(at: reference.path)
        }
        for name in try dockerNetworks() { try forget(dockerNetwork: name) }
        for name in try Directory.names(in: path) { try File.remove("\(path)/\(name)") }
        try Directory.remove(path)
        withExtendedLifetime(lock) {}
        return true
    }

    private func file(_ name: String) -> String { "\(path)/\(name).json" }
}
