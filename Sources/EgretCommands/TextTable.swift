// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Rows of cells in aligned columns.
struct TextTable {
    /// Which side a column's cells lean on.
    enum Alignment {
        case left
        case right
    }

    private let indent: String
    private let alignments: [Alignment]
    private var rows: [[String]]

    init(indent: String = "  ", header: [String], alignments: [Alignment]) {
        self.indent = indent
        self.alignments = alignments
        rows = [header]
    }

    mutating func append(_ row: [String]) {
        rows.append(row)
    }

    /// The rows as lines; no line ends in spaces.
    var lines: [String] {
        let widths = alignments.indices.map { column in
            rows.map { $0.indices.contains(column) ? $0[column].count : 0 }.max() ?? 0
        }
        return rows.map { row in
            var line = indent
            for (column, cell) in row.enumerated() {
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                if column > 0 { line += "  " }
                line += alignments[column] == .left ? cell + padding : padding + cell
            }
            while line.last == " " { line.removeLast() }
            return line
        }
    }
}
