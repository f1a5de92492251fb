// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Testing

/// The doctor in the namespace of a run, whose policy nobody keeps but the run itself.
@Suite("the doctor in a run", .serialized, .requiresRoot)
struct RunDoctorTests {
    @Test("it names the rule that refuses: policy, rule and file, or the flag; nothing of that outlives the run")
    func rule() throws {
        try withInternet("rdrule") { internet in
            let directory = try TemporaryDirectory()
            let output = try internet.script(
                """
                cd \(directory.path)
                cat >p.yaml <<'END'
                apiVersion: egret.dev/v1
                kind: EgressPolicy
                metadata: { name: build }
                spec:
                  default: allow
                  egress:
                  - { name: no-lab, action: deny, to: [{ cidr: 203.0.113.10/32 }] }
                END
                examine() {
                    egret run "$@" -- sleep 4711 2>/dev/null & local run=$! pid
                    for i in {1..200}; do pid=$(pgrep -xf 'sleep 4711') && break; sleep 0.05; done
                    egret doctor pid:$pid --to 203.0.113.10 --port 80/tcp | grep -o 'egret run, [^:)]*' | uniq
                    kill $pid; wait $run
                }
                examine --policy p.yaml; examine --deny 203.0.113.10; examine --allow 198.51.100.10
                true
                """)
            #expect(
                output.standardOutput == """
                    egret run, build/no-lab, p.yaml
                    egret run, --deny 203.0.113.10
                    egret run, default

                    """, "\(output.standardError)")
            let remains = try internet.remains()
            #expect(remains == "")
        }
    }
}
