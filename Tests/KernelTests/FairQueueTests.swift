// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretCompiler
import EgretLinux
import EgretNetlink
import EgretNetlinkWire
import EgretNetworks
import EgretPolicy
import EgretShaping
import EgretTesting
import Testing

@Suite("queues in which flows wait apart")
struct FairQueueTests {
    private func leaf(_ bitsPerSecond: UInt64, burst: UInt64? = nil) throws -> FairQueue {
        try #require(RateShape(bitsPerSecond: bitsPerSecond, burst: burst, mtu: 1_500).leaf)
    }

    @Test("they are patient for a frame and a half, or 5 ms, and for twenty times that before they drop")
    func times() throws {
        let slow = try leaf(64_000)
        #expect([slow.targetMicroseconds, slow.intervalMicroseconds, slow.quantumBytes] == [284_672, 5_693_440, 300])
        let middle = try leaf(10_000_000)
        #expect([middle.targetMicroseconds, middle.intervalMicroseconds] == [5_120, 102_400])
        let fast = try leaf(10_000_000_000)
        #expect([fast.targetMicroseconds, fast.intervalMicroseconds] == [5_120, 102_400])
        #expect([middle.quantumBytes, fast.quantumBytes] == [300, 1_518])
        // As long as the kernel's clock for it can tell later from earlier.
        let slowest = try leaf(8)
        #expect(slowest.targetMicroseconds < 1 << 30 && slowest.intervalMicroseconds < 1 << 31)
        for queue in [slow, middle, fast, slowest] {
            // The kernel tells others otherwise than they were given.
            #expect(queue.targetMicroseconds % 128 == 0 && queue.intervalMicroseconds % 128 == 0)
            #expect(queue.intervalMicroseconds >= 20 * queue.targetMicroseconds)
        }
    }

    @Test(
        "as much waits as in a plain queue: of full frames no more, and no fewer than four",
        arguments: [1_000, 64_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000, 10_000_000_000] as [UInt64])
    func bounds(bitsPerSecond: UInt64) throws {
        let shape = RateShape(bitsPerSecond: bitsPerSecond, mtu: 1_500)
        let queue = try #require(shape.leaf)
        // What a frame of 1,500 bytes takes of the kernel's memory.
        let frames = UInt64(queue.memoryBytes / 2_304)
        #expect(frames >= 4)
        #expect(frames * 1_518 <= UInt64(shape.bucket.queueBytes) + 1_518)
        // Packets that nobody has segmented take what they hold, and little more.
        let isSlow = bitsPerSecond < 10_000_000
        #expect(isSlow || queue.memoryBytes == shape.bucket.queueBytes)
        #expect(UInt64(queue.memoryBytes) * 3 <= UInt64(shape.bucket.queueBytes) * 5 + 1_518)
        #expect(queue.flows == 128 && queue.marksCongestion)
    }

    @Test("no more memory than the kernel lets one have")
    func clamped() throws {
        let queue = try leaf(1_000_000_000, burst: 4_000_000_000)
        #expect(queue.memoryBytes == 1 << 31)
    }

    @Test("classes have one each, those that endpoints share with more flows")
    func classes() throws {
        let nodes = [
            QueueTree.Node(number: 16, ceiling: 1_000_000, isLeaf: false),
            QueueTree.Node(number: 17, parent: 16, ceiling: 1_000_000),
        ]
        let own = QueueTree(nodes, mtu: 1_500)
        #expect(own.leaves.keys.sorted() == [17] && own.leaves[17]?.flows == 128)
        #expect(own.leaves[17]?.targetMicroseconds == 18_304)
        let shared = QueueTree(nodes, mtu: 1_500, isShared: true)
        #expect(shared.leaves[17]?.flows == 1_024)
        #expect(own.queues == shared.queues && own.classes == shared.classes)
    }

    // MARK: - What the kernel says

    private static let slow = RateShape(bitsPerSecond: 1_000_000, mtu: 1_500)
    private static let fast = RateShape(bitsPerSecond: 100_000_000, mtu: 1_500)

    private func queues(_ socket: AnsweringSocket) throws -> [FairQueue] {
        try socket.queueRequests.compactMap { try RouteWire.decodeFairQueue($0)?.queue }
    }

    @Test("a kernel without them is asked once, and limits all the same")
    func absent() throws {
        let kernel = KernelQueues()
        for link: UInt32 in [7, 8, 9] {
            let socket = AnsweringSocket(link: link, refusals: [2])
            let shaper = LinkShaper(NetlinkConnection(socket), kernel: kernel)
            try shaper.limit(link, to: .bucket(FairQueueTests.slow))
            #expect(socket.queueRequests.count == (link == 7 ? 1 : 0))
            #expect(kernel.lacksFairQueues)
        }
    }

