// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux

/// Finds out whether packets of full size pass, by echoes that may not be cut.
struct SizeProber {
    private let destination: IPAddress
    private let scope: UInt32
    private let echo: Echo

    init(_ destination: IPAddress, scope: UInt32) {
        self.destination = destination
        self.scope = scope
        echo = Echo(
            family: destination.family, identifier: UInt16(truncatingIfNeeded: CurrentProcess.identifier) ^ 0x8000)
    }

    /// Sends a small and a full packet, and if the full one vanishes searches for what passes.
    ///
    /// - Parameters:
    ///   - view: The namespace to send from.
    ///   - mtu: The size of a full packet, in bytes.
    /// - Returns: What passes.
    /// - Throws: An error if no socket can be had.
    func run(in view: NamespaceView, mtu: UInt32) throws -> SizeOutcome {
        let full = Int(min(mtu, 65_000))
        let small = min(128, full)
        let socket = try view.visit { try ProbeSocket(.echo, isIPv6: destination.family == .ipv6) }
        try socket.forbidFragments()
        try socket.connect(to: destination.networkBytes, port: 0, scope: scope)
        let first = try burst([small, full], on: socket, patience: .milliseconds(300))
        if let report = first.report { return report }
        guard first.passing.contains(small) else { return .notKnown }
        if first.passing.contains(full) { return .passes(mtu) }
        // Once more: a single packet may be lost.
        var (low, high) = (small, full)
        let second = try burst([full], on: socket, patience: .milliseconds(200))
        if let report = second.report { return report }
        if second.passing.contains(full) { return .passes(mtu) }
        while high - low > 1 {
            let sizes = SizeProber.between(low, high)
            let answer = try burst(sizes, on: socket, patience: .milliseconds(60))
            low = max(low, answer.passing.max() ?? low)
            high = sizes.filter { $0 > low }.min() ?? high
        }
        return .vanish(above: UInt32(low), of: mtu)
    }

    /// At most sixteen sizes that divide what is between two.
    private static func between(_ low: Int, _ high: Int) -> [Int] {
        let step = max(1, (high - low) / 16)
        return Array(stride(from: low + step, to: high, by: step))
    }

    private func burst(_ sizes: [Int], on socket: ProbeSocket, patience: Duration) throws
        -> (passing: Set<Int>, report: SizeOutcome?)
    {
        let clock = ContinuousClock()
        let end = clock.now + patience
        var passing: Set<Int> = []
        for size in sizes {
            do throws(LinuxError) {
                try socket.send(echo.request(UInt16(clamping: size), length: size))
            } catch {
                if let report = report(socket, error.errno) { return (passing, report) }
            }
        }
        while passing.count < sizes.count {
            let left = end - clock.now
            guard left > .zero else { break }
            var poll = Poll()
            poll.add(socket.descriptor)
            _ = try poll.wait(timeout: left)
            do throws(LinuxError) {
                while let packet = try socket.receive() {
                    if let size = echo.answered(by: packet), sizes.contains(Int(size)) { passing.insert(Int(size)) }
                }
            } catch {
                if let report = report(socket, error.errno) { return (passing, report) }
            }
        }
        return (passing, nil)
    }

    /// What a router says of a packet that is too long for it.
    private func report(_ socket: ProbeSocket, _ errno: Errno) -> SizeOutcome? {
        var found: SizeOutcome?
        while let report = socket.takeReport() {
            guard report.errno == .messageTooLong, report.information > 0 else { continue }
            found = .reported(mtu: report.information, reporter: IPAddress(networkOrder: report.reporter))
        }
        return found
    }
}
