// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// Where a rule, or an element of a verdict map, sends the packet.
public enum Verdict: Hashable, Sendable {
    /// The packet passes this hook.
    case accept
    /// The packet ends here.
    case drop
    /// Evaluation goes on in the chain and comes back.
    case jump(String)
    /// Evaluation goes on in the chain and does not come back.
    case goto(String)
    /// Evaluation goes on after the rule that jumped here.
    case `return`
}

/// What a statement looks at. Each names the nft expression that it prints as.
public enum Selector: Hashable, Sendable {
    /// `meta iif`: the index of the interface the packet came in by.
    case inputInterface
    /// `meta oif`: the index of the interface the packet leaves by.
    case outputInterface
    /// The first bytes of the name of the interface that the packet came in by; 16 for the whole name.
    case inputName(length: UInt8)
    /// The first bytes of the name of the interface that the packet leaves by; 16 for the whole name.
    case outputName(length: UInt8)
    /// `meta nfproto`: the packet's family, `NFPROTO_IPV4` (2) or `NFPROTO_IPV6` (10).
    case networkProtocol
    /// `meta protocol`: the EtherType, host byte order here.
    case etherType
    /// `meta l4proto`: the upper-layer protocol behind all extension headers.
    case transportProtocol
    /// `ct mark and MASK`.
    case connectionMark(mask: UInt32)
    /// `ct label and BIT`: one of the 128 labels of a connection, as the bit or 0.
    case connectionLabel(UInt8)
    /// `meta mark and MASK`.
    case packetMark(mask: UInt32)
    /// `ct state`: the packet's relation to its connection, as ``ConnectionState`` bits.
    case connectionState
    /// `ct direction`: 0 original, 1 reply.
    case connectionDirection
    /// `ct id`: the kernel's number for the packet's connection, the same as long as it is tracked. Another may get it later, and
    /// two at a time have the same one once in some thousand million times.
    case connectionID
    /// `ct protocol`: the upper-layer protocol of the packet's connection, also where the packet is an error about it.
    case connectionProtocol
    /// `ct reply proto-src`: the port that the connection's target listens on, after any translation.
    case connectionTargetPort
    /// `ct original ip daddr`: where the connection was going, before any translation. The rule must already have matched IPv4.
    case originalIPv4Destination
    /// `ct original ip6 daddr`: where the connection was going, before any translation. The rule must already have matched
    /// IPv6.
    case originalIPv6Destination
    /// `ct original proto-dst`: the port that the connection was going to, before any translation. The rule must already have
    /// matched a protocol with ports.
    case originalDestinationPort
    /// `meta time`: when the packet came, in nanoseconds since 1970 (UTC). Only for look-ups in sets of intervals.
    case time
    /// `ip saddr`. The rule must already have matched IPv4.
    case ipv4Source
    /// `ip daddr`. The rule must already have matched IPv4.
    case ipv4Destination
    /// `ip6 saddr`. The rule must already have matched IPv6.
    case ipv6Source
    /// `ip6 daddr`. The rule must already have matched IPv6.
    case ipv6Destination
    /// `th sport`. The rule must already have matched a protocol with ports.
    case sourcePort
    /// `th dport`. The rule must already have matched a protocol with ports.
    case destinationPort
    /// `tcp flags & MASK`. The rule must already have matched TCP.
    case tcpFlags(mask: UInt8)
    /// `icmp type`. The rule must already have matched ICMP.
    case icmpType
    /// `icmpv6 type`. The rule must already have matched ICMPv6.
    case icmpv6Type
    /// `ether saddr`.
    case etherSource
    /// The source hardware address and, in the lowest 16 bits, the EtherType: neighbours in the header, one load.
    case etherSourceAndType
    /// `arp operation`. The rule must already have matched ARP.
    case arpOperation
    /// `arp saddr ether`, for Ethernet and IPv4.
    case arpSenderEther
    /// `arp saddr ip`, for Ethernet and IPv4.
    case arpSenderIPv4
    /// The target address of a neighbour solicitation or advertisement (RFC 4861): `@th,64,128`.
    case neighbourTarget
    /// `fib daddr type`: what kind of address the destination is here, `RTN_*`.
    case destinationAddressType
    /// `fib saddr . iif oif`: the interface by which the host would answer, if it is the one that the packet came in by;
    /// 0 otherwise (the reverse path of RFC 3704, strict).
    case answeringInterface
    /// `socket cgroupv2 level N`: the ancestor, so many steps below the root, of the cgroup that the packet's socket was
    /// made in. Not for packets without a socket of this host: the rule then goes no further.
    case socketCgroup(level: UInt8)
    /// `numgen inc mod 4294967295 offset 1`: which time this is that the rule asks, from 1 on, over all processors. Behind
    /// 2^32 - 1 it is 1 again, and with a rule that is made anew. Only for look-ups in sets of intervals.
    case evaluationNumber
    /// `numgen random mod N`: a number by chance, from 0 on and below N, which is not 0. Another one each time the rule asks.
    case randomNumber(below: UInt32)
}

