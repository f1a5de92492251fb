// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Figures in the Prometheus text format, version 0.0.4.
struct MetricsText {
    private(set) var text = ""

    /// Begins a figure.
    ///
    /// - Parameters:
    ///   - name: Its name.
    ///   - type: `gauge`, `counter` or `histogram`.
    ///   - help: What it says, in a sentence.
    mutating func begin(_ name: String, _ type: String, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    /// Adds a value of the figure that was begun last.
    mutating func add(_ name: String, _ labels: [(String, String)] = [], _ value: some CustomStringConvertible) {
        let list = labels.map { "\($0)=\"\(MetricsText.escaped($1))\"" }.joined(separator: ",")
        text += list.isEmpty ? "\(name) \(value)\n" : "\(name){\(list)} \(value)\n"
    }

    /// Adds a figure with one value.
    mutating func add(_ name: String, _ type: String, _ help: String, _ value: some CustomStringConvertible) {
        begin(name, type, help)
        add(name, [], value)
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            default: result.append(character)
            }
        }
        return result
    }
}

/// How long something took, each time: counts by upper bounds.
struct DurationHistogram: Sendable {
    /// Upper bounds, in seconds.
    static let bounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

    private var counts = [Int](repeating: 0, count: bounds.count + 1)
    private var sum = 0.0

    /// Notes a duration.
    mutating func note(_ duration: Duration) {
        let seconds = Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
        sum += seconds
        counts[DurationHistogram.bounds.firstIndex { seconds <= $0 } ?? DurationHistogram.bounds.count] += 1
    }

    /// Adds it to figures.
    func write(_ name: String, _ help: String, to text: inout MetricsText) {
        text.begin(name, "histogram", help)
        var total = 0
        for (count, bound) in zip(counts, DurationHistogram.bounds.map { "\($0)" } + ["+Inf"]) {
            total += count
            text.add(name + "_bucket", [("le", bound)], total)
        }
        text.add(name + "_sum", [], sum)
        text.add(name + "_count", [], total)
    }
}
