// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Synchronization

extension NameRegistry {
    /// Commits what the answers of a round have given, of each endpoint unless its rules are others by now. The kernel is given all
    /// of it at once, as every transaction has its price; one endpoint's fault is no other's.
    ///
    /// - Parameters:
    ///   - gifts: What they have given, by whose they are.
    ///   - now: The time in milliseconds.
    ///   - hooks: Have the kernel take it, and whoever counts or keeps notes.
    /// - Returns: Whose answers must not go out, and why.
    func commit(
        _ gifts: [AnswerLot: AnswerGifts], now: UInt64, by hooks: NameProxy.Hooks
    ) -> [AnswerLot: Withheld] {
        gate.withLock { _ in
            var withheld: [AnswerLot: Withheld] = [:]
            var prepared: [(lot: AnswerLot, gifts: AnswerGifts)] = []
            for (lot, gifts) in gifts {
                guard update(lot.endpoint, { $0.generation == lot.generation }) == true else {
                    withheld[lot] = .outdated
                    continue
                }
                do {
                    // First: what is open is counted, also by who knows the address without the answer.
                    if !gifts.notes.isEmpty { try hooks.prepare(lot.endpoint, gifts.notes) }
                    prepared.append((lot, gifts))
                } catch {
                    withheld[lot] = withhold(gifts, of: lot, for: error, now: now)
                }
            }
            let opening = prepared.filter { !$0.gifts.grants.isEmpty }
                .map { NameLot(endpoint: $0.lot.endpoint, grants: $0.gifts.grants) }
            let refusals = opening.isEmpty ? [:] : hooks.commit(opening)
            for (lot, gifts) in prepared {
                do {
                    if let refusal = refusals[lot.endpoint] { throw refusal }
                    // The kernel has it from here on, whether it can be noted or not.
                    _ = update(lot.endpoint) { $0.table.committed(gifts.grants, now: now) }
                    if !gifts.notes.isEmpty { try hooks.note(lot.endpoint, gifts.notes) }
                    _ = update(lot.endpoint) { $0.table.noted(gifts.notes) }
                } catch {
                    withheld[lot] = withhold(gifts, of: lot, for: error, now: now)
                }
            }
            return withheld
        }
    }

    private func withhold(
        _ gifts: AnswerGifts, of lot: AnswerLot, for error: any Error, now: UInt64
    ) -> Withheld {
        _ = update(lot.endpoint) { $0.table.withheld(gifts.notes, now: now) }
        return .failed("\(error)")
    }
}

/// Whose answers are committed together: those of one endpoint, judged by the same rules.
struct AnswerLot: Hashable, Sendable {
    var endpoint: Int
    /// The generation of the rules.
    var generation: UInt64
}

/// What answers of one round give an endpoint.
struct AnswerGifts: Sendable {
    /// What the kernel must have.
    var grants: [NameGrant] = []
    /// What whoever keeps notes must know.
    var notes: Swift.Set<NameHolding> = []

    /// Whether there is nothing to be done before the answers go out.
    var isEmpty: Bool { grants.isEmpty && notes.isEmpty }

    /// Adds what another answer gives.
    mutating func add(_ other: AnswerGifts) {
        grants += other.grants
        notes.formUnion(other.notes)
    }
}

/// Why answers do not go out.
enum Withheld: Sendable {
    /// The kernel, or whoever counts or keeps notes, did not take what they give.
    case failed(String)
    /// The rules have changed since they were judged: the client may ask again, under the new ones.
    case outdated
}

/// What an endpoint's answers give it, for the kernel.
public struct NameLot: Sendable {
    /// The endpoint.
    public var endpoint: Int
    /// What it is given.
    public var grants: [NameGrant]

    /// Creates a lot.
    public init(endpoint: Int, grants: [NameGrant]) {
        self.endpoint = endpoint
        self.grants = grants
    }
}
