// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretRun
import Testing

@Suite("What a run notes of its rules")
struct RunRulesTests {
    @Test("the words of each rule are read back as they were noted, in one line")
    func stored() {
        let words = ["g7-r0": "build/no-lab, p.yaml:7:5", "g7-r12": "--deny 203.0.113.10", "g7-r3": "two\nlines"]
        let rules = RunRules(words)
        #expect(
            rules.text == """
                g7-r0 build/no-lab, p.yaml:7:5
                g7-r12 --deny 203.0.113.10
                g7-r3 two lines

                """)
        #expect(RunRules(text: rules.text) == rules)
    }

    @Test("lines that say nothing are passed over", arguments: ["", "\n\n", "g7-r0\n", "g7-r0 \n"])
    func damaged(text: String) {
        #expect(RunRules(text: text).words == [:])
    }
}
