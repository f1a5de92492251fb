// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretNetlink
import EgretNetlinkWire
import EgretNftables
import Synchronization
import Testing

/// A kernel's end of a socket that answers each request as a script says.
private final class ScriptedSocket: DatagramSocket {
    /// What a script gives for a request: datagrams, or an error number.
    enum Answer {
        case datagram([UInt8])
        case failure(Errno)
    }

    let descriptor = Descriptor.standardInput
    private(set) var sent: [[UInt8]] = []
    private(set) var modeChanges = 0
    private var queue: [Answer] = []
    private var script: [([UInt8]) -> [Answer]]

    init(_ script: [([UInt8]) -> [Answer]]) {
        self.script = script
    }

    func send(_ bytes: [UInt8]) throws(LinuxError) {
        sent.append(bytes)
        if !script.isEmpty { queue += script.removeFirst()(bytes) }
    }

    func receive() throws(LinuxError) -> [UInt8] {
        guard !queue.isEmpty else { throw LinuxError(.again, operation: "receive") }
        switch queue.removeFirst() {
        case .datagram(let bytes): return bytes
        case .failure(let errno): throw LinuxError(errno, operation: "receive")
        }
    }

    func setNonBlocking(_ isOn: Bool) { modeChanges += 1 }
}

@Suite("netlink connection")
struct NetlinkConnectionTests {
    private func message(_ type: UInt16, _ flags: UInt16 = 0, _ sequence: UInt32, _ payload: [UInt8] = []) -> [UInt8] {
        var writer = NetlinkWriter()
        try? writer.message(type: type, flags: flags, sequence: sequence) { (writer) in writer.append(payload) }
        return writer.bytes
    }

    private func answer(_ number: Int32, _ sequence: UInt32, text: String? = nil) -> [UInt8] {
        var writer = NetlinkWriter()
        try? writer.message(type: 2, flags: text == nil ? 0x100 : 0x300, sequence: sequence) {
            (writer) throws(WireError) in
            writer.appendHost(-number)
            writer.append([UInt8](repeating: 0, count: 16))
            if let text { try writer.putString(1, text) }
        }
        return writer.bytes
    }

    private func done(_ sequence: UInt32, _ number: Int32 = 0) -> [UInt8] {
        var writer = NetlinkWriter()
        try? writer.message(type: 3, flags: 2, sequence: sequence) { (writer) in writer.appendHost(-number) }
        return writer.bytes
    }

    private func sequence(of bytes: [UInt8]) -> UInt32 {
        (try? NetlinkMessage.parse(bytes))?.first?.sequence ?? 0
    }

    private func links(_ sequence: UInt32) throws(WireError) -> [UInt8] {
        try RouteWire.linksRequest(sequence: sequence)
    }

    private func setUp(_ sequence: UInt32) throws(WireError) -> [UInt8] {
        try RouteWire.setLink(3, up: true, sequence: sequence)
    }

    @Test("requests get rising sequence numbers")
    func sequences() throws {
        let socket = ScriptedSocket(Array(repeating: { [self] in [.datagram(answer(0, sequence(of: $0)))] }, count: 2))
        let connection = NetlinkConnection(socket, firstSequence: 70)
        try connection.request("set link 3 up", setUp)
        try connection.request("set link 3 up", setUp)
        #expect(socket.sent.map(sequence(of:)) == [70, 71])
    }

    @Test("answers to earlier requests are dropped")
    func stale() throws {
        let socket = ScriptedSocket([
            { [self] in
                [.datagram(answer(17, 1)), .datagram(message(16, 0, 2)), .datagram(answer(0, sequence(of: $0)))]
            }
        ])
        try NetlinkConnection(socket, firstSequence: 9).request("set link 3 up", setUp)
    }

    @Test("however many notifications wait, the socket is told once not to wait for any; a loss is told")
    func events() throws {
        let socket = ScriptedSocket([
            { [self] in
                let event = ScriptedSocket.Answer.datagram(message(16, 0, 0, [1, 0, 0, 0]))
                return [.datagram(answer(0, sequence(of: $0))), event, event, .failure(.overrun), event, event, event]
            }
        ])
        let connection = NetlinkConnection(socket)
        try connection.request("set link 3 up", setUp)
        let found = try connection.pendingEvents()
        #expect(found.messages.count == 5 && found.someWereLost && socket.modeChanges == 1)
        #expect(try connection.pendingEvents().messages.isEmpty)
    }

