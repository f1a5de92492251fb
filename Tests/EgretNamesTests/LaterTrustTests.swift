// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import Synchronization
import Testing

@testable import EgretNames

/// Whom to trust is found out when the first server over TLS is asked.
@Suite("Trust that is needed later")
struct LaterTrustTests {
    private struct Unreadable: Error {}

    private final class Calls: Sendable {
        let count = Mutex(0)
        let fail = Mutex(true)
    }

    private func loop(_ laterTrust: (@Sendable () throws -> ServerTrust)?) throws -> ProxyLoop {
        try ProxyLoop(
            registry: NameRegistry(), hooks: NameProxy.Hooks(commit: { _ in [:] }), loop: EventLoop(), datagrams: [],
            listeners: [], port: 1, trust: nil, laterTrust: laterTrust, silentServers: SilentServers())
    }

    @Test("it is asked for once, and after a failure once a minute")
    func later() throws {
        let calls = Calls()
        let loop = try loop {
            calls.count.withLock { $0 += 1 }
            if calls.fail.withLock({ $0 }) { throw Unreadable() }
            return try ServerTrust()
        }
        defer { loop.encrypted?.stop() }
        var asked: Int { calls.count.withLock { $0 } }
        #expect(asked == 0)
        #expect(loop.prepareEncrypted()?.contains("Unreadable") == true)
        #expect(loop.prepareEncrypted() != nil && asked == 1)
        loop.now += 60_000
        calls.fail.withLock { $0 = false }
        #expect(loop.prepareEncrypted() == nil && loop.encrypted != nil && asked == 2)
        #expect(loop.prepareEncrypted() == nil && asked == 2)
    }

    @Test("without it nobody is asked over TLS")
    func never() throws {
        let loop = try loop(nil)
        #expect(loop.prepareEncrypted() != nil && loop.encrypted == nil)
    }
}
