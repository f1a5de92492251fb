// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDocuments
import EgretLinux

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A plugin that gives addresses (CNI specification 1.1.0, section "Delegated Plugins"), such as host-local.
struct CNIAddressPlugin {
    /// What it gives a container.
    struct Grant {
        var addresses: [CNIAddress]
        /// What it says about name servers; `nil` if nothing.
        var dns: DataValue?
    }

    /// How long it may take.
    private static let patience: Duration = .seconds(60)
    private static let outputLimit = 1 << 20

    /// Its name.
    let name: String
    private let request: CNIRequest

    init(_ name: String, _ request: CNIRequest) {
        self.name = name
        self.request = request
    }

    /// Has it give addresses to the container.
    func add() throws(CNIError) -> Grant {
        let result = try ask(.add)
        do {
            return try read(result)
        } catch {
            try? delete()
            throw error
        }
    }

    /// Has it give addresses to a container that is not connected: what it gave before, to a call that was killed, is
    /// nobody's.
    func addAnew() throws(CNIError) -> Grant {
        do {
            return try add()
        } catch {
            let isOwn = [CNIError.Code.invalidConfiguration, .unsupportedField].contains { $0.rawValue == error.code }
            guard !isOwn, (try? delete()) != nil else { throw error }
            return try add()
        }
    }

    private func read(_ result: DataValue) throws(CNIError) -> Grant {
        let items = result["ips"]?.items ?? []
        if items.isEmpty { throw CNIError(.notConnected, "\(name) gives no addresses") }
        for route in result["routes"]?.items ?? [] {
            guard let text = route["dst"]?.text, let block = IPPrefix(text), block.length > 0 else { continue }
            throw CNIError(
                .unsupportedField, "\(name) gives a route to \(block)",
                details: "egret-cni makes default routes only")
        }
        let addresses = try items.map { item throws(CNIError) in
            let gateway = item["gateway"]?.text.flatMap { IPAddress($0) }
            guard let text = item["address"]?.text, let address = CNIAddress(text, gateway: gateway) else {
                throw CNIError(.notConnected, "\(name) gives what is no address")
            }
            return address
        }
        let dns = result["dns"].flatMap { $0 == .null || $0 == .object([:]) ? nil : $0 }
        return Grant(addresses: addresses, dns: dns)
    }

    /// Has it take the container's addresses back.
    func delete() throws(CNIError) { _ = try ask(.delete) }

    /// Has it look whether the container's addresses are still given.
    func check() throws(CNIError) { _ = try ask(.check) }

    /// Asks it for something that not every version has: does nothing if it does not know that.
    func askIfKnown(_ command: CNIRequest.Command) throws(CNIError) {
        let known = try ask(.version)["supportedVersions"]?.items ?? []
        if known.contains(.string("1.1.0")) { _ = try ask(command, in: "1.1.0") }
    }

    // MARK: - The program

    /// Starts the plugin with what the runtime has given, and reads what it answers.
    ///
    /// In what it is asked for, no version is otherwise than 1.0.0: so that is the latest that it must know.
    private func ask(_ command: CNIRequest.Command, in version: String? = nil) throws(CNIError) -> DataValue {
        let latest = request.version == "1.1.0" ? "1.0.0" : request.version
        let configuration = CNIAddressPlugin.configuration(request.configuration, in: version ?? latest)
        var environment = Environment.current
        environment["CNI_COMMAND"] = command.rawValue
        let (output, hasSucceeded) = try run(
            Command(
                NativeString(name), arguments: [NativeString(name)], environment: environment,
                searchPath: environment["CNI_PATH"] ?? ""),
            input: CNIPlugin.bytes(configuration))
        if output.isEmpty && hasSucceeded { return .object([:]) }
        let answer = try? JSONDecoder().decode(DataValue.self, from: Data(output))
        guard let answer, case .object = answer else {
            throw CNIError(.notConnected, "\(name) answers with what is no JSON object")
        }
        if hasSucceeded { return answer }
        var failure = CNIError(.notConnected, "\(name): \(answer["msg"]?.text ?? "it failed")")
        failure.details = answer["details"]?.text
        if case .integer(let code)? = answer["code"] { failure.code = Int(code) }
        throw failure
    }

    /// A configuration in another version, and in it what was answered before: plugins refuse a result in a version
    /// that is not the configuration's.
    static func configuration(_ configuration: DataValue, in version: String) -> DataValue {
        guard case .object(var members) = configuration else { return configuration }
        members["cniVersion"] = .string(version)
        if case .object(var previous)? = members["prevResult"] {
            previous["cniVersion"] = .string(version)
            members["prevResult"] = .object(previous)
        }
        return .object(members)
    }

    private func run(_ command: Command, input: [UInt8]) throws(CNIError) -> (output: [UInt8], hasSucceeded: Bool) {
        guard input.count <= CNIAddressPlugin.inputLimit else {
            throw CNIError(.invalidConfiguration, "the configuration is too large for \(name)")
        }
        do {
            let (child, result) = try CNIAddressPlugin.start(command, input)
            let output = try CNIAddressPlugin.collect(result, until: .now + CNIAddressPlugin.patience)
            guard let output else {
                try? child.signalGroup(.kill)
                _ = try child.waitForEnd()
                throw CNIError(.tryAgainLater, "\(name) does not answer")
            }
            return (output, try child.waitForEnd() == .exited(0))
        } catch let error as CNIError {
            throw error
        } catch {
            if (error as? LinuxError)?.errno == .noEntry {
                throw CNIError(
                    .invalidConfiguration, "ipam: there is no plugin \(name)",
                    details: "CNI_PATH is \(Environment.current["CNI_PATH"] ?? "not set")")
            }
            throw CNIError(.inputOutput, "\(name) cannot be asked: \(error)")
        }
    }

    /// So much fits into a pipe that nobody reads yet (pipe(7)).
    private static let inputLimit = 60_000

    private static func start(
        _ command: Command, _ input: [UInt8]
    ) throws(LinuxError) -> (ChildProcess, result: Descriptor) {
        let result = try Descriptor.pipe()
        let child = try ChildProcess.spawn([
            .startSession, .duplicate(filled(with: input), onto: 0), .duplicate(result.write, onto: 1),
            .closeOnExecute(3...UInt32.max), .resetSignals(), .execute(command),
        ])
        return (child, result.read)
    }

    /// A pipe that gives some bytes, and then its end.
    private static func filled(with bytes: [UInt8]) throws(LinuxError) -> Descriptor {
        let pipe = try Descriptor.pipe()
        try pipe.write.write(bytes)
        return pipe.read
    }

    /// Reads to the end; `nil` if that does not come in time.
    private static func collect(
        _ pipe: Descriptor, until end: ContinuousClock.Instant
    ) throws(LinuxError) -> [UInt8]? {
        var all: [UInt8] = []
        var poll = Poll()
        poll.add(pipe)
        while ContinuousClock.now < end {
            if try poll.wait(timeout: ContinuousClock.now.duration(to: end)).isEmpty { continue }
            let bytes = try pipe.read(upTo: 4096)
            if bytes.isEmpty { return all }
            all += bytes.prefix(outputLimit - all.count)
        }
        return nil
    }
}
