// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretLinux
import EgretNames
import Synchronization

/// By which way what a run's proxies send leaves: they ask on their threads what the keeper of routes finds out on its own.
final class RunDepartures: Sendable {
    private let slot: Int
    private let hasRoutes: Bool
    private let chooser = Mutex<RouteChooser?>(nil)

    /// Knows nothing of ways yet: until it does, nothing leaves, if there are routes.
    init(slot: Int, hasRoutes: Bool) {
        self.slot = slot
        self.hasRoutes = hasRoutes
    }

    /// Chooses as the rules choose now.
    func know(_ next: RouteChooser) { chooser.withLock { $0 = next } }

    /// By which way a connection to a server leaves, or a question to it.
    func departure(to server: SocketAddress, over transport: IPProtocol) -> Departure {
        if !hasRoutes { return .main }
        guard let chooser = self.chooser.withLock({ $0 }) else { return .nowhere }
        return switch chooser.choice(to: server.address, transport, port: server.port) {
        case .main: .main
        case .way(let number): .marked(RouteMark.sent(way: number, slot: slot))
        case .dropped: .nowhere
        }
    }
}
