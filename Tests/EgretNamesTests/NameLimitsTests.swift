// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNames
import Testing

/// Limits as people write them.
struct NameLimitsTests {
    @Test("what is not set stays as it is by default")
    func defaults() {
        let (limits, mistakes) = NameLimits.reading([])
        #expect(limits == NameLimits() && mistakes.isEmpty)
    }

    @Test("every limit can be set, in any order")
    func all() {
        let (limits, mistakes) = NameLimits.reading([
            "new-bytes-burst=16KiB", "name-length=100", "labels=8", "questions=500/s", "questions-burst=700",
            "new-names=60/min", "new-names-burst=50", "new-bytes=4KiB/min", "names=1000", "names-per-rule=300",
            "addresses-per-rule=700", "addresses=2000",
        ])
        var expected = NameLimits()
        (expected.nameLength, expected.labelCount) = (100, 8)
        (expected.questionsPerSecond, expected.questionBurst) = (500, 700)
        (expected.newNamesPerMinute, expected.newNameBurst) = (60, 50)
        (expected.newNameBytesPerMinute, expected.newNameByteBurst) = (4_096, 16_384)
        (expected.names, expected.namesPerRule) = (1_000, 300)
        (expected.addresses, expected.addressesPerRule) = (2_000, 700)
        #expect(limits == expected && mistakes == [])
    }

    @Test("a rate alone has a burst in proportion, so that less of it is less at once, too")
    func bursts() {
        let limits = NameLimits.reading(["questions=10/s", "new-names=3/min", "new-bytes=100B/min"]).limits
        #expect(limits.questionBurst == 20 && limits.newNameBurst == 12 && limits.newNameByteBurst == 800)
    }

    @Test("a rule holds no more names and addresses than its endpoint")
    func rules() {
        #expect(NameLimits.reading(["names=10"]).limits.namesPerRule == 10)
        #expect(NameLimits.reading(["names=65536"]).limits.namesPerRule == NameLimits().namesPerRule)
        #expect(NameLimits.reading(["addresses=10"]).limits.addressesPerRule == 10)
        #expect(NameLimits.reading(["addresses=65536"]).limits.addressesPerRule == NameLimits().addressesPerRule)
        for (texts, mistake) in [
            (["names=10", "names-per-rule=20"], "names-per-rule=20 is more than names=10"),
            (["names-per-rule=9000"], "names-per-rule=9000 is more than names=8192"),
            (["addresses=10", "addresses-per-rule=20"], "addresses-per-rule=20 is more than addresses=10"),
            (["addresses-per-rule=20000"], "addresses-per-rule=20000 is more than addresses=16384"),
        ] { #expect(NameLimits.reading(texts).mistakes == [mistake]) }
    }

    @Test(
        "what cannot be read, or not be so, says what to write",
        arguments: [
            ("label=5", "label=5: there is no such limit of names; did you mean labels?"), ("labels", "labels=8"),
            ("labels=", "labels=8"), ("labels=0", "from 1 to 127"), ("labels=128", "from 1 to 127"),
            ("labels=-1", "labels=8"), ("labels=+1", "labels=8"), ("labels=99999999999999999999", "labels=8"),
            ("name-length=256", "from 1 to 255"), ("questions=5", "questions=500/s"),
            ("questions=5/min", "questions=500/s"), ("questions=0/s", "questions=500/s"),
            ("questions=2001/s", "from 1 to 2000"), ("questions-burst=5/s", "questions-burst=1000"),
            ("new-names=60/s", "new-names=60/min"), ("new-bytes=4096", "new-bytes=4KiB/min"),
            ("new-bytes=4096/min", "new-bytes=4KiB/min"), ("new-bytes=0B/min", "from 1 to 1073741824"),
            ("new-bytes-burst=9000000TB", "from 1 to 1073741824"), ("names=65537", "from 1 to 65536"),
            ("", "there is no such limit"), ("=5", "there is no such limit"),
            ("addresses=0", "from 1 to 65536"), ("addresses=65537", "from 1 to 65536"),
            ("addresses=1e3", "addresses=2000"), ("addresses-per-rule=0", "from 1 to 65536"),
            ("addresses-per-rule=10/min", "addresses-per-rule=1000"),
            ("address=5", "there is no such limit of names; did you mean addresses?"),
            ("patience=5", "there are name-length, labels, questions, questions-burst, new-names"),
        ])
    func mistakes(_ text: String, _ expected: String) {
        let mistakes = NameLimits.reading([text]).mistakes
        #expect(mistakes.count == 1 && mistakes.allSatisfy { $0.contains(expected) }, "\(mistakes)")
    }

    @Test("all mistakes are told, and a limit that is set twice is one")
    func several() {
        let mistakes = NameLimits.reading(["labels=0", "labels=5", "names", "labels=6"]).mistakes
        #expect(mistakes.count == 3 && mistakes.contains("labels is set twice"), "\(mistakes)")
    }
}
