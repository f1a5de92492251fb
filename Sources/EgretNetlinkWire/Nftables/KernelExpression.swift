// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNftables

/// One expression of a rule, as the kernel runs it.
///
/// A rule is a list of expressions that pass values through registers. Register 1 is not spelled out; one that
/// loads another register is ``into(register:_:)``. An expression of another tool's rule that uses registers
/// otherwise, or that Egret has no form for, is ``other(name:data:)``. What the kernel adds when it dumps a rule (set ids, default attributes) has no place
/// here, so a rule read back equals the rule that was sent.
public enum KernelExpression: Hashable, Sendable {
    /// What a `meta` expression loads: `enum nft_meta_keys`.
    public struct MetaKey: RawRepresentable, Hashable, Sendable {
        /// The kernel's number.
        public var rawValue: UInt32

        /// Creates a key from the kernel's number.
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        /// `NFT_META_PROTOCOL`.
        public static let etherType = MetaKey(rawValue: 1)
        /// `NFT_META_MARK`.
        public static let mark = MetaKey(rawValue: 3)
        /// `NFT_META_IIF`.
        public static let inputInterface = MetaKey(rawValue: 4)
        /// `NFT_META_OIF`.
        public static let outputInterface = MetaKey(rawValue: 5)
        /// `NFT_META_IIFNAME`: the name of the interface that the packet came in by.
        public static let inputName = MetaKey(rawValue: 6)
        /// `NFT_META_OIFNAME`: the name of the interface that the packet leaves by.
        public static let outputName = MetaKey(rawValue: 7)
        /// `NFT_META_PRIORITY`.
        public static let priority = MetaKey(rawValue: 2)
        /// `NFT_META_NFTRACE`.
        public static let trace = MetaKey(rawValue: 12)
        /// `NFT_META_NFPROTO`.
        public static let networkProtocol = MetaKey(rawValue: 15)
        /// `NFT_META_L4PROTO`.
        public static let transportProtocol = MetaKey(rawValue: 16)
        /// `NFT_META_TIME_NS`.
        public static let time = MetaKey(rawValue: 30)
    }

    /// What a `ct` expression loads or sets: `enum nft_ct_keys`.
    public struct ConntrackKey: RawRepresentable, Hashable, Sendable {
        /// The kernel's number.
        public var rawValue: UInt32

        /// Creates a key from the kernel's number.
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        /// `NFT_CT_STATE`.
        public static let state = ConntrackKey(rawValue: 0)
        /// `NFT_CT_DIRECTION`.
        public static let direction = ConntrackKey(rawValue: 1)
        /// `NFT_CT_STATUS`.
        public static let status = ConntrackKey(rawValue: 2)
        /// `NFT_CT_MARK`.
        public static let mark = ConntrackKey(rawValue: 3)
        /// `NFT_CT_PROTOCOL`.
        public static let transportProtocol = ConntrackKey(rawValue: 10)
        /// `NFT_CT_PROTO_SRC`.
        public static let sourcePort = ConntrackKey(rawValue: 11)
        /// `NFT_CT_PROTO_DST`.
        public static let destinationPort = ConntrackKey(rawValue: 12)
        /// `NFT_CT_LABELS`.
        public static let labels = ConntrackKey(rawValue: 13)
        /// `NFT_CT_DST_IP`.
        public static let ipv4Destination = ConntrackKey(rawValue: 20)
        /// `NFT_CT_DST_IP6`.
        public static let ipv6Destination = ConntrackKey(rawValue: 22)
        /// `NFT_CT_ID`.
        public static let identifier = ConntrackKey(rawValue: 23)
    }

    /// Where a `payload` expression counts from: `enum nft_payload_bases`.
    public enum PayloadBase: UInt32, Hashable, Sendable {
        /// The link-layer header.
        case link = 0
        /// The network header.
        case network = 1
        /// The transport header.
        case transport = 2
    }

