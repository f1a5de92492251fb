// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Answers of Knot DNS 3.2.6, as they came over UDP: `kdig +noedns NAME TYPE`, with `+bufsize` or `+dnssec` where said.
struct CapturedMessage: Sendable {
    var label: String
    var hexadecimal: String

    var bytes: [UInt8] {
        let digits = hexadecimal.utf8.compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
        return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }
}

enum CapturedMessages {
    static func named(_ label: String) -> [UInt8] { all.first { $0.label == label }?.bytes ?? [] }

    static let all: [CapturedMessage] = [
        // wWw.eXample.teSt type 1
        CapturedMessage(
            label: "two addresses, letters mixed",
            hexadecimal: """
                2a178500000100020000000003775777076558616d706c6504746553740000010001c00c00010001000000020004cb00
                710ac00c00010001000000020004cb00710b
                """),
        // www.example.test type 28
        CapturedMessage(
            label: "an IPv6 address",
            hexadecimal: """
                2a178500000100010000000003777777076578616d706c65047465737400001c0001c00c001c00010000012c00102001
                0db8011300000000000000000010
                """),
        // api.example.test type 1
        CapturedMessage(
            label: "a chain of aliases",
            hexadecimal: """
                2a178500000100030000000003617069076578616d706c6504746573740000010001c00c000500010000012c00070465
                646765c010c02e00050001000000050005026c62c010c04100010001000000010004cb00710c
                """),
        // svc.example.test type 65
        CapturedMessage(
            label: "an HTTPS record with hints and ech",
            hexadecimal: """
                2a178500000100010000000003737663076578616d706c6504746573740000410001c00c004100010000012c003d0001
                000001000602683202683300040004cb00710a000500100045fe0d0041a5002000207f454e21010006001020010db801
                1300000000000000000010
                """),
        // _dns.example.test type 64
        CapturedMessage(
            label: "an SVCB record",
            hexadecimal: """
                2a1785000001000100000000045f646e73076578616d706c6504746573740000400001c00c004000010000012c002900
                010465646765076578616d706c650474657374000000000200030001000403646f74000300020355
                """),
        // _sip._tcp.example.test type 33
        CapturedMessage(
            label: "a service",
            hexadecimal: """
                2a1785000001000100000001045f736970045f746370076578616d706c6504746573740000210001c00c002100010000
                012c00170001000213c4026c62076578616d706c65047465737400c03a00010001000000010004cb00710c
                """),
        // txt.example.test type 16
        CapturedMessage(
            label: "text",
            hexadecimal: """
                2a178500000100010000000003747874076578616d706c6504746573740000100001c00c001000010000012c00150568
                656c6c6f0e776f726c6420222071756f746564
                """),
        // example.test type 15
        CapturedMessage(
            label: "a mail server, with its address",
            hexadecimal: """
                2a1785000001000100000001076578616d706c65047465737400000f0001c00c000f00010000012c0009000a046d6169
                6cc00cc02c000100010000012c0004cb007119
                """),
        // example.test type 6
        CapturedMessage(
            label: "a start of authority",
            hexadecimal: """
                2a1785000001000100000000076578616d706c6504746573740000060001c00c000600010000012c0026026e73c00c0a
                686f73746d6173746572c00c0000000100000e1000000258000151800000003c
                """),
        // example.test type 2
        CapturedMessage(
            label: "a name server",
            hexadecimal: """
                2a1785000001000100000001076578616d706c6504746573740000020001c00c000200010000012c0005026e73c00cc0
                2a000100010000012c0004cb007135
                """),
        // a.old.example.test type 1
        CapturedMessage(
            label: "an alias for a tree, with the alias made of it",
            hexadecimal: """
                2a17850000010002000000000161036f6c64076578616d706c6504746573740000010001c00e002700010000012c000c
                056f74686572047465737400c00c000500010000012c000a0161056f74686572c01a
                """),
        // weird.example.test type 65280
        CapturedMessage(
            label: "a type without a name",
            hexadecimal: """
                2a1785000001000100000000057765697264076578616d706c65047465737400ff000001c00cff0000010000012c0004
                01020304
                """),
        // none.example.test type 1
        CapturedMessage(
            label: "no such name, with EDNS",
            hexadecimal: """
                2a1785030001000000010001046e6f6e65076578616d706c6504746573740000010001c011000600010000003c002602
                6e73c0110a686f73746d6173746572c0110000000100000e1000000258000151800000003c00002904d0000000000000
                """),
        // x.wild.example.test type 1
        CapturedMessage(
            label: "a wildcard",
            hexadecimal: """
                2a178500000100010000000001780477696c64076578616d706c6504746573740000010001c00c000100010000012c00
                04cb007163
                """),
        // www.signed.test type 1
        CapturedMessage(
            label: "a signed address",
            hexadecimal: """
                2a178500000100020000000103777777067369676e656404746573740000010001c00c000100010000012c0004cb0071
                0ac00c002e00010000012c005f00010d030000012c6b13f00f6b0165f7a59b067369676e656404746573740024f1556e
                8fd9b5f31ae38414e4593303df25d5013591e0b7b0a08842b840d16a59e0a15b08d2d41bc2c4f446964c4236a871ad3d
                fafc5db1756ffd4bd846f50f00002904d0000080000000
                """),
        // signed.test type 48
        CapturedMessage(
            label: "keys, cut to 512 bytes",
            hexadecimal: """
                2a1785000001000300000001067369676e656404746573740000300001c00c003000010000012c00440100030d854a6a
                eb85d80ad77a5c981ad3d724736d6918073c5bb07d002f2fbe6c8a0ea0aa70366f1dadb5a182d493e3ec53077484fe50
                5a67f595499e37830db0b29547c00c003000010000012c00440101030d68fb0c414816657f69aaf92e96326445295d01
                1f716e7586fb834c41d32db170186dc6ff1a543c2ed60c3065aac13c59170351b4b93fc42f7e7bb080751cb861c00c00
                2e00010000012c005f00300d020000012c6b13f00f6b0165f7c823067369676e6564047465737400352c19cbab2d069a
                277092babf58110b47a6214a389338efd50b17314a24945d4ea655ba36646b85f9658d416d7a08ce125a68a43d42cf54
                5954fe367665e8c800002904d0000080000000
                """),
        // elsewhere.test type 1
        CapturedMessage(
            label: "a zone that is not there",
            hexadecimal: """
                2a178105000100000000000009656c7365776865726504746573740000010001
                """),
    ]
}
