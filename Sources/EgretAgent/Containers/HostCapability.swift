// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A capability with which a container need not keep to policies, if it has it in the host's user namespace. In one of its own
/// none of them is worth anything outside.
///
/// The cases have the kernel's numbers (`linux/capability.h`), and stand in the order in which they are told of.
enum HostCapability: UInt64, CaseIterable {
    /// A namespace that a link leads to has a number, and `RTM_NEWLINK` takes that for where a link is to be made
    /// (`IFLA_TARGET_NETNSID`) from whoever has this in the user namespace that owns it.
    case netAdmin = 12
    /// Enters namespaces: setns(2).
    case sysAdmin = 21
    /// What it loads is the kernel itself: init_module(2).
    case sysModule = 16
    /// Speaks to devices by their ports (ioperm(2), iopl(2)), and these write to any memory.
    case sysRawIO = 17
    /// Puts a kernel into memory that the host begins next, or when the present one fails: kexec_load(2).
    case sysBoot = 22
    /// Opens any file of a filesystem that it sees anything of, by a number that it guesses: open_by_handle_at(2).
    case dacReadSearch = 2
    /// Has processes that it sees do what it likes: ptrace(2).
    case sysPtrace = 19
    /// Sets the one clock that there is: clock_settime(2).
    case sysTime = 25

    /// The capability's name, without `CAP_`.
    var name: String {
        switch self {
        case .netAdmin: "NET_ADMIN"
        case .sysAdmin: "SYS_ADMIN"
        case .sysModule: "SYS_MODULE"
        case .sysRawIO: "SYS_RAWIO"
        case .sysBoot: "SYS_BOOT"
        case .dacReadSearch: "DAC_READ_SEARCH"
        case .sysPtrace: "SYS_PTRACE"
        case .sysTime: "SYS_TIME"
        }
    }

    /// Its place in a set of capabilities, as `/proc/PID/status` shows it.
    var bit: UInt64 { 1 << rawValue }

    /// Why a container's policies are not to be relied upon: its processes can get into the host's network, or become the
    /// host's masters.
    ///
    /// - Parameters:
    ///   - bits: The capabilities that it has in the host's user namespace.
    ///   - seesHostProcesses: Whether the host's processes have numbers for it.
    /// - Returns: The first way, in words; `nil` if there is none.
    static func wayToHost(_ bits: UInt64, seesHostProcesses: Bool) -> String? {
        for capability in allCases where bits & capability.bit != 0 {
            switch capability {
            case .netAdmin: return capability.way("connect itself to the host's network anew")
            case .sysAdmin: return capability.way("enter the host's network")
            case .sysModule: return capability.way("put code into the host's kernel")
            case .sysRawIO: return capability.way("have devices write to the host's memory")
            case .sysBoot: return capability.way("have the host begin another kernel")
            case .dacReadSearch: return capability.way("open files of the host's")
            case .sysPtrace:
                if !seesHostProcesses { continue }
                return "it sees the host's processes and has the capability SYS_PTRACE, and can have them send for it"
            case .sysTime: continue
            }
        }
        return nil
    }

    /// Why a container's rules with times, and everybody's, are not to be relied upon: its processes can set the host's
    /// clock, which no namespace has for itself.
    ///
    /// - Parameter bits: The capabilities that it has in the host's user namespace.
    /// - Returns: The way, in words; `nil` if there is none.
    static func wayToClock(_ bits: UInt64) -> String? {
        bits & sysTime.bit == 0 ? nil : sysTime.way("set the clock that rules with times go by")
    }

    private func way(_ deed: String) -> String {
        "it has the capability \(name) in the host's user namespace, and can \(deed)"
    }
}
