// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension Service {
    /// Reads one entry of `ports`, as in a policy: `443/tcp`, `53/udp`, `icmp/echo-request`, `gre`.
    ///
    /// - Returns: The service, or what is wrong with the text.
    public static func read(
        _ text: String,
        at location: SourceLocation
    ) -> (service: Service?, diagnostic: Diagnostic?) {
        do throws(SyntaxProblem) {
            return (try ServiceSyntax.parse(Substring(text)), nil)
        } catch {
            return (nil, error.diagnostic(at: location))
        }
    }
}
