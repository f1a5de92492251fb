// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretLinux

/// Tells the service manager how the agent is: systemd's protocol (sd_notify(3)).
///
/// Nothing happens where no service manager has started the process.
public struct ServiceManager: Sendable {
    private let path: String?
    /// How often the manager wants to hear that the agent is alive; `nil` if it does not.
    public let watchdogInterval: Duration?

    /// Reads `NOTIFY_SOCKET`, and `WATCHDOG_USEC` if it is this process's (`WATCHDOG_PID`).
    public init(environment: Environment = .current, process: Int32 = CurrentProcess.identifier) {
        // A path, or with @ a name of the abstract namespace; other kinds of addresses are not for this machine.
        path = environment["NOTIFY_SOCKET"].flatMap { $0.hasPrefix("/") || $0.hasPrefix("@") ? $0 : nil }
        let isOurs = environment["WATCHDOG_PID"].map { $0 == "\(process)" } ?? true
        let time = environment["WATCHDOG_USEC"].flatMap { Int64($0) } ?? 0
        watchdogInterval = path != nil && isOurs && time > 0 ? .microseconds(time) : nil
    }

    /// Whether anybody listens.
    public var isPresent: Bool { path != nil }

    /// The agent enforces what it should: units that come after it may start.
    public func ready(_ status: String) { send("READY=1", status) }

    /// What the agent does, in a line: `systemctl status` shows it.
    public func status(_ status: String) { send(nil, status) }

    /// The agent ends.
    public func stopping() { send("STOPPING=1", nil) }

    /// The agent is alive.
    public func alive() { send("WATCHDOG=1", nil) }

    /// Has the manager keep a descriptor, and hand it to the unit's next process: `FileDescriptorStoreMax=` allows it to.
    ///
    /// - Parameters:
    ///   - descriptor: The descriptor.
    ///   - name: What the next process knows it by: letters, digits and dashes.
    public func store(_ descriptor: Descriptor, _ name: String) {
        // It stays there whatever happens to it (FDPOLL=0): the next process looks at it anyway.
        send("FDSTORE=1\nFDNAME=\(name)\nFDPOLL=0", nil, descriptor)
    }

    /// Has the manager keep the descriptors of a name no longer.
    public func removeStored(_ name: String) { send("FDSTOREREMOVE=1\nFDNAME=\(name)", nil) }

    /// Says that the agent is alive, twice as often as it must be heard, until the task is cancelled. Returns at once where
    /// nobody wants to hear it.
    ///
    /// - Parameter isWell: Asked each time. Nothing is said as long as the answer does not come, or is no: the manager then
    ///   starts the agent again.
    public func keepAlive(while isWell: @Sendable () async -> Bool) async {
        guard let watchdogInterval else { return }
        while !Task.isCancelled {
            if await isWell() { alive() }
            try? await Task.sleep(for: watchdogInterval / 2)
        }
    }

    /// A message is lost if nobody takes it: the agent works on.
    private func send(_ state: String?, _ status: String?, _ attached: Descriptor? = nil) {
        guard let path else { return }
        let line = status.map { "STATUS=" + $0.split(whereSeparator: \.isNewline).joined(separator: " ") }
        try? UnixSocket.send([state, line].compactMap(\.self).joined(separator: "\n"), to: path, with: attached)
    }
}
