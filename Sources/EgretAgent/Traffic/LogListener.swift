// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretCompiler
import EgretFlows
import EgretLinux
import NIOPosix

/// Listens on a thread of its own to what the kernel logs of endpoints.
///
/// The kernel does without a listener: what nobody hears is in the counters all the same.
final class LogListener: @unchecked Sendable {
    // The thread of `run` uses it; others only ring the bell.
    private let watch: EndpointWatch
    private let bell: (read: Descriptor, write: Descriptor)
    private let thread = NIOThreadPool(numberOfThreads: 1)

    /// Begins to listen. The thread that calls must be in the host's network namespace.
    ///
    /// - Throws: An error if the kernel does not let it: another process may listen already.
    init(book: TrafficBook) throws {
        watch = try EndpointWatch(logGroup: KernelEnforcement.logGroup, ledLabel: HostNames.label)
        bell = try Descriptor.pipe()
        thread.start()
        thread.submit { [self] state in
            if case .active = state { run(book) }
        }
    }

    private func run(_ book: TrafficBook) {
        var all = Poll()
        for descriptor in watch.descriptors { all.add(descriptor) }
        all.add(bell.read)
        var pause = Poll()
        pause.add(bell.read)
        while true {
            guard let ready = try? all.wait(), ready[bell.read].isEmpty else { return }
            guard let events = try? watch.pending() else {
                guard let rest = try? pause.wait(timeout: .seconds(1)), rest[bell.read].isEmpty else { return }
                continue
            }
            book.note(events, at: WallTime.now.seconds)
            if events.mayHaveMore { continue }
            // A flood is heard in portions, so that it costs by its records and not by as many awakenings.
            guard let rest = try? pause.wait(timeout: .milliseconds(20)), rest[bell.read].isEmpty else { return }
        }
    }

    /// Ends the thread.
    func stop() async {
        try? bell.write.write([1])
        try? await thread.shutdownGracefully()
    }
}
