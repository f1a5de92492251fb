// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Runs tasks on an event loop's thread: an answer does not wait for a thread of the process's pool, which may all be busy.
final class EventLoopTaskExecutor: TaskExecutor {
    private let loop: any EventLoop

    init(_ loop: any EventLoop) {
        self.loop = loop
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
