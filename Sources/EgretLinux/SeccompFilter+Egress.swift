// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension SeccompFilter {
    /// What a confined command may open, where that is a choice.
    public struct EgressOptions: Hashable, Sendable {
        /// The address families of sockets; everything else is `EAFNOSUPPORT`.
        public var addressFamilies: [AddressFamily]
        /// The netlink protocols; everything else is `EPROTONOSUPPORT`.
        public var netlinkProtocols: [NetlinkSocket.NetlinkProtocol]

        /// Unix, IPv4, IPv6 and netlink; of netlink, routes only.
        ///
        /// The C libraries list addresses over `NETLINK_ROUTE` (getaddrinfo, getifaddrs), and so does `ip`. Others
        /// have a fallback (`ss` reads `/proc/net`) or no purpose here.
        public init(
            addressFamilies: [AddressFamily] = [.unix, .inet, .inet6, .netlink],
            netlinkProtocols: [NetlinkSocket.NetlinkProtocol] = [.route]
        ) {
            self.addressFamilies = addressFamilies
            self.netlinkProtocols = netlinkProtocols
        }
    }

    /// An `AF_*` number of `linux/socket.h`.
    public struct AddressFamily: RawRepresentable, Hashable, Sendable {
        /// The number.
        public var rawValue: UInt32
        /// Wraps a number.
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        /// `AF_UNIX`
        public static let unix = AddressFamily(rawValue: 1)
        /// `AF_INET`
        public static let inet = AddressFamily(rawValue: 2)
        /// `AF_INET6`
        public static let inet6 = AddressFamily(rawValue: 10)
        /// `AF_NETLINK`
        public static let netlink = AddressFamily(rawValue: 16)
    }

    /// The filter against what leaves a network namespace without passing its policed interface.
    ///
    /// `docs/design/process.md` gives the reason for each row.
    public static func egress(_ options: EgressOptions = EgressOptions()) -> SeccompFilter {
        SeccompFilter(
            rules: socketRules(.socket, options) + socketRules(.socketpair, options) + socketcallRules
                + terminalRules + unseenRules
        )
    }

    /// `SOCK_TYPE_MASK` of `linux/net.h`: above it are SOCK_CLOEXEC and SOCK_NONBLOCK.
    private static let socketTypeMask: UInt32 = 0xf

    private static func socketRules(_ call: SystemCall, _ options: EgressOptions) -> [Rule] {
        let internet = Condition.argument(0, isAmong: [AddressFamily.inet.rawValue, AddressFamily.inet6.rawValue])
        let netlink = Condition.argument(0, isAmong: [AddressFamily.netlink.rawValue])
        let netlinkProtocols = options.netlinkProtocols.map { UInt32(bitPattern: $0.rawValue) }
        return [
            Rule(
                call,
                where: [.argument(0, isNotAmong: options.addressFamilies.map(\.rawValue))],
                .refuse(.familyNotSupported)
            ),
            // SOCK_RAW is 3. SOCK_PACKET is 10: with AF_INET the kernel makes an AF_PACKET socket of it.
            Rule(
                call, where: [internet, .argument(1, mask: socketTypeMask, isAmong: [3, 10])], .refuse(.notPermitted)),
            // IPPROTO_SMC is 256: AF_SMC by another door, which may use RDMA past every interface.
            Rule(call, where: [internet, .argument(2, isAmong: [256])], .refuse(.protocolNotSupported)),
            Rule(call, where: [netlink, .argument(2, isNotAmong: netlinkProtocols)], .refuse(.protocolNotSupported)),
        ]
    }

    /// The arguments of socketcall(2) lie in memory, out of the filter's sight; its first says which call it is.
    /// SYS_SOCKET is 1, SYS_SOCKETPAIR 8, SYS_SETSOCKOPT 14. Other calls work on sockets that were allowed.
    private static let socketcallRules = [
        Rule(.socketcall, where: [.argument(0, isAmong: [1, 8, 14])], .refuse(.notImplemented)),
        // TCP_ULP, 31, at level IPPROTO_TCP, 6: with "smc" it turns a TCP socket into an AF_SMC one.
        Rule(
            .setsockopt,
            where: [.argument(1, isAmong: [6]), .argument(2, isAmong: [31])],
            .refuse(.optionNotSupported)
        ),
    ]

    /// TIOCSTI 0x5412 types into the terminal; TIOCLINUX 0x541c pastes into a console. The shell outside would read it.
    private static let terminalRules = [
        Rule(.ioctl, where: [.argument(1, isAmong: [0x5412, 0x541c])], .refuse(.notPermitted))
    ]

    private static let unseenRules: [Rule] =
        [SystemCall.io_uring_setup, .io_uring_enter, .io_uring_register].map { Rule($0, .refuse(.notImplemented)) }
        + [
            SystemCall.setns, .pidfd_getfd, .open_by_handle_at, .request_key, .keyctl, .add_key, .bpf,
            .perf_event_open, .userfaultfd, .kexec_load, .kexec_file_load, .init_module, .finit_module, .delete_module,
        ].map { Rule($0, .refuse(.notPermitted)) }
}
