// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretNetlink
import EgretNetlinkWire

/// The place of the queue that is within a bucket.
struct LeafPlace {
    /// The interface.
    let link: UInt32
    /// The number of the bucket.
    let bucket: UInt32
    /// The number of the queue.
    let handle: UInt32

    /// The place within the bucket at an interface's root.
    init(_ link: UInt32, bucket: UInt32) {
        self.init(link, bucket, handle: 0xe9e9_0000)
    }

    /// The place within the bucket of a class.
    ///
    /// Of two classes whose numbers differ in the last bit, packets wait in one: the other's number is free.
    init(_ link: UInt32, class number: UInt16) {
        self.init(link, UInt32(number) << 16, handle: UInt32(number ^ 1) << 16)
    }

    private init(_ link: UInt32, _ bucket: UInt32, handle: UInt32) {
        self.link = link
        self.bucket = bucket
        self.handle = handle
    }

    /// The bucket's only class.
    var parent: UInt32 { bucket | 1 }
}

extension LinkShaper {
    /// Gives a bucket a fair queue in place of its plain one, if the kernel has them, or changes the one that it has.
    ///
    /// A bucket that changes keeps the queue within it (`tbf_change`, `fifo_set_limit`). In place of another what waits is lost.
    ///
    /// - Parameters:
    ///   - queue: What it is to be like; `nil` leaves what is there.
    ///   - former: What is known to be there; `nil` for none, or another's.
    ///   - place: The place.
    /// - Throws: `NetlinkError` naming the step, but not where the kernel lacks the kind.
    func setLeaf(_ queue: FairQueue?, from former: FairQueue?, at place: LeafPlace) throws(NetlinkError) {
        guard let queue, queue != former, !kernel.lacksFairQueues else { return }
        if let former {
            if former.flows == queue.flows, try change(former, to: queue, at: place) { return }
            // How many flows it has is as it was made; or it is none by now.
            try removeLeaf(at: place)
        }
        do throws(NetlinkError) {
            try make(queue, at: place)
        } catch {
            if error.code == .exists {
                if try change(nil, to: queue, at: place) { return }
                try removeLeaf(at: place)
                return try make(queue, at: place)
            }
            guard error.errno == .noEntry || error.code == .unsupported, try isThere(place) else { throw error }
            kernel.noteNoFairQueues()
        }
    }

    private func make(_ queue: FairQueue, at place: LeafPlace) throws(NetlinkError) {
        try connection.request("make a fair queue of link \(place.link)") { sequence throws(WireError) in
            try RouteWire.createFairQueue(
                queue, link: place.link, handle: place.handle, parent: place.parent, sequence: sequence)
        }
    }

    /// Changes a queue in place.
    ///
    /// The kernel drops what waits beyond lower bounds by taking it out as if it were sent. Before the summer of 2025 it may crash where it finds
    /// nothing to take, as when the last has been dropped for having waited too long (`fq_codel_change`): so nothing may be
    /// late meanwhile.
    ///
    /// - Returns: `false` if there is no such queue.
    private func change(_ former: FairQueue?, to queue: FairQueue, at place: LeafPlace) throws(NetlinkError) -> Bool {
        let isLower = queue.memoryBytes < former?.memoryBytes ?? .max || queue.packets < former?.packets ?? .max
        do throws(NetlinkError) {
            for step in isLower ? [queue.patient, queue] : [queue] {
                try connection.request("change the fair queue of link \(place.link)") { sequence throws(WireError) in
                    try RouteWire.changeFairQueue(
                        step, link: place.link, handle: place.handle, parent: place.parent, sequence: sequence)
                }
            }
            return true
        } catch {
            if error.errno == .noEntry || error.errno == .invalid { return false }
            throw error
        }
    }

    private func removeLeaf(at place: LeafPlace) throws(NetlinkError) {
        do throws(NetlinkError) {
            try connection.request("remove the queue of link \(place.link)") { sequence throws(WireError) in
                try RouteWire.deleteQueueingDiscipline(
                    link: place.link, handle: place.handle, parent: place.parent, sequence: sequence)
            }
        } catch {
            // There is none, or one under another number, whose place the new one takes.
            if error.errno != .noEntry && error.errno != .invalid { throw error }
        }
    }

    /// Whether the bucket is there: where it is not, the kernel answers as it does for a kind that it does not know.
    private func isThere(_ place: LeafPlace) throws(NetlinkError) -> Bool {
        if try records()[place.link]?.record.handle == place.bucket { return true }
        return try classes(of: place.link).contains { $0.queue == place.bucket }
    }
}
