// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretLinux

/// Networks that were made for Docker: Docker has the network, and Egret its bridge's name, by which nothing passes the
/// bridge but what is a known container's.
extension NetworkStore {
    private var dockerDirectory: String { path + "/docker" }

    /// The bridges of networks that were made for Docker, which are called as their networks are.
    ///
    /// - Throws: `LinuxError` if they cannot be listed.
    public func dockerNetworks() throws(LinuxError) -> [String] {
        guard File.exists(dockerDirectory) else { return [] }
        return try Directory.names(in: dockerDirectory).sorted()
    }

    /// What networks were made for Docker, as they were asked for: Docker knows who is on them.
    ///
    /// - Throws: `LinuxError` if they cannot be read.
    public func dockerRecords() throws(LinuxError) -> [NetworkRecord] {
        try dockerNetworks().map { name throws(LinuxError) in
            let bytes = try File.read("\(dockerDirectory)/\(name)")
            // The name alone is what keeps the bridge closed: whatever else the file says is for people.
            return (try? NetworkRecord(json: bytes))
                ?? NetworkRecord(NetworkSpec(name: name, subnets: []), bootID: "")
        }
    }

    /// Notes a network that is about to be made for Docker. The caller holds the lock.
    ///
    /// - Parameter spec: What it is to be; its name is the bridge's.
    /// - Throws: An error if it cannot be noted.
    public func note(dockerNetwork spec: NetworkSpec) throws {
        let bytes = NetworkRecord(spec, bootID: "").json
        try Directory.make(dockerDirectory, mode: 0o700)
        try File.replace("\(dockerDirectory)/\(spec.name)", with: bytes, mode: 0o600, synchronized: true)
    }

    /// Forgets a network that was made for Docker. The caller holds the lock.
    ///
    /// - Parameter name: The network's.
    /// - Throws: `LinuxError` if it cannot be forgotten.
    public func forget(dockerNetwork name: String) throws(LinuxError) {
        try File.remove("\(dockerDirectory)/\(name)")
        if try dockerNetworks().isEmpty { try? Directory.remove(dockerDirectory) }
    }
}
