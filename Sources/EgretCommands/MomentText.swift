// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAnalysis
import EgretPolicy
import EgretSources

/// Times as `--at` takes them: `2026-03-29T01:30Z`, `2026-03-29T03:30:00+02:00` (RFC 3339), `2026-03-29T03:30[Europe/Zurich]`
/// (as in RFC 9557, with the zone alone) and, in UTC, `2026-03-29T01:30` and `2026-03-29`.
enum MomentText {
    /// Seconds since 1970-01-01T00:00Z.
    ///
    /// A local time that clocks skip is the moment of the skip, and one that they show twice is the first of the two.
    static func unixTime(_ text: String) throws(PolicyMistakes) -> Int64 {
        if let moment = Moment.unixTime(text) { return moment }
        var local = text[...]
        var zone = "UTC"
        if local.hasSuffix("]"), let bracket = local.firstIndex(of: "[") {
            zone = String(local[local.index(after: bracket)...].dropLast())
            local = local[..<bracket]
        } else if local.hasSuffix("Z") {
            local = local.dropLast()
        }
        let location = SourceLocation(file: "--at \(text)", line: 0, column: 1)
        let (moment, diagnostic) = Schedule.LocalTime.read(
            String(local), in: zone, of: SystemTimeZones.database(), at: location)
        guard let moment else { throw PolicyMistakes(lines: diagnostic.map { [DiagnosticFormatter.format($0)] } ?? []) }
        return moment
    }

    /// The time in UTC: `2026-03-29T01:30:00Z`.
    static func text(of unixTime: Int64) -> String {
        let text = TimeZoneRules.utc.text(of: unixTime).split(separator: " ")
        let seconds = ((unixTime % 60) + 60) % 60
        return "\(text[0])T\(text[1]):\(seconds < 10 ? "0" : "")\(seconds)Z"
    }
}
