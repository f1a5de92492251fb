// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretNames
import Synchronization

/// The proxies' sockets in the store of the service manager, which outlives the agent's process.
///
/// What is asked while no agent runs waits there: the next one gets them at its start, and answers. Without a service manager
/// nothing is kept, and the sockets end with the process.
final class KeptSockets: Sendable {
    /// Whose sockets they are.
    enum Owner: String, Sendable {
        /// The proxy for questions.
        case questions
        /// The proxy that checks connections.
        case checks

        /// What people call it.
        var words: String {
            switch self {
            case .questions: "the proxy for questions"
            case .checks: "the proxy for connections"
            }
        }

        /// What a socket of its is called in the store.
        func name(_ place: ListeningPlace) -> String { "\(rawValue)-\(place.rawValue)" }
    }

    private struct State {
        /// What a former agent has left, by name, as far as it is not known to be of no use.
        var inherited: [String: [Descriptor]] = [:]
        /// The names at which a proxy has looked.
        var seen: Swift.Set<String> = []
        /// What a proxy was given last, of names that the store has once.
        var given: [String: Descriptor] = [:]
        /// The names that the store has, and whether it has several of a name.
        var stored: [String: Bool] = [:]
    }

    private let manager: ServiceManager
    private let log: @Sendable (String) -> Void
    private let state: Mutex<State>

    /// Takes what the service manager has handed to this process.
    ///
    /// - Parameters:
    ///   - manager: The service manager.
    ///   - handed: What it has handed over.
    ///   - log: Hears of what is not used.
    init(_ manager: ServiceManager, handed: [HandedDescriptor], log: @escaping @Sendable (String) -> Void) {
        self.manager = manager
        self.log = log
        var found = State()
        for one in handed {
            found.inherited[one.name, default: []].append(one.descriptor)
            found.stored[one.name] = found.stored[one.name] != nil
        }
        state = Mutex(found)
    }

    /// Gives a proxy the sockets of a former agent that fit. They stay here until ``keep(_:)``: where the proxies could not all be
    /// started, the next attempt gets them again.
    ///
    /// - Parameters:
    ///   - owner: The proxy.
    ///   - port: The port that the former agent has noted; `nil` if there is no note: then nothing fits.
    /// - Returns: The sockets.
    func take(_ owner: Owner, at port: UInt16?) -> [ListeningPlace: Descriptor] {
        var fitting: [ListeningPlace: Descriptor] = [:]
        for place in ListeningPlace.allCases {
            let name = owner.name(place)
            let found = state.withLock { state in
                state.seen.insert(name)
                return state.inherited[name] ?? []
            }
            for socket in found where fitting[place] == nil {
                guard let port else {
                    log("names: the socket \(name) of a former agent is not used: no port is noted")
                    continue
                }
                if let mismatch = place.mismatch(of: socket, port: port, isTransparent: true) {
                    log("names: the socket \(name) of a former agent is not used: \(mismatch)")
                    continue
                }
                fitting[place] = socket
            }
            let chosen = fitting[place]
            state.withLock { state in
                state.inherited[name] = chosen.map { [$0] }
                // Of several of a name the store keeps none: what is used is put there anew.
                state.given[name] = state.stored[name] == false ? chosen : nil
            }
        }
        return fitting
    }

    /// Has the store keep what the proxies listen at, and nothing else.
    func keep(_ all: [(owner: Owner, sockets: [ListeningPlace: Descriptor])]) {
        var wanted: [(name: String, socket: Descriptor)] = []
        for (owner, sockets) in all {
            for place in ListeningPlace.allCases {
                if let socket = sockets[place] { wanted.append((owner.name(place), socket)) }
            }
        }
        // Not under the lock: the manager may be slow.
        let former = state.withLock { state in
            defer { state = State(stored: Dictionary(wanted.map { ($0.name, false) }, uniquingKeysWith: { $1 })) }
            return state
        }
        for name in former.inherited.keys.sorted() where !former.seen.contains(name) {
            log("names: what the service manager has kept as \(name) is not needed any more")
        }
        let known = Swift.Set(wanted.filter { former.given[$0.name] === $0.socket }.map { $0.name })
        for name in former.stored.keys.sorted() where !known.contains(name) { manager.removeStored(name) }
        for (name, socket) in wanted where !known.contains(name) { manager.store(socket, name) }
        if !known.isEmpty { log("names: goes on with \(known.count) sockets of a former agent") }
    }

    /// Has the store keep nothing: nobody listens any more.
    func forget() { keep([]) }
}
