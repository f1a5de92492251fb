// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretTesting
import NIOPosix
import Testing

@testable import EgretAgent

@Suite("asking a container engine at its socket")
struct EngineConnectionTests {
    /// Answers two requests, and prints the first line of each, and whether it says that there is no body.
    private static let server = #"""
        import os, socket, sys
        server = socket.socket(socket.AF_UNIX); server.bind(sys.argv[1] + ".new"); server.listen()
        os.rename(sys.argv[1] + ".new", sys.argv[1])
        reason = b'{"message":"it does not run"}'
        for answer in (b"204 No Content\r\n\r\n", b"409 Conflict\r\nContent-Length: %d\r\n\r\n%s" % (len(reason), reason)):
            client, _ = server.accept(); request = client.recv(65536).decode().lower()
            print(request.splitlines()[0], "content-length: 0\r\n" in request, "chunked" in request, flush=True)
            client.sendall(b"HTTP/1.1 " + answer); client.close()
        """#

    @Test("an engine is asked to do something without a body, and why it does not is told")
    func post() async throws {
        let folder = try TemporaryDirectory()
        let socket = folder.path + "/engine.sock"
        let server = try RunningProgram(["/usr/bin/python3", "-c", Self.server, socket])
        while !File.exists(socket) { try await Task.sleep(for: .milliseconds(10)) }
        let engine = EngineConnection(socketPath: socket, group: MultiThreadedEventLoopGroup.singleton)
        try await engine.post("/containers/a/kill?signal=KILL")
        let error = await #expect(throws: EngineError.self) { try await engine.post("/containers/a/kill?t=1") }
        #expect(error == EngineError("/containers/a/kill was answered 409: it does not run", status: 409))
        #expect(
            server.wait().standardOutput == """
                post /containers/a/kill?signal=kill http/1.1 True False
                post /containers/a/kill?t=1 http/1.1 True False

                """)
        withExtendedLifetime(folder) {}
    }
}
