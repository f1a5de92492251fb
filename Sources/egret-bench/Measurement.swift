// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import Glibc

/// Times and memory of this process.
enum Measurement {
    /// Seconds that the body takes.
    static func seconds<Result>(_ body: () throws -> Result) rethrows -> (Double, Result) {
        let start = ContinuousClock.now
        let result = try body()
        return (start.duration(to: .now).seconds, result)
    }

    /// The most memory this process has had resident, in KiB (`VmHWM`, proc(5)).
    static func peakMemory() -> Int {
        let status = (try? File.readText("/proc/self/status")) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        return line?.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) } ?? 0
    }

    /// Seconds that this process has spent in the kernel.
    static func kernelSeconds() -> Double {
        var usage = rusage()
        unsafe getrusage(RUSAGE_SELF.rawValue, &usage)
        return Double(usage.ru_stime.tv_sec) + Double(usage.ru_stime.tv_usec) / 1e6
    }

    /// The middle value; 0 of none.
    static func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        return sorted.isEmpty ? 0 : sorted[sorted.count / 2]
    }

    /// Prints `{"key":number,…}`.
    static func report(_ figures: KeyValuePairs<String, Double>) {
        print("{" + figures.map { "\"\($0.key)\":\($0.value)" }.joined(separator: ",") + "}")
    }
}

extension Duration {
    var seconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}
