// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNftables

extension Verdict {
    /// The verdict's code: `NF_DROP`, `NF_ACCEPT` or `enum nft_verdicts`.
    var code: Int32 {
        switch self {
        case .drop: 0
        case .accept: 1
        case .jump: -3
        case .goto: -4
        case .return: -5
        }
    }

    /// The chain it leads to, if any.
    var chain: String? {
        switch self {
        case .jump(let chain), .goto(let chain): chain
        case .accept, .drop, .return: nil
        }
    }

    /// Appends `NFTA_DATA_VERDICT`.
    func encode(into writer: inout NetlinkWriter) throws(WireError) {
        try writer.nest(Nfta.Data.verdict) { (writer) throws(WireError) in
            writer.putBigEndian(Nfta.Verdict.code, code)
            if let chain { try writer.putString(Nfta.Verdict.chain, chain) }
        }
    }

    /// Decodes the payload of `NFTA_DATA_VERDICT`. `nil` for codes that rules may hold but Egret has no word for.
    static func decode(_ payload: ArraySlice<UInt8>) throws(WireError) -> Verdict? {
        var code: Int32?
        var chain: String?
        try NetlinkAttribute.forEach(in: payload) { (attribute) throws(WireError) in
            switch attribute.type {
            case Nfta.Verdict.code: code = try attribute.bigEndian(Int32.self)
            case Nfta.Verdict.chain: chain = attribute.string()
            default: break
            }
        }
        switch code {
        case nil: throw WireError(.missing, "verdict code")
        case 0: return .drop
        case 1: return .accept
        case -3: return .jump(try named(chain))
        case -4: return .goto(try named(chain))
        case -5: return .return
        default: return nil
        }
    }

    private static func named(_ chain: String?) throws(WireError) -> String {
        guard let chain else { throw WireError(.missing, "verdict chain") }
        return chain
    }
}
