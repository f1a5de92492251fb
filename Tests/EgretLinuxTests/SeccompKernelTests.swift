// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import Testing

/// The filter in the kernel, with python3 as the program that tries.
@Suite("Seccomp in the kernel", .requiresPython)
struct SeccompKernelTests {
    private static let confinement: [ChildOperation] = [
        .forbidNewPrivileges, .installFilter(SeccompFilter.egress().program()),
    ]

    private func attempt(_ code: String) throws -> String {
        let script = """
            import socket, ctypes, errno, os, sys
            libc = ctypes.CDLL(None, use_errno=True)
            def call(number, *arguments):
                result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) for a in arguments])
                return 'ok' if result >= 0 else errno.errorcode[ctypes.get_errno()]
            try:
                print(\(code))
            except OSError as error:
                print(errno.errorcode[error.errno])
            """
        return try ProgramOutput.python(script, setUp: Self.confinement).lines.last ?? ""
    }

    @Test(
        "what leaves a network namespace unseen is refused",
        arguments: [
            ("socket.socket(40, socket.SOCK_STREAM) and 'ok'", "EAFNOSUPPORT"),  // AF_VSOCK
            ("socket.socket(17, socket.SOCK_RAW) and 'ok'", "EAFNOSUPPORT"),  // AF_PACKET
            ("socket.socket(38, socket.SOCK_SEQPACKET) and 'ok'", "EAFNOSUPPORT"),  // AF_ALG
            ("socket.socket(44, socket.SOCK_RAW) and 'ok'", "EAFNOSUPPORT"),  // AF_XDP
            ("socket.socket(29, socket.SOCK_RAW, 1) and 'ok'", "EAFNOSUPPORT"),  // AF_CAN
            ("socket.socket(31, socket.SOCK_RAW, 1) and 'ok'", "EAFNOSUPPORT"),  // AF_BLUETOOTH
            ("socket.socket(30, socket.SOCK_SEQPACKET) and 'ok'", "EAFNOSUPPORT"),  // AF_TIPC
            ("socket.socket(socket.AF_INET, socket.SOCK_RAW, 1) and 'ok'", "EPERM"),
            ("socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58) and 'ok'", "EPERM"),
            ("socket.socket(socket.AF_INET, 10, 0x300) and 'ok'", "EPERM"),
            ("socket.socket(socket.AF_INET, socket.SOCK_STREAM, 256) and 'ok'", "EPROTONOSUPPORT"),
            ("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) and 'ok'", "EPROTONOSUPPORT"),
            ("socket.socketpair(30, socket.SOCK_STREAM) and 'ok'", "EAFNOSUPPORT"),
            ("socket.socket().setsockopt(6, 31, b'smc') or 'ok'", "ENOPROTOOPT"),
            ("call(425, 8, 0)", "ENOSYS"),
            ("call(426, -1, 0, 0, 0, 0, 0)", "ENOSYS"),
            ("call(427, -1, 0, 0, 0)", "ENOSYS"),
            ("call(438, -1, 0, 0)", "EPERM"),
            ("libc.setns(-1, 0) and errno.errorcode[ctypes.get_errno()]", "EPERM"),
            ("libc.ioctl(0, 0x5412, b'x') and errno.errorcode[ctypes.get_errno()]", "EPERM"),
            ("libc.ioctl(0, 0x541c, b'x') and errno.errorcode[ctypes.get_errno()]", "EPERM"),
        ]
    )
    func refused(_ code: String, _ answer: String) throws {
        #expect(try attempt(code) == answer)
    }

    @Test(
        "what ordinary programs do works",
        arguments: [
            "socket.socket(socket.AF_INET, socket.SOCK_STREAM) and 'ok'",
            "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) and 'ok'",
            "socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) and 'ok'",
            "socket.socketpair() and 'ok'",
            "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) and 'ok'",
            "socket.if_nameindex() is not None and 'ok'",
            "socket.getaddrinfo('localhost', 80) and 'ok'",
            "libc.getifaddrs(ctypes.byref(ctypes.c_void_p())) == 0 and 'ok'",
            "os.system('true') == 0 and 'ok'",
            "libc.ptrace(0, 0, 0, 0) == 0 and 'ok'",
            "__import__('threading').Thread(target=print).start() or 'ok'",
        ]
    )
    func allowed(_ code: String) throws {
        #expect(try attempt(code) == "ok")
    }

    @Test("a connection over the loopback works under the filter")
    func connection() throws {
        let code = """
            (lambda s: (s.bind(('127.0.0.1', 0)), s.listen(), c := socket.create_connection(s.getsockname()),
            c.sendall(b'hello'), s.accept()[0].recv(5).decode())[-1])(socket.socket())
            """
        #expect(try attempt(code) == "hello")
    }

    #if arch(x86_64)
        /// `int 0x80` with the number in eax and three arguments in ebx, ecx and edx.
        private func attempt32(_ number: Int, _ arguments: [Int], confined: Bool = true) throws -> ProgramOutput {
            let script = """
                import ctypes, mmap
                page = mmap.mmap(-1, 4096, prot=7)
                page.write(bytes.fromhex('53 89f8 89f3 4989c8 89d1 4489c2 cd80 4898 5b c3'))
                address = ctypes.addressof(ctypes.c_char.from_buffer(page))
                print(ctypes.CFUNCTYPE(ctypes.c_long, *[ctypes.c_long] * 4)(address)(\(number), *\(arguments)))
                """
            return try ProgramOutput.python(script, setUp: confined ? Self.confinement : [])
        }

        @Test("the 32-bit convention is no way round")
        func convention32() throws {
            // Kernels without the convention end the process.
            guard try attempt32(20, [0, 0, 0], confined: false).status == .exited(0) else { return }
            #expect(try attempt32(359, [40, 1, 0]).lines == ["-97"])  // socket(AF_VSOCK)
            #expect(try attempt32(359, [2, 3, 1]).lines == ["-1"])  // socket(AF_INET, SOCK_RAW)
            #expect(try attempt32(359, [2, 1, 0]).lines.first?.hasPrefix("-") == false)
            #expect(try attempt32(102, [1, 0, 0]).lines == ["-38"])  // socketcall(SYS_SOCKET)
            #expect(try attempt32(425, [1, 0, 0]).lines == ["-38"])  // io_uring_setup
            #expect(try attempt32(346, [-1, 0, 0]).lines == ["-1"])  // setns
        }
    #endif

    @Test("the kernel says that a filter is installed")
    func status() throws {
        let lines = try ProgramOutput.of("/bin/cat", ["/proc/self/status"], setUp: Self.confinement).lines
        #expect(lines.contains("Seccomp:\t2"))
        #expect(lines.contains("NoNewPrivs:\t1"))
    }
}