    @Test(
        "without the bucket, or for other reasons, a refusal says nothing about the kernel",
        arguments: [2, 12, 1] as [Int32])
    func refused(number: Int32) throws {
        let kernel = KernelQueues()
        // ENOENT is also the answer where somebody has removed the bucket meanwhile.
        let socket = AnsweringSocket(link: number == 2 ? nil : 7, refusals: [number])
        let shaper = LinkShaper(NetlinkConnection(socket), kernel: kernel)
        #expect(throws: NetlinkError.self) { try shaper.limit(7, to: .bucket(FairQueueTests.slow)) }
        #expect(!kernel.lacksFairQueues)
    }

    @Test("one that is there changes in place, patient while its bounds become narrower")
    func changes() throws {
        let socket = AnsweringSocket(link: 7)
        let shaper = LinkShaper(NetlinkConnection(socket), kernel: KernelQueues())
        let (slow, fast) = (FairQueueTests.slow, FairQueueTests.fast)
        try shaper.limit(7, to: .bucket(fast), from: .bucket(slow))
        try shaper.limit(7, to: .bucket(fast), from: .bucket(fast))
        try shaper.limit(7, to: .bucket(slow), from: .bucket(fast))
        let asked = try queues(socket)
        #expect(asked.map(\.targetMicroseconds) == [5_120, 1_000_000_000, 18_304])
        #expect(asked.map(\.memoryBytes) == [fast, slow, slow].compactMap { $0.leaf?.memoryBytes })
        // None of them makes one: NLM_F_CREATE.
        #expect(socket.queueRequests.allSatisfy { $0.flags & 0x400 == 0 })
    }

    @Test("one that has gone is made again, and one that nobody knew of changes in place")
    func surprises() throws {
        let socket = AnsweringSocket(link: 7, refusals: [2])
        let shaper = LinkShaper(NetlinkConnection(socket), kernel: KernelQueues())
        let (slow, fast) = (FairQueueTests.slow, FairQueueTests.fast)
        try shaper.limit(7, to: .bucket(fast), from: .bucket(slow))
        #expect(socket.queueRequests.map { $0.flags & 0x400 } == [0, 0x400])
        socket.refusals = [17]
        try shaper.limit(7, to: .bucket(fast))
        #expect(socket.queueRequests.map { $0.flags & 0x400 } == [0, 0x400, 0x400, 0, 0])
    }
}

/// Both kernels that have `fq_codel` and those that have not hold to rates; the former by these queues.
@Suite("queues in which flows wait apart, in the kernel", .serialized, .requiresRoot)
struct FairQueueKernelTests {
    /// Whether the kernel has them, asked otherwise than Egret does.
    private func kernelHasFairQueues() throws -> Bool {
        try OwnThread.run {
            try Namespace.unshare([.network])
            return try runProgram(["tc", "qdisc", "add", "dev", "lo", "root", "fq_codel"]).succeeded
        }
    }

    private func run(_ command: String) throws -> String {
        let output = try runProgram(["sh", "-euc", command])
        #expect(output.succeeded, "\(command): \(output.standardError)")
        return output.standardOutput.split(separator: "\n").joined(separator: "\n")
    }

    private func rates(_ bitsPerSecond: UInt64) -> EndpointRates {
        let shape = TrafficShape.bucket(RateShape(bitsPerSecond: bitsPerSecond, mtu: 1_500))
        return EndpointRates(egress: shape, ingress: shape)
    }

    /// The index of a new interface.
    private func makeLink(_ route: NetlinkConnection) throws -> UInt32 {
        _ = try run("ip link add end0 type ifb; ip link set end0 up")
        return try #require(try NetworkLinks(route).link(named: "end0")).index
    }

    /// The fair queues within buckets, and of each what it is the queue of.
    private func leaves(_ link: String) throws -> [String] {
        try run("tc qdisc show dev \(link) | sed -n 's/.*fq_codel.* parent \\([^ ]*\\) .*/\\1/p'")
            .split(separator: "\n").map(String.init)
    }

    /// How many packets have passed the fair queue of the endpoint's link.
    private func passed() throws -> Int {
        let text = try run(
            "tc -s qdisc show dev end0 | awk '/fq_codel .*parent/ { getline; n = $4 } END { print n + 0 }'")
        return try #require(Int(text))
    }

