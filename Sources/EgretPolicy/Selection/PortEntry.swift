// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

/// One entry of `ports`: a protocol or a part of one, or the name of a port.
enum PortEntry: Hashable {
    case service(Service)
    /// A name that workloads give a number; and what is wrong with it where no workload is asked.
    case name(PortName, elsewhere: SyntaxProblem)

    /// Reads an entry.
    ///
    /// A word is the name of a port unless it is a protocol, or one letter away from one: `tpc` is a slip, and
    /// `tpc/tcp` a name. Services that everybody knows (`smtp`) are no slips.
    static func parse(_ text: Substring) throws(SyntaxProblem) -> PortEntry {
        let problem: SyntaxProblem
        do throws(SyntaxProblem) {
            return .service(try ServiceSyntax.parse(text))
        } catch {
            problem = error
        }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let name = parts.first.map(String.init), parts.count <= 2, LabelSyntax.isPortName(name),
            IPProtocol(name: name) == nil, name != "protocol"
        else { throw problem }
        if parts.count == 2 {
            guard let proto = IPProtocol(name: parts[1]), proto.hasPorts else { throw problem }
            let elsewhere = SyntaxProblem(
                DiagnosticCode.portName, noWorkload(name),
                suggestion: ServiceSyntax.number(ofPortNamed: name).map { "write \($0)" }
                    ?? "write the port's number, for example 8080/\(proto), or name workloads with endpoints")
            return .name(PortName(name, proto), elsewhere: elsewhere)
        }
        if ServiceSyntax.isEverything(name) { throw problem }
        if ServiceSyntax.number(ofPortNamed: name) == nil, let near = ServiceSyntax.slip(for: name) {
            throw SyntaxProblem(
                DiagnosticCode.service, "unknown protocol \(quoted(name))",
                suggestion: "did you mean \(near)? If a workload's port has the name, write \(name)/tcp or \(name)/udp")
        }
        return .name(PortName(name), elsewhere: problem)
    }

    static func noWorkload(_ name: String) -> String {
        "\(quoted(name)) is the name of a port: its number is looked up at workloads, and the rule names none"
    }
}