    @Test("an error says what was tried and what came back, by name and in the kernel's words")
    func error() throws {
        let socket = ScriptedSocket([{ [self] in [.datagram(answer(16, sequence(of: $0), text: "in use"))] }])
        let error = #expect(throws: NetlinkError.self) {
            try NetlinkConnection(socket).request("delete link eg0") { (sequence) throws(WireError) in
                try RouteWire.deleteLink(3, sequence: sequence)
            }
        }
        #expect(error?.code == .busy && error?.errno == .busy && error?.kernelMessage == "in use")
        #expect(error?.description.hasPrefix("cannot delete link eg0: EBUSY") == true)
    }

    @Test("a request that cannot be built is malformed and never sent")
    func malformed() throws {
        let socket = ScriptedSocket([])
        let error = #expect(throws: NetlinkError.self) {
            try NetlinkConnection(socket).request("delete flows") { (sequence) throws(WireError) in
                try ConntrackWire.deleteRequest(mark: .init(value: 0, mask: 0), sequence: sequence)
            }
        }
        #expect(error?.code == .malformed && socket.sent.isEmpty)
    }

    @Test("asking for one object gives it, not its acknowledgement")
    func get() throws {
        let socket = ScriptedSocket([
            { [self] in [.datagram(message(16, 0, sequence(of: $0), [1]) + answer(0, sequence(of: $0)))] },
            { [self] in [.datagram(answer(0, sequence(of: $0)))] },
        ])
        let connection = NetlinkConnection(socket)
        #expect(try connection.get("find link", links).type == 16)
        let error = #expect(throws: NetlinkError.self) { _ = try connection.get("find link", links) }
        #expect(error?.code == .notFound)
    }

    @Test("a dump gathers its parts, without its end")
    func dump() throws {
        let socket = ScriptedSocket([
            { [self] in
                let number = sequence(of: $0)
                return [
                    .datagram(message(16, 2, number) + message(16, 2, number)), .datagram(message(16, 2, number)),
                    .datagram(done(number)),
                ]
            }
        ])
        #expect(try NetlinkConnection(socket).dump("list links", links).map(\.type) == [16, 16, 16])
    }

    @Test("an interrupted dump is begun again, and given up at last", arguments: [false, true])
    func interrupted(atTheEnd: Bool) throws {
        let bad: ([UInt8]) -> [ScriptedSocket.Answer] = { [self] in
            let number = sequence(of: $0)
            let end = message(3, atTheEnd ? 0x12 : 2, number, [0, 0, 0, 0])
            return [.datagram(message(16, atTheEnd ? 2 : 0x12, number)), .datagram(message(16, 2, number) + end)]
        }
        let good: ([UInt8]) -> [ScriptedSocket.Answer] = { [self] in
            [.datagram(message(16, 2, sequence(of: $0)) + done(sequence(of: $0)))]
        }
        let connection = NetlinkConnection(ScriptedSocket([bad, bad, good]))
        #expect(try connection.dump("list links", links).count == 1)
        let hopeless = NetlinkConnection(ScriptedSocket(Array(repeating: bad, count: 50)))
        let error = #expect(throws: NetlinkError.self) { _ = try hopeless.dump("list links", links) }
        #expect(error?.code == .interruptedDump)
    }

    @Test("a dump that fails throws, with an error or at its end")
    func failedDump() throws {
        let connection = NetlinkConnection(
            ScriptedSocket([
                { [self] in [.datagram(answer(2, sequence(of: $0)))] },
                { [self] in [.datagram(done(sequence(of: $0), 1))] },
            ])
        )
        for code in [NetlinkError.Code.notFound, .notPermitted] {
            let error = #expect(throws: NetlinkError.self) { _ = try connection.dump("list links", links) }
            #expect(error?.code == code)
        }
    }

    @Test("lost answers are an overrun, and nonsense is malformed")
    func loss() throws {
        let cases: [([ScriptedSocket.Answer], NetlinkError.Code)] = [
            ([.failure(.overrun)], .overrun), ([.datagram([1, 2, 3])], .malformed),
        ]
        for (answers, code) in cases {
            let connection = NetlinkConnection(ScriptedSocket([{ _ in answers }]))
            let error = #expect(throws: NetlinkError.self) { try connection.request("set link 3 up", setUp) }
            #expect(error?.code == code)
        }
    }

    private var transaction: Transaction {
        Transaction(
            [.addTable, .addChain(Chain("a")), .addRule(Rule(in: "b", [.verdict(.drop)])), .deleteSet("s")]
                .map { Transaction.Step($0, in: Fixture.table) }
        )
    }

    @Test("a transaction is committed when its last message is acknowledged and nothing was refused")
    func commit() throws {
        let socket = ScriptedSocket(
            Array(repeating: { [self] in [.datagram(answer(0, sequence(of: $0) + 4))] }, count: 2))
        let connection = NetlinkConnection(socket, firstSequence: 10)
        try connection.commit(transaction, "apply")
        try connection.commit(Transaction(), "apply")
        #expect(socket.sent.count == 1)
        try connection.commit(transaction, "apply")
        #expect((socket.sent.last.map(sequence(of:)) ?? 0) > 15)
    }

    @Test("where somebody counts them, only those count that give the ruleset another number")
    func counting() throws {
        func generation(_ sequence: UInt32) -> [UInt8] {
            // NFT_MSG_NEWGEN with NFTA_GEN_ID.
            message(0x0a0f, 0, sequence, [0, 0, 0, 0, 8, 0, 1, 0, 0, 0, 0, 9])
        }
        let socket = ScriptedSocket([
            { [self] in [.datagram(answer(0, sequence(of: $0) + 4))] },
            { [self] in [.datagram(answer(0, sequence(of: $0) + 4))] },
            { [self] in
                let first = sequence(of: $0)
                return [.datagram(generation(first + 1)), .datagram(answer(0, first + 4))]
            },
            { [self] in
                let first = sequence(of: $0)
                return [.datagram(generation(first - 1)), .datagram(answer(0, first + 4))]
            },
        ])
        let connection = NetlinkConnection(socket, firstSequence: 10)
        try connection.commit(transaction, "apply")
        #expect(connection.commits == 1)
        let told = Mutex<[Int]>([])
        connection.committed = { count in told.withLock { $0.append(count) } }
        // Of one that adds what is there the kernel tells nothing.
        try connection.commit(transaction, "apply")
        #expect(connection.commits == 1)
        try connection.commit(transaction, "apply")
        #expect(connection.commits == 2)
        // Somebody else's.
        try connection.commit(transaction, "apply")
        #expect(connection.commits == 2)
        let found = told.withLock { $0 }
        #expect(found == [2])
        let flags = try socket.sent.map { bytes in
            try NetlinkMessage.parse(bytes).prefix(3).map { $0.flags & 0x8 }
        }
        #expect(flags == [[0, 0, 0], [0, 8, 0], [0, 8, 0], [0, 8, 0]])
    }

    @Test("every refused step is listed, by its place and in nft's words")
    func refused() throws {
        let socket = ScriptedSocket([
            { [self] in
                let first = sequence(of: $0)
                return [.datagram(answer(2, first + 3, text: "no chain")), .datagram(answer(16, first + 4))]
            }
        ])
        let error = #expect(throws: NetlinkError.self) {
            try NetlinkConnection(socket, firstSequence: 10).commit(transaction, "apply the policy")
        }
        #expect(error?.code == .notFound && error?.kernelMessage == "no chain")
        #expect(error?.operation == "apply the policy: add rule inet egret b")
        #expect(error?.refusedSteps.map(\.index) == [2, 3])
        #expect(error?.refusedSteps.map(\.errno) == [.noEntry, .busy])
        #expect(error?.description.hasSuffix("(and 1 more steps)") == true)
    }

    @Test("a refused commit is an error although the last message is acknowledged behind it")
    func refusedCommit() throws {
        let socket = ScriptedSocket([
            { [self] in [.datagram(answer(1, sequence(of: $0))), .datagram(answer(0, sequence(of: $0) + 4))] },
            { [self] in [.datagram(answer(0, sequence(of: $0) + 4))] },
        ])
        let connection = NetlinkConnection(socket, firstSequence: 10)
        let error = #expect(throws: NetlinkError.self) { try connection.commit(transaction, "apply") }
        #expect(error?.code == .notPermitted && error?.operation == "apply")
        #expect(error?.refusedSteps.map(\.index) == [nil])
        // The acknowledgement that was left over does not pass for the next batch's.
        try connection.commit(transaction, "apply")
    }

    @Test("after an overrun, what did arrive is read: a refusal is told, silence is not taken for success")
    func overrun() throws {
        let told = ScriptedSocket([{ [self] in [.failure(.overrun), .datagram(answer(2, sequence(of: $0) + 2))] }])
        let refused = #expect(throws: NetlinkError.self) {
            try NetlinkConnection(told).commit(transaction, "apply")
        }
        #expect(refused?.code == .notFound && refused?.refusedSteps.map(\.index) == [1])
        let silent = ScriptedSocket([{ [self] in [.failure(.overrun), .datagram(answer(0, sequence(of: $0) + 4))] }])
        let unknown = #expect(throws: NetlinkError.self) {
            try NetlinkConnection(silent).commit(transaction, "apply")
        }
        #expect(unknown?.code == .overrun && unknown?.refusedSteps.isEmpty == true)
    }
}
