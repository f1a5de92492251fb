// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import Testing

/// What who passes bytes between sockets may ask the kernel for.
@Suite("Confinement of who passes bytes")
struct ConfinementTests {
    /// Installs the filter in a python that has all that it needs, and tries.
    private func attempt(_ code: String) throws -> String {
        // The process's number is its own: the filter that is made here is for another one.
        let instructions = SeccompFilter.passing(by: 1).program().map { instruction in
            "(\(instruction.code), \(instruction.jumpTrue), \(instruction.jumpFalse), \(instruction.value))"
        }
        let script = """
            import array, ctypes, errno, fcntl, os, resource, socket, struct
            parent = os.getppid()
            libc = ctypes.CDLL(None, use_errno=True)
            def call(number, *arguments):
                ctypes.set_errno(0)
                result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) for a in arguments])
                return 'ok' if result >= 0 else errno.errorcode[ctypes.get_errno()]
            def pair():
                s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()
                return socket.create_connection(s.getsockname()), s.accept()[0]
            left, right = pair()
            listener = socket.socket(); listener.bind(('127.0.0.1', 0)); listener.listen()
            place = listener.getsockname()
            near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            pipe = os.pipe()
            code = compile(\"\"\"\(code)\"\"\", 'code', 'eval')
            instructions = [\(instructions.joined(separator: ", "))]
            table = ctypes.create_string_buffer(b''.join(struct.pack('=HBBI', *i) for i in instructions))
            program = ctypes.create_string_buffer(struct.pack('@HP', len(instructions), ctypes.addressof(table)))
            assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program) == 0
            try:
                answer = eval(code)
            except OSError as error:
                answer = errno.errorcode[error.errno]
            os.write(1, (str(answer) + chr(10)).encode())
            os._exit(0)
            """
        return try ProgramOutput.python(script).lines.last ?? ""
    }

    @Test(
        "opens no file, changes none, executes nothing, traces and signals nobody, and leads no connection elsewhere",
        .requiresPython,
        arguments: [
            "open('/etc/passwd')", "os.open('/dev/null', os.O_WRONLY)", "os.listdir('/')", "os.stat('/etc/passwd')",
            "os.readlink('/proc/self/exe')", "os.chdir('/')", "os.chmod('/no/such', 0o777)",
            "os.unlink('/no/such')", "os.rename('/no/such', '/no/other')", "os.mkdir('/no/such/directory')",
            "os.execv('/bin/true', ['true'])", "os.fork()", "os.kill(parent, 0)",
            "os.kill(os.getpid(), 0)", "os.kill(-1, 0)", "socket.socket()", "socket.socketpair()",
            "libc.ptrace(0, 0, 0, 0) and errno.errorcode[ctypes.get_errno()]",
            "libc.unshare(0x10000000) and errno.errorcode[ctypes.get_errno()]",
            "libc.setns(-1, 0) and errno.errorcode[ctypes.get_errno()]",
            "libc.mount(0, 0, 0, 0, 0) and errno.errorcode[ctypes.get_errno()]",
            "libc.prctl(4, 1, 0, 0, 0) and errno.errorcode[ctypes.get_errno()]",
            "libc.process_vm_readv(1, 0, 0, 0, 0, 0) and errno.errorcode[ctypes.get_errno()]",
            "resource.prlimit(parent, 7)",
            "left.connect(place)", "listener.listen(5)", "near.bind('/no/such')",
            "left.send(b'x', 0x20000000)", "left.setsockopt(6, 1, 1)",
            "fcntl.fcntl(left.fileno(), 8, os.getpid())", "fcntl.ioctl(left.fileno(), 0x8901, b'1234')",
            "libc.mprotect(0, 4096, 5) and errno.errorcode[ctypes.get_errno()]",
            "call(425, 8, 0)", "call(438, -1, 0, 0)", "call(9999)",
        ]
    )
    func refused(_ code: String) throws {
        #expect(try attempt(code) == "EPERM")
    }

    @Test(
        "takes connections that are handed to it, moves their bytes, and ends them", .requiresPython,
        arguments: [
            "left.send(b'hello') and right.recv(5).decode() == 'hello' and 'ok'",
            "left.send(b'hello') and os.splice(right.fileno(), pipe[1], 5) and os.read(pipe[0], 5) == b'hello' and 'ok'",
            "right.shutdown(1) or left.recv(1) == b'' and 'ok'",
            "right.setsockopt(1, 13, struct.pack('ii', 1, 0)) or right.close() or left.getsockopt(1, 4) and 'ok'",
            "os.pipe2(os.O_CLOEXEC) and 'ok'", "left.getsockname() and 'ok'",
            "fcntl.fcntl(right.fileno(), 4, 0o4000) or 'ok'",
            "socket.send_fds(near, [b'x'], [pipe[0]]) and socket.recv_fds(far, 9, 2)[1] and 'ok'",
            "len(bytes(50_000_000)) and 'ok'", "os.urandom(8) and 'ok'",
        ]
    )
    func allowed(_ code: String) throws {
        #expect(try attempt(code) == "ok")
    }
}
