// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNetlink
import EgretNetlinkWire
import EgretNftables
import Testing

/// A kernel's end of a socket that answers each request as a script says.
private final class ScriptedSocket: DatagramSocket {
    /// What a script gives for a request: datagrams, or an error number.
    enum Answer {
        case datagram([UInt8])
        case failure(Int32)
    }

    private(set) var sent: [[UInt8]] = []
    private var queue: [Answer] = []
    private var script: [([UInt8]) -> [Answer]]

    init(_ script: [([UInt8]) -> [Answer]]) {
        self.script = script
    }

    func send(_ bytes: [UInt8]) throws(DatagramError) {
        sent.append(bytes)
        if !script.isEmpty { queue += script.removeFirst()(bytes) }
    }

    func receive() throws(DatagramError) -> [UInt8] {
        guard !queue.isEmpty else { throw DatagramError(errorNumber: 11) }
        switch queue.removeFirst() {
        case .datagram(let bytes): return bytes
        case .failure(let number): throw DatagramError(errorNumber: number)
        }
    }
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
        try? writer.message(type: 2, flags: text == nil ? 0x100 : 0x300, sequence: sequence) { (writer) throws(WireError) in
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

    @Test("requests get sequence numbers of their own and ask for an acknowledgement")
    func sequences() throws {
        let socket = ScriptedSocket(Array(repeating: { [self] in [.datagram(answer(0, sequence(of: $0)))] }, count: 2))
        let connection = NetlinkConnection(socket, firstSequence: 70)
        try connection.request(RouteWire.setLink(3, up: true, sequence: 0), to: "set up", "link 3")
        try connection.request(RouteWire.setLink(4, up: true, sequence: 0), to: "set up", "link 4")
        #expect(socket.sent.map(sequence(of:)) == [70, 71] && connection.nextSequence == 72)
        #expect(try NetlinkMessage.parse(socket.sent[0])[0].flags == 5)
    }

    @Test("answers to earlier requests are dropped and counted")
    func stale() throws {
        let socket = ScriptedSocket([{ [self] in
            [.datagram(answer(17, 1)), .datagram(message(16, 0, 2)), .datagram(answer(0, sequence(of: $0)))]
        }])
        let connection = NetlinkConnection(socket, firstSequence: 9)
        try connection.request(RouteWire.setLink(3, up: true, sequence: 0), to: "set up", "link 3")
        #expect(connection.staleReplyCount == 2)
    }

    @Test("an error says what was tried, on what, and what came back")
    func error() throws {
        let socket = ScriptedSocket([{ [self] in [.datagram(answer(16, sequence(of: $0), text: "in use"))] }])
        let connection = NetlinkConnection(socket)
        let error = #expect(throws: NetlinkError.self) {
            try connection.request(RouteWire.deleteLink(3, sequence: 0), to: "delete link", "eg0")
        }
        #expect(error?.code == .busy && error?.errorName == "EBUSY" && error?.kernelMessage == "in use")
        #expect(error?.description == "delete link (eg0) failed: EBUSY (busy), “in use”")
    }