    @Test("a change keeps the queue and what it has counted, and another process finds it as it was made")
    func life() throws {
        let hasThem = try kernelHasFairQueues()
        try OwnThread.run {
            try Namespace.unshare([.network])
            let route = try NetlinkConnection.route()
            let link = try makeLink(route)
            let shaper = EndpointShaper(route)
            try shaper.prepare([link: rates(8_000_000)])
            let (egress, ingress) = (hasThem ? ["1:1"] : [], hasThem ? ["e9e7:1"] : [])
            #expect(try leaves("egl\(link)") == egress)
            #expect(try leaves("end0") == ingress)
            #expect(try shaper.drift() == [])
            #expect(KernelQueues.ofThisKernel.lacksFairQueues == !hasThem)
            _ = try run("ip addr add 192.0.2.9/24 dev end0; ping -c3 -i0.1 -W0.1 192.0.2.1 >/dev/null || true")
            let before = try passed()
            #expect((before > 0) == hasThem)
            for rate: UInt64 in [1_000_000, 64_000, 50_000_000, 100_000] {
                try shaper.prepare([link: rates(rate)])
                #expect(try shaper.drift() == [])
                let next = EndpointShaper(route)
                try next.prepare([link: rates(rate)])
                #expect(try next.drift() == [])
                let now = try passed()
                #expect(now >= before)
                #expect(try leaves("end0") == ingress)
            }
            let text = try run("tc qdisc show dev end0 | grep -c 'tbf e9e7:.* rate 100Kbit'")
            #expect(text == "1")
            try shaper.release(except: [:]) { _ in }
            #expect(try leaves("end0") == [])
        }
    }

