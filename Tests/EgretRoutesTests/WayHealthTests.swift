// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy
import EgretRoutes
import Testing

@Suite("The health of a way")
struct WayHealthTests {
    private func health(failures: Int = 2, successes: Int = 3) throws -> WayHealth {
        let address = try #require(IPAddress("192.0.2.1"))
        return WayHealth(
            RouteCheck(
                probe: .icmp(address), interval: 1000, timeout: 500, failures: failures, successes: successes))
    }

    /// What becomes of the way after each of these outcomes.
    private func usability(_ outcomes: [Bool], _ health: WayHealth) -> [Bool] {
        var health = health
        return outcomes.map { outcome in
            health.note(answered: outcome)
            return health.isUsable
        }
    }

    @Test("two missed checks in a row give the way up, one does not")
    func failover() throws {
        #expect(usability([false, true, false, false], try health()) == [true, true, true, false])
    }

    @Test("it is taken up again after three answers in a row, and a miss begins the count anew")
    func hysteresis() throws {
        #expect(
            usability([false, false, true, true, false, true, true, true], try health())
                == [true, false, false, false, false, false, false, true])
    }

    @Test("a link that is down makes the way unusable at once, whatever the checks say, and up usable at once")
    func link() throws {
        var health = try health()
        health.note(isLinkUp: false)
        #expect(!health.isUsable)
        health.note(answered: true)
        #expect(!health.isUsable)
        health.note(isLinkUp: true)
        #expect(health.isUsable)
    }

    @Test("misses while the link is down count: it comes back only with answers")
    func linkAndMisses() throws {
        var health = try health(successes: 1)
        health.note(isLinkUp: false)
        health.note(answered: false)
        health.note(answered: false)
        health.note(isLinkUp: true)
        #expect(!health.isUsable)
        health.note(answered: true)
        #expect(health.isUsable)
    }
}
