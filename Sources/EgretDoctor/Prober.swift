// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux
import EgretNetlinkWire

/// Sends one probe and waits for what comes of it.
struct Prober {
    private let probe: Probe
    private let socket: ProbeSocket
    private let scope: UInt32
    private let patience: Duration
    private let echo: Echo

    init(_ probe: Probe, _ socket: ProbeSocket, scope: UInt32, patience: Duration) {
        self.probe = probe
        self.socket = socket
        self.scope = scope
        self.patience = patience
        echo = Echo(family: probe.destination.family, identifier: UInt16(truncatingIfNeeded: CurrentProcess.identifier))
    }

    /// Sends the probe and waits.
    ///
    /// - Parameters:
    ///   - traces: Descriptors that wake the wait.
    ///   - isLost: Takes in the traces, and says whether the packet is known to be lost.
    /// - Returns: What came of it.
    /// - Throws: An error if waiting fails.
    func run(watching traces: [Descriptor], _ isLost: () throws -> Bool) throws -> ProbeOutcome {
        let clock = ContinuousClock()
        let start = clock.now
        var end = start + patience
        var wasLost = false
        if let failure = send() { return failure }
        while true {
            if let outcome = outcome(clock.now - start) { return outcome }
            if !wasLost, try isLost() {
                // A rule that refuses says so at once.
                wasLost = true
                end = min(end, clock.now + .milliseconds(30))
            }
            let left = end - clock.now
            guard left > .zero else { return .silent(after: clock.now - start) }
            var poll = Poll()
            poll.add(socket.descriptor, for: probe.isConnection ? .writable : .readable)
            if !wasLost { for descriptor in traces { poll.add(descriptor) } }
            _ = try poll.wait(timeout: left)
        }
    }

    private func send() -> ProbeOutcome? {
        do throws(LinuxError) {
            try socket.connect(to: probe.destination.networkBytes, port: probe.port ?? 0, scope: scope)
            switch probe.service {
            case .tcp: break
            case .udp(53): try socket.send(Prober.rootServers)
            case .udp: try socket.send([0])
            case .echo: try socket.send(echo.request(1, length: 84))
            }
            return nil
        } catch {
            return failure(error.errno)
        }
    }

    /// What has come; `nil` if nothing has.
    private func outcome(_ time: Duration) -> ProbeOutcome? {
        switch probe.service {
        case .tcp:
            if let errno = socket.pendingError() { return failure(errno, time) }
            var poll = Poll()
            poll.add(socket.descriptor, for: .writable)
            guard let ready = try? poll.wait(timeout: .zero), ready[socket.descriptor].contains(.writable) else {
                return nil
            }
            if let errno = socket.pendingError() { return failure(errno, time) }
            return .answered(after: time)
        case .udp, .echo:
            do throws(LinuxError) {
                while let packet = try socket.receive() {
                    if probe.service != .echo || echo.answered(by: packet) != nil { return .answered(after: time) }
                }
                return nil
            } catch {
                return failure(error.errno, time)
            }
        }
    }

    private func failure(_ errno: Errno, _ time: Duration = .zero) -> ProbeOutcome {
        var reporter: IPAddress?
        while let report = socket.takeReport() {
            if let address = IPAddress(networkOrder: report.reporter) { reporter = address }
        }
        if errno == .connectionRefused, reporter == nil || reporter == probe.destination {
            return .refused(after: time)
        }
        return .failed(errno, reporter: reporter)
    }

    /// A question of DNS (RFC 1035) that every server has an answer to: the name servers of the root.
    private static let rootServers: [UInt8] = [0x45, 0x67, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1]
}

extension Probe {
    fileprivate var isConnection: Bool {
        if case .tcp = service { return true }
        return false
    }
}

extension IPAddress {
    /// The address as packets have it: 4 or 16 bytes.
    var networkBytes: [UInt8] {
        let count = family.bitWidth / 8
        return (0..<count).map { UInt8(truncatingIfNeeded: rawValue >> UInt128(8 * (count - 1 - $0))) }
    }

    /// The address in 4 or 16 bytes; `nil` for any other number.
    init?(networkOrder bytes: [UInt8]) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        let value = bytes.reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
        self.init(family: bytes.count == 4 ? .ipv4 : .ipv6, rawValue: value)
    }
}