    @Test(
        "one that somebody removes or changes is drift, and is made again",
        arguments: [
            "del dev end0 parent e9e7:1 handle e9e9:", "replace dev end0 parent e9e7:1 handle 77: pfifo limit 3",
            "change dev end0 parent e9e7:1 handle e9e9: fq_codel memory_limit 1",
            "del dev end0 parent e9e7:1 handle e9e9:; "
                + "tc qdisc add dev end0 parent e9e7:1 handle e9e9: pfifo limit 3",
            "del dev end0 parent e9e7:1 handle e9e9:; "
                + "tc qdisc add dev end0 parent e9e7:1 handle e9e9: fq_codel flows 1",
        ])
    func repair(command: String) throws {
        let hasThem = try kernelHasFairQueues()
        try OwnThread.run {
            try Namespace.unshare([.network])
            let route = try NetlinkConnection.route()
            let link = try makeLink(route)
            let shaper = EndpointShaper(route)
            try shaper.prepare([link: rates(1_000_000)])
            let made = try run("tc qdisc show dev end0")
            let output = try runProgram(["sh", "-euc", "tc qdisc \(command)"])
            let isWithin = !command.contains("replace")
            // A kernel without them has nothing there that anybody could remove or change.
            #expect(output.succeeded == (hasThem || !isWithin), "\(output.standardError)")
            let expected = hasThem ? ["the limit of link \(link) has changed"] : []
            #expect(try shaper.drift() == expected)
            shaper.doubt()
            try shaper.prepare([link: rates(1_000_000)])
            #expect(try shaper.drift() == [])
            let mended = try run("tc qdisc show dev end0")
            if hasThem { #expect(mended == made) }
        }
    }

    @Test("a bucket that was made without one gets one")
    func upgrade() throws {
        let hasThem = try kernelHasFairQueues()
        try OwnThread.run {
            try Namespace.unshare([.network])
            let route = try NetlinkConnection.route()
            let link = try makeLink(route)
            let shape = RateShape(bitsPerSecond: 1_000_000, mtu: 1_500)
            try route.request("make a bucket") { sequence throws(WireError) in
                try RouteWire.setTokenBucket(
                    shape.bucket, link: link, handle: EndpointShaper.handle, sequence: sequence)
            }
            #expect(try leaves("end0") == [])
            let shaper = EndpointShaper(route)
            try shaper.prepare([link: EndpointRates(ingress: .bucket(shape))])
            #expect(try leaves("end0") == (hasThem ? ["e9e7:1"] : []))
            #expect(try shaper.drift() == [])
        }
    }

    @Test("each class that packets wait in has one, and a class that changes keeps it")
    func classes() throws {
        let hasThem = try kernelHasFairQueues()
        try OwnThread.run {
            try Namespace.unshare([.network])
            let route = try NetlinkConnection.route()
            func pool(_ rate: String) throws -> PoolShaper.Pool {
                let limits = [
                    TrafficLimit(scope: .policy, rate: BitRate(rate), policy: "p"),
                    TrafficLimit(scope: .network, rate: BitRate("32kbit"), policy: "p"),
                ]
                let shared = try PoolTree(
                    [PoolTree.Candidate(number: 1, network: "n", limits: limits, groups: [:])], .egress)
                return try #require(PoolShaper.Pool(shared, links: [1: 11], mtu: 1_500))
            }
            let pools = PoolShaper(route)
            let wanted = try pool("64kbit")
            try pools.prepare([.egress: wanted])
            let parents = wanted.tree.leaves.keys.sorted().map { "\(String($0, radix: 16)):1" }
            #expect(!parents.isEmpty)
            #expect(try leaves("egret-out").sorted() == (hasThem ? parents.sorted() : []))
            #expect(try pools.drift() == [])
            for rate in ["10Mbit", "64kbit"] {
                let changed = try pool(rate)
                try pools.prepare([.egress: changed])
                #expect(try pools.drift() == [])
                let next = PoolShaper(route)
                try next.prepare([.egress: changed])
                #expect(try next.drift() == [])
            }
            let flows = try run("tc qdisc show dev egret-out | grep -c 'flows 1024' || true")
            #expect(flows == (hasThem ? "\(parents.count)" : "0"))
            guard hasThem, let parent = parents.first else { return }
            _ = try run("tc qdisc del dev egret-out parent \(parent)")
            #expect(try pools.drift() == ["the limits of link egret-out have changed"])
            pools.doubt()
            try pools.prepare([.egress: try pool("64kbit")])
            #expect(try pools.drift() == [])
            #expect(try leaves("egret-out").sorted() == parents.sorted())
        }
    }

    /// Packets of one flow, more than wait, and then one each of four others; what comes out at the far end, in order.
    private static let flood = """
        import contextlib, socket, time
        far = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)); far.bind(("far0", 0x0800))
        near = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); near.bind(("end0", 0)); far.settimeout(1.5)
        def send(port, size):
            udp = port.to_bytes(2, "big") + (9).to_bytes(2, "big") + (size + 8).to_bytes(2, "big") + bytes(2)
            ip = b"\\x45\\0" + (size + 28).to_bytes(2, "big") + bytes(4) + b"\\x40\\x11\\0\\0" + b"\\x0a\\0\\0\\1\\x0a\\0\\0\\2"
            with contextlib.suppress(OSError): near.send(b"\\2" * 12 + b"\\x08\\0" + ip + udp + b"x" * size)
        for i in range(100): send(1000, 1000)
        for port in range(2001, 2005): send(port, 20)
        order = ""
        with contextlib.suppress(TimeoutError):
            while True: order += "A" if int.from_bytes(far.recv(2000)[34:36], "big") == 1000 else "B"
        print(order)
        """

    @Test("no more waits than the limit says, what is too much is counted, and other flows do not wait behind a flood")
    func floods() throws {
        let hasThem = try kernelHasFairQueues()
        try OwnThread.run {
            try Namespace.unshare([.network])
            _ = try run(
                """
                # Nothing else comes by.
                [ ! -e /proc/sys/net/ipv6 ] || echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
                ip link add end0 type veth peer name far0; ip link set end0 up; ip link set far0 up
                until ip link show end0 | grep -q 'state UP'; do sleep 0.02; done
                """)
            let route = try NetlinkConnection.route()
            let link = try #require(try NetworkLinks(route).link(named: "end0")).index
            let shape = RateShape(bitsPerSecond: 64_000, mtu: 1_500)
            let shaper = EndpointShaper(route)
            try shaper.prepare([link: EndpointRates(ingress: .bucket(shape))])
            let output = try runProgram(["python3", "-c", FairQueueKernelTests.flood])
            #expect(output.succeeded, "\(output.standardError)")
            let order = output.standardOutput.filter { "AB".contains($0) }
            let large = order.filter { $0 == "A" }.count
            // What passes at once, what has left meanwhile, and what waits.
            let most = Int(shape.bucket.burstBytes + shape.bucket.queueBytes) + 1_042
            #expect(large >= 3 && large * 1_042 <= most, "\(order)")
            let isAhead = order.firstIndex(of: "B").map { first in order[first...].contains { $0 == "A" } } ?? false
            #expect(isAhead == hasThem, "\(order)")
            let counts = try #require(try shaper.counts().first { $0.direction == .ingress })
            #expect(counts.waitingBytes == 0)
            #expect(counts.dropped + UInt64(order.count) == 104 && counts.packets == UInt64(order.count), "\(counts)")
        }
    }
}
