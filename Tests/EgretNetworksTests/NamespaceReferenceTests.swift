// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNetworks
import Testing

struct NamespaceReferenceTests {
    @Test(
        "a namespace is named by a name, a process or a path",
        arguments: [
            ("ns0", "/run/netns/ns0"), ("netns:ns0", "/run/netns/ns0"), ("pid:4711", "/proc/4711/ns/net"),
            ("/run/user/7/ns", "/run/user/7/ns"),
        ])
    func good(text: String, path: String) {
        #expect(NamespaceReference(text)?.path == path)
    }

    @Test(
        "anything else is none",
        arguments: ["", ".", "..", "pid:", "pid:0", "pid:-1", "pid:x", "pid:99999999999", "a\u{0}b"])
    func bad(text: String) {
        #expect(NamespaceReference(text) == nil)
    }

    @Test("a name that is nobody's says which command makes a namespace")
    func absent() throws {
        let reference = try #require(NamespaceReference("no-such-namespace"))
        let problem = #expect(throws: NetworkProblem.self) { _ = try reference.open() }
        #expect(problem?.message == "there is no network namespace named no-such-namespace")
        #expect(problem?.advice?.contains("egret network connect --create makes one") == true)
    }
}