    @Test("a request that cannot be built is malformed and never sent")
    func malformed() throws {
        let socket = ScriptedSocket([])
        let connection = NetlinkConnection(socket)
        let error = #expect(throws: NetlinkError.self) {
            try connection.request(
                ConntrackWire.deleteRequest(mark: .init(value: 0, mask: 0), sequence: 0), to: "delete", "flows"
            )
        }
        #expect(error?.code == .malformed && socket.sent.isEmpty)
    }

    @Test("a query gives the answer before its acknowledgement")
    func query() throws {
        let socket = ScriptedSocket([{ [self] in
            [.datagram(message(16, 0, sequence(of: $0), [1]) + answer(0, sequence(of: $0)))]
        }])
        let connection = NetlinkConnection(socket)
        let messages = try connection.query(RouteWire.linksRequest(sequence: 0), to: "find", "link")
        #expect(messages.map(\.type) == [16])
    }

    @Test("a dump gathers its parts")
    func dump() throws {
        let socket = ScriptedSocket([{ [self] in
            let number = sequence(of: $0)
            return [
                .datagram(message(16, 2, number) + message(16, 2, number)), .datagram(message(16, 2, number)),
                .datagram(done(number)),
            ]
        }])
        let connection = NetlinkConnection(socket)
        #expect(try connection.dump(RouteWire.linksRequest(sequence: 0), to: "list", "links").count == 3)
    }

    @Test("an interrupted dump is begun again, and given up at last")
    func interrupted() throws {
        let bad: ([UInt8]) -> [ScriptedSocket.Answer] = { [self] in
            let number = sequence(of: $0)
            return [.datagram(message(16, 0x12, number)), .datagram(message(16, 2, number) + done(number))]
        }
        let good: ([UInt8]) -> [ScriptedSocket.Answer] = { [self] in
            [.datagram(message(16, 2, sequence(of: $0)) + done(sequence(of: $0)))]
        }
        let connection = NetlinkConnection(ScriptedSocket([bad, bad, good]))
        #expect(try connection.dump(RouteWire.linksRequest(sequence: 0), to: "list", "links").count == 1)
        let hopeless = NetlinkConnection(ScriptedSocket(Array(repeating: bad, count: 50)))
        let error = #expect(throws: NetlinkError.self) {
            _ = try hopeless.dump(RouteWire.linksRequest(sequence: 0), to: "list", "links")
        }
        #expect(error?.code == .interruptedDump)
    }

    @Test("a dump that fails throws, with an error or at its end")
    func failedDump() throws {
        let connection = NetlinkConnection(
            ScriptedSocket([
                { [self] in [.datagram(answer(2, sequence(of: $0)))] },
                { [self] in [.datagram(done(sequence(of: $0), 12))] },
            ])
        )
        for code in [NetlinkError.Code.notFound, .noMemory] {
            let error = #expect(throws: NetlinkError.self) {
                _ = try connection.dump(RouteWire.linksRequest(sequence: 0), to: "list", "links")
            }
            #expect(error?.code == code)
        }
    }

    @Test("lost answers are an overrun, silence a time-out, and nonsense malformed")
    func loss() throws {
        let cases: [([ScriptedSocket.Answer], NetlinkError.Code)] = [
            ([.failure(105)], .overrun), ([], .timedOut), ([.datagram([1, 2, 3])], .malformed),
            ([.datagram(message(4, 0, 1))], .overrun),
        ]
        for (answers, code) in cases {
            let connection = NetlinkConnection(ScriptedSocket([{ _ in answers }]))
            let error = #expect(throws: NetlinkError.self) {
                try connection.request(RouteWire.setLink(3, up: true, sequence: 0), to: "set up", "link 3")
            }
            #expect(error?.code == code)
        }
    }

    private var transaction: Transaction {
        Transaction(
            [.addTable, .addChain(Chain("a")), .addRule(Rule(in: "b", [.verdict(.drop)])), .deleteSet("s")]
                .map { Transaction.Step($0, in: Fixture.table) }
        )
    }

    @Test("a batch is committed when its last message is acknowledged and nothing was refused")
    func commit() throws {
        let socket = ScriptedSocket([{ [self] in [.datagram(answer(0, sequence(of: $0) + 4))] }])
        let connection = NetlinkConnection(socket, firstSequence: 10)
        try connection.apply(transaction)
        #expect(connection.nextSequence == 16 && socket.sent.count == 1)
        try connection.apply(Transaction())
        #expect(socket.sent.count == 1)
    }

    @Test("every refused step is reported, by its place and its name")
    func refused() throws {
        let socket = ScriptedSocket([{ [self] in
            let first = sequence(of: $0)
            return [.datagram(answer(2, first + 3, text: "no chain")), .datagram(answer(2, first + 4))]
        }])
        let connection = NetlinkConnection(socket, firstSequence: 10)
        let error = #expect(throws: NetlinkError.self) { try connection.apply(transaction) }
        #expect(error?.code == .notFound && error?.operation == "add rule" && error?.object == "inet egret / b")
        #expect(error?.stepFailures.map(\.stepIndex) == [2, 3])
        #expect(error?.stepFailures.map(\.operation) == ["add rule", "delete set"])
        #expect(error?.description.contains("and 1 more steps failed") == true)
    }

    @Test("a refused commit is an error although the last message is acknowledged behind it")
    func refusedCommit() throws {
        let socket = ScriptedSocket([
            { [self] in [.datagram(answer(1, sequence(of: $0))), .datagram(answer(0, sequence(of: $0) + 4))] },
            { [self] in [.datagram(answer(0, sequence(of: $0) + 4))] },
        ])
        let connection = NetlinkConnection(socket, firstSequence: 10)
        let error = #expect(throws: NetlinkError.self) { try connection.apply(transaction) }
        #expect(error?.code == .notPermitted && error?.operation == "commit")
        // The acknowledgement that was left over does not pass for the next batch's.
        try connection.apply(transaction)
        #expect(connection.staleReplyCount == 1)
    }

    @Test("every code names itself")
    func codes() {
        let numbers: [Int32] = [1, 2, 3, 11, 12, 13, 16, 17, 19, 22, 31, 34, 40, 90, 95, 97, 105, 110]
        for number in numbers {
            let connection = NetlinkConnection(
                ScriptedSocket([{ [self] in [.datagram(answer(number, sequence(of: $0)))] }])
            )
            let error = #expect(throws: NetlinkError.self) {
                try connection.request(RouteWire.setLink(3, up: true, sequence: 0), to: "set up", "link 3")
            }
            #expect(error?.code != .other && error?.errorName?.hasPrefix("E") == true)
        }
    }
}