/// Bits of `ct state` (`NF_CT_STATE_*_BIT` in `linux/netfilter/nf_conntrack_common.h`).
public struct ConnectionState: OptionSet, Hashable, Sendable {
    /// The bits, as the kernel numbers them.
    public var rawValue: UInt32

    /// Creates a state from its bits.
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// The packet belongs to no connection that tracking understands.
    public static let invalid = ConnectionState(rawValue: 1)
    /// Packets were seen in both directions.
    public static let established = ConnectionState(rawValue: 2)
    /// The packet begins a connection that another one announced, or is an ICMP error about one.
    public static let related = ConnectionState(rawValue: 4)
    /// Packets were seen in one direction only.
    public static let new = ConnectionState(rawValue: 8)
    /// The packet is exempt from tracking.
    public static let untracked = ConnectionState(rawValue: 64)
}

/// One thing that a rule does.
public enum Statement: Hashable, Sendable {
    /// Goes on only if the selector's value is `value` (host byte order).
    case equal(Selector, UInt128)
    /// Goes on only if the selector's value is not `value`.
    case notEqual(Selector, UInt128)
    /// Goes on only if the packet's connection state is one of these.
    case connectionState(in: ConnectionState)
    /// Goes on only if the packet's connection has one of these properties.
    case connectionStatus(in: ConnectionStatus)
    /// Goes on only if the packet's connection has none of these properties.
    case notConnectionStatus(in: ConnectionStatus)
    /// Goes on only if the address that the selector names is in the prefix, which must be of its family.
    case inPrefix(Selector, IPPrefix)
    /// Goes on only if the address that the selector names is not in the prefix, which must be of its family.
    case notInPrefix(Selector, IPPrefix)
    /// Goes on only if the selector's value is in the set.
    case inSet(Selector, String)
    /// Goes on only if the selector's value is not in the set.
    case notInSet(Selector, String)
    /// Gives the verdict that the map has for the selector's value, if any; goes on otherwise.
    case verdictMap(Selector, String)
    /// The same by the block of this prefix length that an address lies in: `ip daddr & 255.255.255.0 vmap @name`.
    case blockVerdictMap(Selector, prefixLength: Int, String)
    /// Goes on only if the selectors' values together are in the set, whose key has their types in the same order.
    case inConcatenatedSet([Selector], String)
    /// Gives the verdict that the map has for the selectors' values together, if any; goes on otherwise.
    ///
    /// The map's key has the selectors' types, in the same order.
    case concatenatedVerdictMap([Selector], String)
    /// Counts packets and bytes in the rule itself. What it has counted is the kernel's, not part of the rule.
    case anonymousCounter
    /// Adds the packet to a named counter.
    case counter(String)
    /// Goes on only while the named limit is not exceeded.
    case limit(String)
    /// Goes on only while the rule has been asked less often than so many times in a time, `burst` beyond that.
    case within(UInt64, seconds: UInt64, burst: UInt32)
    /// Goes on only if the rule has been asked more often than that (`limit rate over`).
    case beyond(UInt64, seconds: UInt64, burst: UInt32)
    /// Goes on only if more connections than this are open of those that the rule has seen (`ct count over`). For the
    /// first packets of connections.
    case connectionsOver(UInt32)
    /// `update @SET { A . B timeout 60s limit rate COUNT/second burst PACKETS packets }`: goes on only for so many packets a
    /// second with the same key. The set, of a size and dynamic, has an element with a time to live for each key; when it
    /// is full, nothing with a new key goes on.
    case withinEach([Selector], set: String, perSecond: UInt64, burst: UInt32)
    /// `update @SET { A timeout 60s limit rate over COUNT/second burst PACKETS packets }`: goes on only if packets with the
    /// same key have come more often than that. The set, dynamic and with times to live, has an element for each key, for
    /// ``rememberedSeconds(_:seconds:burst:)``. When it is full, nothing with a new key goes on, and that key is not in it.
    case beyondEach(Selector, set: String, UInt64, seconds: UInt64, burst: UInt32)
    /// `add @SET { A ct count over COUNT }`: goes on only if more connections with the same key are open, of those that the
    /// rule has seen. For the first packets of connections. The set, dynamic and without times to live, has an element for
    /// each key with open connections. When it is full, nothing with a new key goes on, and that key is not in it.
    case connectionsOverEach(Selector, set: String, UInt32)
    /// `add @SET { KEY }`: puts the selector's value into a set of a size that is dynamic. Goes no further if it has no room.
    case addToSet(Selector, String)
    /// `update @SET { KEY timeout 10800s }`: puts the selector's value into a set that is dynamic and has times to live, for
    /// ``keptSeconds``, also if it is there already. Goes no further if the set has no room.
    case keepInSet(Selector, String)
    /// `delete @SET { KEY }`: takes the selector's value out of a set that is dynamic, if it is there, and goes on.
    case removeFromSet(Selector, String)
    /// Sets the packet's priority, which says the class of a queueing discipline that it waits in (`meta priority set`).
    case setPriority(UInt32)
    /// Sets the packet's differentiated-services code point, 0 to 63. The rule must already have matched the family.
    case setTrafficClass(AddressFamily, UInt8)
    /// Uses the packet's bytes of the named quota, and goes on only if there were not so many left.
    case quota(String)
    /// Sends the packet's first bytes to an nfnetlink_log group with a prefix, and goes on.
    ///
    /// `snapLength` is in bytes, 0 for all. `queueThreshold` packets are gathered before they are delivered.
    case log(group: UInt16, prefix: String, snapLength: UInt32, queueThreshold: UInt16)
    /// Replaces the bits of `mask` in the connection's mark with those of `value`.
    case setConnectionMark(mask: UInt32, value: UInt32)
    /// Gives the packet's connection one of its 128 labels; others it keeps.
    case addConnectionLabel(UInt8)
    /// Replaces the bits of `mask` in the packet's mark with those of `value`.
    case setPacketMark(mask: UInt32, value: UInt32)
    /// Tells who listens (`nft monitor trace`) of every rule that the packet meets from here on: `meta nftrace set 1`.
    case trace
    /// Gives the packet's connection the address of the interface it leaves by.
    case masquerade
    /// Gives the packet's connection a source address of the target (`snat`). For nat chains at `postrouting`.
    case sourceTranslation(TranslationTarget)
    /// Leads the packet's connection to an address of the target (`dnat`). For nat chains at `prerouting` and
    /// `output`, and what they jump to.
    case destinationTranslation(TranslationTarget)
    /// Leads the packet to a transparent socket of this host, to the one of its connection or else to the one that
    /// listens on this port (`tproxy to :PORT`). For filter chains at `prerouting`, and TCP or UDP.
    case transparentProxy(port: UInt16)
    /// Sends the frame out by another interface, by index (`fwd to`). For chains of the netdev family.
    case forward(toInterface: UInt32)
    /// Drops the packet and answers with a TCP reset. The rule must already have matched TCP.
    case rejectWithTCPReset
    /// Drops the packet and answers with ICMP or ICMPv6 "administratively prohibited" (`icmpx admin-prohibited`).
    case rejectAdministratively
    /// Ends the rule with a verdict.
    case verdict(Verdict)
}

extension Statement {
    /// How long a key of ``withinEach(_:set:perSecond:burst:)`` is remembered after its last packet, in seconds.
    public static let keySeconds: UInt64 = 60

    /// How long a key of ``keepInSet(_:_:)`` is in the set after its last packet, in seconds: longer than the two hours after
    /// which an idle TCP connection says that it is alive (`net.ipv4.tcp_keepalive_time`).
    public static let keptSeconds: UInt64 = 10_800

    /// How long a key of ``beyondEach(_:set:_:seconds:burst:)`` is remembered after its last packet, in seconds: until all
    /// that may come at once might come again, so that nobody gains by being forgotten, and at least a minute.
    ///
    /// - Parameters:
    ///   - count: How many packets may come.
    ///   - seconds: In what time, up to a day.
    ///   - burst: How many may come at once.
    /// - Returns: Seconds, rounded up.
    public static func rememberedSeconds(_ count: UInt64, seconds: UInt64, burst: UInt32) -> UInt64 {
        let filling = min(seconds, 86_400) * UInt64(burst)
        return max(keySeconds, (filling + max(count, 1) - 1) / max(count, 1))
    }
}