    /// Loads a property of the packet.
    case meta(key: MetaKey)
    /// Sets a property of the packet.
    case setMeta(key: MetaKey)
    /// Loads bytes of the packet. `offset` and `length` are in bytes.
    case payload(PayloadBase, offset: UInt32, length: UInt32)
    /// Loads a property of the packet's connection.
    case conntrack(key: ConntrackKey)
    /// Loads a part of one of the connection's two tuples, the original or the reply one.
    case connectionTuple(key: ConntrackKey, isReply: Bool)
    /// Turns the register from the machine's byte order into the network's, `unit` bytes at a time (`NFT_BYTEORDER_HTON`).
    case byteOrder(length: UInt32, unit: UInt32)
    /// Sets a property of the packet's connection.
    case setConntrack(key: ConntrackKey)
    /// Loads what the routing table says: `enum nft_fib_result` and `enum nft_fib_flags`.
    case fib(result: UInt32, flags: UInt32)
    /// Loads the number of the control group of the packet's socket, at a level below the root (`NFT_SOCKET_CGROUPV2`).
    case socketCgroup(level: UInt32)
    /// Loads how often the expression has been asked before, modulo a number, and with the offset (`NFT_NG_INCREMENTAL`), in
    /// the machine's byte order. What it has come to is the kernel's.
    case evaluationNumber(modulus: UInt32, offset: UInt32)
    /// Loads a number by chance below another one (`NFT_NG_RANDOM`), in the machine's byte order.
    case randomNumber(modulus: UInt32)
    /// Replaces the register by `(register & mask) ^ xor`.
    case bitwise(mask: [UInt8], xor: [UInt8])
    /// Goes on only if the register is, or is not, these bytes.
    case compare(isEqual: Bool, [UInt8])
    /// Loads bytes.
    case immediate([UInt8])
    /// Gives a verdict.
    case verdict(Verdict)
    /// Goes on only if the register is, or is not, in the set.
    case lookup(set: String, isInverted: Bool)
    /// Gives the verdict that the map has for the register.
    case verdictMap(String)
    /// Uses a named object: `NFT_OBJECT_*`.
    case object(type: UInt32, name: String)
    /// Counts in the rule itself. The numbers are the kernel's.
    case counter(packets: UInt64, bytes: UInt64)
    /// Sends the packet to an nfnetlink_log group.
    case log(group: UInt16, prefix: String, snapLength: UInt32, queueThreshold: UInt16)
    /// Goes on while a limit of its own holds, or, with flag 1 (`NFT_LIMIT_F_INV`), while it is exceeded. `unit` is in
    /// seconds; type 0 counts packets (`NFT_LIMIT_PKTS`).
    case limit(rate: UInt64, unit: UInt64, burst: UInt32, type: UInt32, flags: UInt32)
    /// Goes on while at most, or with flag 1 (`NFT_CONNLIMIT_F_INV`) while more than, so many connections are open.
    case connectionLimit(count: UInt32, flags: UInt32)
    /// Keeps the register in a set, and goes on if an expression that the element has for itself does: a limit, for a
    /// time from the last packet on (`NFT_DYNSET_OP_UPDATE`), or a number of connections, without a time
    /// (`NFT_DYNSET_OP_ADD`).
    indirect case each(set: String, milliseconds: UInt64, KernelExpression)
    /// Puts the register into a set (`NFT_DYNSET_OP_ADD`), and goes on if it is there then.
    case addElement(set: String)
    /// Puts the register into a set for a time, also if it is there already (`NFT_DYNSET_OP_UPDATE`), and goes on if it is there
    /// then.
    case keepElement(set: String, milliseconds: UInt64)
    /// Takes the register out of a set, if it is there (`NFT_DYNSET_OP_DELETE`), and goes on.
    case removeElement(set: String)
    /// Writes the register into the packet. `checksumType` 1 corrects the Internet checksum at `checksumOffset`.
    case writePayload(
        PayloadBase, offset: UInt32, length: UInt32, checksumType: UInt32, checksumOffset: UInt32)
    /// Refuses: `enum nft_reject_types` and its code.
    case reject(type: UInt32, code: UInt8)
    /// Translates the source address; `flags` are `NF_NAT_RANGE_*`.
    case masquerade(flags: UInt32)
    /// Sends the frame out by the interface whose index the register holds.
    case forward
    /// Leads the packet to a transparent socket on the port that the register holds, of either family.
    case transparentProxy
    /// Translates the source or destination address to what the registers hold.
    case translate(Translation)
    /// A load into another register than 1: `enum nft_registers`. What is loaded is ``meta(key:)``,
    /// ``payload(_:offset:length:)``, ``conntrack(key:)`` or ``immediate(_:)``.
    indirect case into(register: UInt32, KernelExpression)
    /// An expression that has no form above: its kernel name and the payload of `NFTA_EXPR_DATA`.
    case other(name: String, data: [UInt8])
}

extension KernelExpression {
    /// What a `nat` expression does: `enum nft_nat_attributes`. Registers are `enum nft_registers`.
    public struct Translation: Hashable, Sendable {
        /// Which address is translated: `enum nft_nat_types`.
        public enum Kind: UInt32, Hashable, Sendable {
            /// `NFT_NAT_SNAT`.
            case source = 0
            /// `NFT_NAT_DNAT`.
            case destination = 1
        }

        /// Which address.
        public var kind: Kind
        /// The family of the addresses: `NFPROTO_*`.
        public var family: UInt32
        /// The registers of the first and the last address; `nil` leaves the address.
        public var addresses: Registers?
        /// The registers of the first and the last port; `nil` leaves the port.
        public var ports: Registers?
        /// `NF_NAT_RANGE_*`.
        public var flags: UInt32

        /// The registers of a range's two ends.
        public struct Registers: Hashable, Sendable {
            /// The first.
            public var first: UInt32
            /// The last.
            public var last: UInt32

            /// Creates the pair.
            public init(first: UInt32, last: UInt32) {
                self.first = first
                self.last = last
            }
        }

        /// Creates the description of a translation.
        public init(kind: Kind, family: UInt32, addresses: Registers?, ports: Registers?, flags: UInt32) {
            self.kind = kind
            self.family = family
            self.addresses = addresses
            self.ports = ports
            self.flags = flags
        }
    }
}
