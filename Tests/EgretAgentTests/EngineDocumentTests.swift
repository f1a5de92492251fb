// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretTesting
import Foundation
import NIOPosix
import Testing

@testable import EgretAgent

@Suite("what container engines tell")
struct EngineDocumentTests {
    @Test(
        "an event names its container where the engine puts it, and a network that the container waits for if it does",
        arguments: [
            // Docker 20.10 to 29, where the network is the subject.
            (
                #"{"Type":"network","Action":"connect","Actor":{"ID":"n1","Attributes":"#
                    + #"{"container":"c1","name":"shop","type":"bridge"}},"scope":"local"}"#,
                "c1", "n1"
            ),
            (
                #"{"Type":"network","Action":"disconnect","Actor":{"ID":"n1","Attributes":{"container":"c1"}}}"#, "c1",
                nil
            ),
            (#"{"Type":"network","Action":"create","Actor":{"ID":"n1","Attributes":{"name":"shop"}}}"#, nil, nil),
            // Podman 4, where the container is, and no network.
            (
                #"{"status":"connect","id":"c1","Type":"network","Action":"connect","Actor":{"ID":"c1","Attributes":"#
                    + #"{"containerExitCode":"0","image":"","name":"web","podId":""}},"scope":"local","time":1795443042}"#,
                "c1", nil
            ),
            // Podman 5.
            (
                #"{"status":"connect","id":"c1","Type":"network","Action":"connect","Actor":{"ID":"c1","Attributes":"#
                    + #"{"image":"","name":"one","network":"later","podId":""}},"scope":"local"}"#,
                "c1", nil
            ),
            (
                #"{"Type":"network","Action":"disconnect","Actor":{"ID":"c1","Attributes":{"network":"later"}}}"#, "c1",
                nil
            ),
            (#"{"Type":"container","Action":"start","Actor":{"ID":"c1","Attributes":{}}}"#, "c1", nil),
            (#"{"Type":"volume","Action":"create","Actor":{"ID":"v1"}}"#, nil, nil),
        ] as [(String, String?, String?)])
    func events(_ text: String, _ container: String?, _ network: String?) throws {
        let event = try JSONDecoder().decode(EngineEvent.self, from: Data(text.utf8))
        #expect(event.container == container)
        #expect(event.awaitedNetwork == network)
    }

    @Test(
        "an image's number is a label if it is one",
        arguments: [
            ("sha256:3a734d856d61" + String(repeating: "0", count: 52), "3a734d856d61"),
            ("3a734d856d6100", "3a734d856d61"), ("sha256:", nil), ("", nil), (nil, nil),
        ] as [(String?, String?)])
    func imageNumber(_ identifier: String?, _ label: String?) {
        let labels = ImageReference(text: "box", identifier: identifier).labels
        #expect(labels["egret.dev/image-id"] == label)
        #expect(labels["egret.dev/image"] == "box")
    }

    /// Answers a request with a status and a body.
    private static let server = #"""
        import os, socket, sys
        server = socket.socket(socket.AF_UNIX); server.bind(sys.argv[1] + ".new"); server.listen()
        os.rename(sys.argv[1] + ".new", sys.argv[1]); body = sys.argv[3].encode()
        client, _ = server.accept(); client.recv(65536)
        client.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (sys.argv[2].encode(), len(body), body)); client.close()
        """#

    @Test(
        "a container is gone if the engine says so, with whichever status, and why else there is no answer is told",
        arguments: [
            ("404 Not Found", #"{"message":"no such container: a"}"#, 404, ": no such container: a"),
            (
                "500 Internal Server Error",
                #"{"cause":"no such container","message":"no container with ID a found in database","response":500}"#,
                404, ": no container with ID a found in database"
            ),
            (
                "500 Internal Server Error", #"{"cause":"no space left on device","message":"no space left"}"#, 500,
                ": no space left"
            ),
            ("500 Internal Server Error", "oh", 500, ""),
        ] as [(String, String, Int, String)])
    func absence(_ answer: String, _ body: String, _ status: Int, _ reason: String) async throws {
        let folder = try TemporaryDirectory()
        let socket = folder.path + "/engine.sock"
        let server = try RunningProgram(["/usr/bin/python3", "-c", Self.server, socket, answer, body])
        while !File.exists(socket) { try await Task.sleep(for: .milliseconds(10)) }
        let engine = EngineConnection(socketPath: socket, group: MultiThreadedEventLoopGroup.singleton)
        let error = await #expect(throws: EngineError.self) {
            let _: EngineContainer = try await engine.get("/containers/a/json")
        }
        #expect(error == EngineError("/containers/a/json was answered \(answer.prefix(3))\(reason)", status: status))
        _ = server.wait()
        withExtendedLifetime(folder) {}
    }
}
