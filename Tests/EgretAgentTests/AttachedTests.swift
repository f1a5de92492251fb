// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Foundation
import Testing

@testable import EgretAgent

@Suite("endpoints that others connect")
struct AttachedTests {
    @Test(
        "a unit is found in whichever slice it is, and what is in a unit is none",
        arguments: [
            ("backup.service", "/system.slice/backup.service"),
            ("getty@tty1.service", "/system.slice/system-getty.slice/getty@tty1.service"),
            ("session-3.scope", "/user.slice/user-1000.slice/session-3.scope"),
            ("job.service", "/batch.slice/job.service"), ("batch.slice", "/batch.slice"), ("init.scope", "/init.scope"),
            ("own.service", nil), ("none.service", nil),
        ] as [(String, String?)])
    func units(_ name: String, _ expected: String?) throws {
        let root = try TemporaryDirectory()
        let present = [
            "/init.scope", "/batch.slice/job.service", "/system.slice/backup.service",
            "/system.slice/system-getty.slice/getty@tty1.service", "/user.slice/user-1000.slice/session-3.scope",
            "/user.slice/user-1000.slice/user@1000.service/app.slice/own.service",
        ]
        for path in present {
            try FileManager.default.createDirectory(atPath: root.path + path, withIntermediateDirectories: true)
        }
        #expect(ControlGroup.place(ofUnit: name, below: root.path) == expected)
        withExtendedLifetime(root) {}
    }

    @Test("a container whose name is another endpoint's is listed beside it, until it is gone")
    func nameOfAnother() throws {
        func target(_ identifier: String) -> AttachedTarget {
            AttachedTarget(
                group: "docker", name: "web", kind: "Container", labels: [:], origin: "docker", identifier: identifier,
                path: "/proc/0/ns/net")
        }
        let folder = try TemporaryDirectory()
        let record = AttachedRecord(target: target("first"), cookie: 1, links: [])
        try JSONEncoder().encode(record).write(to: URL(fileURLWithPath: folder.path + "/docker%2Fweb.json"))
        let attached = try AttachedEndpoints(directory: folder.path)
        #expect(attached.all == [record])
        #expect(attached.refuse(target("second"), "docker/web is another endpoint"))
        #expect(attached.unattached.map { $0.target.identifier } == ["second"])
        attached.forgetRefused { $0.identifier == "second" }
        #expect(attached.refuse(target("first"), "it is not told of"))
        #expect(attached.unattached.isEmpty)
        withExtendedLifetime(folder) {}
    }

    @Test("a container that runs and that no event has told of is asked about")
    func untold() {
        #expect(EngineFollower.untold(["c", "a", "b"], known: ["a", "gone"]) == ["c", "b"])
        #expect(EngineFollower.untold(["a"], known: ["a"]).isEmpty)
    }
}
