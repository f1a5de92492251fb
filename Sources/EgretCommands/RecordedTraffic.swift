// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
import EgretLinux
import EgretPolicy

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What a run reached and was refused, as its report for programs says (`docs/report.md`).
struct RecordedTraffic: Decodable {
    struct Amount: Decodable {
        var bytes: UInt64
    }

    /// Traffic with a destination.
    struct Line: Decodable {
        var destination: String
        /// The name that it was reached by; absent where an address let it out.
        var name: String?
        var service: String
        /// Why it was refused; absent if it was not.
        var reason: String?
        /// Absent if it was refused.
        var sent: Amount?
        /// Absent if it was refused.
        var received: Amount?
    }

    var version: Int
    var reached: [Line]
    var refused: [Line]
    var lostConnections: Bool
    var omittedDestinations: UInt64

    /// Reads a report.
    ///
    /// - Parameter path: The file; `-` is standard input.
    /// - Throws: ``RunFailure`` if it cannot be read, or is something else.
    init(path: String) throws {
        let limit = 1 << 28
        let bytes: [UInt8]
        do {
            bytes = try path == "-" ? Descriptor.standardInput.readToEnd(limit: limit) : File.read(path, limit: limit)
        } catch {
            throw RunFailure(message: "the report cannot be read: \(error)", exitCode: 2)
        }
        try self.init(bytes, named: path)
    }

    init(_ bytes: [UInt8], named path: String) throws {
        do {
            self = try JSONDecoder().decode(RecordedTraffic.self, from: Data(bytes))
        } catch {
            throw RecordedTraffic.failure(path, "it is not what egret run --report json writes")
        }
        guard version == 1 else {
            throw RecordedTraffic.failure(path, "it is of version \(version), and this Egret reads 1")
        }
        for line in reached where line.flow == nil {
            throw RecordedTraffic.failure(path, "\"\(line.destination)\", \"\(line.service)\" is no destination")
        }
    }

    private static func failure(_ path: String, _ reason: String) -> RunFailure {
        RunFailure(
            message: "\(path) is no report of a run: \(reason)",
            advice: "make one with: egret run --report json --report-file run.json", exitCode: 2)
    }
}

extension RecordedTraffic.Line {
    /// Where it went; `nil` if that is no address.
    var address: IPAddress? { IPAddress(destination) }

    /// The first packet to the destination; `nil` if there is no such one.
    ///
    /// What was recorded has been sent, also where no policy is written so: to port 0, or in fragments without a port.
    var flow: Flow? {
        guard let address else { return nil }
        let parts = service.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        if parts.count == 2, let port = UInt16(parts[0]), let proto = IPProtocol(name: parts[1]) {
            return Flow(to: address, protocol: proto, port: port)
        }
        switch Service.read(service, at: SourceLocation(file: "", line: 0, column: 1)).service {
        case .any(let proto): return Flow(to: address, protocol: proto)
        case .icmp(let proto, let type): return Flow(to: address, protocol: proto, icmpType: type)
        case .ports, nil: return nil
        }
    }

    /// Whether a policy lets it pass.
    func passes(_ evaluator: PolicyEvaluator, at time: Int64) -> Bool {
        guard let flow = self.flow else { return false }
        guard let said = name.flatMap({ try? DomainName.parse($0) }) else {
            return evaluator.decide(flow, at: time).verdict == .allow
        }
        return ExplainedName.decide(said, flow, evaluator, time, []).verdict == .allow
    }
}
